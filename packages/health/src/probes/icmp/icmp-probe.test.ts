// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { defaultTiming, type IcmpCheck } from "../../check.ts";
import { missing } from "../../testing/missing.ts";
import { runProbe, targetAt } from "../../testing/probe-run.ts";
import { IcmpProbe } from "./icmp-probe.ts";
import { icmpAvailability, PingProgramSender } from "./ping-program.ts";

const check: IcmpCheck = { ...defaultTiming, kind: "icmp", timeoutMs: 500 };
const available = await icmpAvailability();
const needs = { skip: available.available ? false : missing(available.reason) };

test("IcmpProbe over ping passes on loopback", needs, async () => {
  assert.ok(available.available);
  const probe = new IcmpProbe(targetAt(0, check), check, available.sender);
  assert.deepEqual(await runProbe(probe), { outcome: "pass", reason: "echo answered" });
});

/** A program in place of ping, in a folder of its own. */
function programIn(folder: string, script: string): string {
  const path = join(folder, "ping");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

test("IcmpProbe over ping fails where nothing answers, and can be cancelled", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-ping-"));
  try {
    const silent = new PingProgramSender(programIn(folder, "exit 1"));
    const unanswered = await runProbe(new IcmpProbe(targetAt(0, check), check, silent));
    assert.deepEqual(unanswered, { outcome: "fail", reason: "echo not answered" });
    const hanging = new PingProgramSender(programIn(folder, "exec sleep 30"));
    const late = await runProbe(new IcmpProbe(targetAt(0, check), check, hanging), 100);
    assert.equal(late.reason, "no answer in 100 ms");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("IcmpProbe holds the verdict where ICMP is not available", async () => {
  const probe = new IcmpProbe(targetAt(0, check), check, undefined);
  const held = { outcome: "hold", reason: "ICMP is not available here" };
  assert.deepEqual(await runProbe(probe), held);
});

test("icmpAvailability() says why there is none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-ping-"));
  try {
    assert.deepEqual(await icmpAvailability(folder), {
      available: false,
      reason: "no add-on for ICMP and no ping program in PATH",
    });
    const complaint = "ping: socktype: Operation not permitted";
    const path = programIn(folder, `echo '${complaint}' >&2; exit 2`);
    assert.deepEqual(await icmpAvailability(folder), {
      available: false,
      reason: `"${path}" does not reach 127.0.0.1: ping failed: ping: socktype: Operation not permitted`,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
