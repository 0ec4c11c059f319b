// SPDX-License-Identifier: Apache-2.0

// docs/guides/five-regions.md, typed: each of its commands in one shell, in order, on the addresses that it names.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { needs } from "../needs.ts";
import { until } from "./process.ts";

const root = resolve(import.meta.dirname, "../..");
const MS_MAX = 180_000;
const LAST = "== all typed";

const skip =
  needs("etcd", "etcd-server") || needs("dig", "bind9-dnsutils") || needs("bash", "bash");

test("the guide from one machine to five regions works as typed", { skip }, async (t) => {
  const guide = readFileSync(join(root, "docs/guides/five-regions.md"), "utf8");
  const blocks = [...guide.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = ""]) => block);
  const temporary = mkdtempSync(join(tmpdir(), "meridian-guide-"));
  const shell = spawn("bash", ["-e", "-u", "-o", "pipefail"], {
    cwd: root,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      ...process.env,
      TMPDIR: temporary,
      PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
    },
  });
  t.after(() => {
    // Whatever it started: all of it is in its group.
    try {
      process.kill(-(shell.pid ?? 0), "SIGKILL");
    } catch {
      // Everything has ended.
    }
    rmSync(temporary, { recursive: true, force: true });
  });
  const timer = setTimeout(() => process.kill(-(shell.pid ?? 0), "SIGKILL"), MS_MAX);
  // What runs on in the background holds the streams open: the end of the shell counts.
  let [said, errors] = ["", ""];
  shell.stdout.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
  shell.stderr.setEncoding("utf8").on("data", (chunk: string) => (errors += chunk));
  const typed = blocks.map((block, index) => `echo "== ${index}"\n${block}`).join("");
  shell.stdin.end(`${typed}\necho "${LAST}"\n`);
  await once(shell, "exit");
  clearTimeout(timer);
  assert.equal(shell.exitCode, 0, `${said}\n${errors}`);
  // What it has written may be read after its end.
  await until("the shell's last word", MS_MAX, () => said.includes(LAST));

  const parts = said
    .replace(LAST, "")
    .split(/^== \d+$/m)
    .slice(1);
  assert.equal(parts.length, blocks.length);
  const after = (command: string): string =>
    parts[blocks.findIndex((block) => block.includes(command))] ?? "";
  assert.match(after("meridian up"), /^127\.44\.1\.1$/m);
  assert.match(after("meridian control"), /control-1[^]*control-2[^]*control-3/);
  assert.match(after("meridian apply -f deploy"), /Record\/default\/www\.five\.example created/);
  assert.match(after("meridian get edges"), /af-1[^]*ap-1[^]*eu-1[^]*sa-1[^]*us-1/);
  assert.match(after("dig @127.44.4.3"), /^127\.44\.1\.1$/m);
  assert.match(after("health history"), /unhealthy/);
  assert.match(after('control-3")'), /^127\.44\.1\.(1|4)$/m);
});
