// SPDX-License-Identifier: Apache-2.0

// A failover that is told not to go back by itself stays on its second tier when the first one is well again, says why, and goes back by
// command.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { udpClient } from "../conformance/dns-client.ts";
import { ask } from "./ask.ts";
import { latchedDocuments, type Pair } from "./documents.ts";
import {
  EndpointProcess,
  ServerProcess,
  freePort,
  meridian,
  temporaryFolder,
  until,
} from "./process.ts";

const CHANGE_MS_MAX = 60_000;
const names = ["manual", "hold"] as const;

test("a latched failover stays where it went until failback, and explain says why", async (t) => {
  const folder = temporaryFolder(t);
  const pair: Pair = {
    port: await freePort(),
    primary: "127.0.0.23",
    secondary: "127.0.0.24",
    intervalMs: 200,
    timeoutMs: 100,
  };
  const primary = new EndpointProcess(t, pair.primary, pair.port);
  const secondary = new EndpointProcess(t, pair.secondary, pair.port);
  await Promise.all([primary.start(), secondary.start()]);
  const files = join(folder, "documents.yaml");
  writeFileSync(files, latchedDocuments(pair));
  const stateDir = join(folder, "state");
  const port = await freePort();
  await ServerProcess.start(t, { files, stateDir, port });
  const client = await udpClient("127.0.0.1", port);
  t.after(() => client.close());
  const answers = async (): Promise<string> => {
    const all = await Promise.all(
      ["www", ...names].map((name) => ask(client, `${name}.e2e.example`, "A")),
    );
    return all.flat().join(" ");
  };
  const answered = (expected: readonly string[]): Promise<unknown> =>
    until(expected.join(), CHANGE_MS_MAX, async () => (await answers()) === expected.join(" "));
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await meridian(...args, "--state", stateDir);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  await answered([pair.primary, pair.primary, pair.primary]);
  assert.doesNotMatch(await run("explain", "manual.e2e.example"), /latched/);
  await primary.answerWith(500);
  await answered([pair.secondary, pair.secondary, pair.secondary]);
  await primary.answerWith(200);
  await answered([pair.primary, pair.secondary, pair.secondary]);

  assert.match(
    await run("explain", "manual.e2e.example"),
    /latched on tier 2 since a failover: earlier tiers are the last choice until "meridian failback default\/manual\/tiers"/,
  );
  assert.match(
    await run("explain", "hold.e2e.example"),
    /until an earlier one was healthy for 1h \(failback: hold\), or "meridian failback default\/hold\/tiers"/,
  );
  const latches: unknown = JSON.parse(await run("get", "latches", "--output", "json"));
  assert.deepEqual(latches, [
    { name: "default/hold/tiers", tier: 2 },
    { name: "default/manual/tiers", tier: 2 },
  ]);

  for (const [index, name] of names.entries()) {
    assert.match(await run("failback", `default/${name}/tiers`, "--yes"), /is back on tier 1/);
    await answered([
      pair.primary,
      ...names.map((_, at) => (at <= index ? pair.primary : pair.secondary)),
    ]);
  }
  const unknown = await meridian("failback", "default/www/tiers", "--yes", "--state", stateDir);
  assert.equal(unknown.code, 4);
  assert.match(unknown.stderr, /No failover node "default\/www\/tiers" holds a latch/);
});
