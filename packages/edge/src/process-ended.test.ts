// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";

import { processEnded } from "./process-ended.ts";

const quiet = {
  warn: (message: string): void => assert.fail(`unexpected: ${message}`),
  isStopped: () => false,
};

test("processEnded() resolves when the process ends, not before", async () => {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  await once(child, "spawn");
  assert.ok(child.pid !== undefined);
  let isOver = false;
  const ended = processEnded(child.pid, quiet).then(() => {
    isOver = true;
  });
  for (let turn = 0; turn < 10; turn += 1)
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  assert.equal(isOver, false);
  child.stdin.end();
  await ended;
});

test(
  "processEnded() does not wait for one that nobody asked how it ended",
  {
    skip: process.platform !== "linux" && "only Linux tells such processes apart",
  },
  async () => {
    // `sleep` has a child that it does not know of, which stays a zombie for as long as it sleeps.
    const parent = spawn("sh", ["-c", "sleep 0.3 & echo $!; exec sleep 600"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [line] = (await once(createInterface(parent.stdout), "line")) as [string];
      const pid = Number(line);
      await processEnded(pid, quiet);
      assert.doesNotThrow(() => process.kill(pid, 0));
    } finally {
      parent.kill("SIGKILL");
    }
  },
);

test("processEnded() resolves at once for one that is not there", async () => {
  const child = spawn("true");
  await once(child, "exit");
  assert.ok(child.pid !== undefined);
  await processEnded(child.pid, quiet);
});

test("processEnded() waits no more when this process is to end", async () => {
  let isStopped = false;
  const waiting = processEnded(process.pid, { ...quiet, isStopped: () => isStopped });
  setTimeout(() => {
    isStopped = true;
  }, 30);
  await assert.rejects(waiting, { code: "EDGE_HANDOVER_INTERRUPTED" });
});
