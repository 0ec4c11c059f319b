// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { constants, getPriority } from "node:os";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { stepBack } from "./start-priority.ts";

const isLinux = process.platform === "linux";

test(
  "stepBack() puts every thread back only where all of them can come forward again",
  { skip: !isLinux },
  async (context) => {
    const usual = getPriority();
    const comeForward = stepBack();
    context.after(comeForward);
    const isBack = getPriority() !== usual;
    if (isBack) assert.deepEqual(priorities(), new Set([constants.priority.PRIORITY_LOW]));
    const worker = new Worker("setInterval(() => {}, 1000)", { eval: true });
    context.after(() => worker.terminate());
    await once(worker, "online");
    comeForward();
    assert.equal(getPriority(), usual);
    if (isBack) assert.deepEqual(priorities(), new Set([usual]));
    comeForward();
  },
);

/** Niceness of all threads of this process. */
function priorities(): Set<number> {
  const threads = readdirSync("/proc/self/task").map(Number);
  return new Set(threads.map((thread) => getPriority(thread)));
}
