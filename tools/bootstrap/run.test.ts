// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import process from "node:process";
import { test } from "node:test";

const bootstrap = resolve(import.meta.dirname, "../bootstrap.mjs");
const runModule = JSON.stringify(join(import.meta.dirname, "run.mjs"));

/** A process that becomes `node -e SCRIPT` by runAs(). */
function become(script: string): ChildProcess {
  const command = `import { runAs } from ${runModule};
    await runAs(process.execPath, ["-e", ${JSON.stringify(script)}]);`;
  return spawn(process.execPath, ["--input-type=module", "-e", command], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}

test("runAs() passes the exit code on", async () => {
  assert.deepEqual(await once(become("process.exit(7)"), "close"), [7, null]);
  assert.deepEqual(await once(become(""), "close"), [0, null]);
});

test("runAs() passes signals on, and lets the child decide", async () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    const child = become(
      `process.on(${JSON.stringify(signal)}, () => process.exit(5)); console.log("up"); setInterval(() => {}, 1000);`,
    );
    assert.ok(child.stdout !== null);
    await once(child.stdout, "data");
    child.kill(signal);
    assert.deepEqual(await once(child, "close"), [5, null], signal);
  }
});

test("runAs() ends with 128 + the signal that killed the child", async () => {
  assert.deepEqual(await once(become("process.kill(process.pid, 'SIGKILL')"), "close"), [
    137,
    null,
  ]);
});

test("bootstrap.mjs names the commands that it knows", async () => {
  const child = spawn(process.execPath, [bootstrap, "frobnicate"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  assert.deepEqual(await once(child, "close"), [1, null]);
  assert.match(
    said,
    /^Cannot run "frobnicate": it is no command, expected one of prepare, start, /,
  );
});
