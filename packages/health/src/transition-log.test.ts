// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOGGED_PER_SECOND_MAX } from "./limits.ts";
import { TransitionLog } from "./transition-log.ts";
import type { Transition } from "./transition.ts";

function batchOf(count: number, verdict: Transition["verdict"]): Transition[] {
  return Array.from({ length: count }, (_, sequence) => ({
    ...{ key: "endpoint/default/web/a", verdict, previous: "unknown", reason: "ok" },
    ...{ vantage: "eu-1", atMs: 0, earliestChangeMs: 0, sequence },
  }));
}

test("a log has a line for each of few transitions a second, and one for all others", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let nowMs = 0;
  const lines: unknown[] = [];
  const log = new TransitionLog({
    nowMs: () => nowMs,
    one: ({ verdict }) => lines.push(verdict),
    more: (counts) => lines.push({ ...counts }),
  });
  const pass = (ms: number): void => {
    nowMs += ms;
    context.mock.timers.tick(ms);
  };
  log.add(batchOf(LOGGED_PER_SECOND_MAX - 1, "healthy"));
  log.add(batchOf(3, "unhealthy"));
  log.add(batchOf(2, "healthy"));
  assert.equal(lines.length, LOGGED_PER_SECOND_MAX);
  assert.equal(lines.at(-1), "unhealthy");
  pass(1000);
  assert.deepEqual(lines.splice(0).at(-1), { unknown: 0, healthy: 2, unhealthy: 2 });
  log.add(batchOf(LOGGED_PER_SECOND_MAX + 1, "unknown"));
  assert.equal(lines.splice(0).length, LOGGED_PER_SECOND_MAX, "another second");
  log.close();
  assert.deepEqual(lines, [{ unknown: 1, healthy: 0, unhealthy: 0 }], "nothing is left untold");
  pass(5000);
  assert.equal(lines.length, 1);
});
