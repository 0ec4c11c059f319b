// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { SeenAlert } from "./alert.ts";
import { NotificationQueue, type Batch } from "./notification-queue.ts";

const settings = { groupWaitMs: 5000, repeatAfterMs: 60_000 };

const alert = (name: string): SeenAlert => ({
  event: "verdict",
  subject: name,
  namespace: "default",
  summary: `${name} is unhealthy`,
  sinceMs: 0,
});

const names = (alerts: readonly SeenAlert[]): string[] => alerts.map(({ subject }) => subject);

test("what happens within the group's time is one message, and what came and went is none", () => {
  const queue = new NotificationQueue();
  queue.update([alert("a")], 0);
  assert.equal(queue.due(4999, settings), undefined);
  queue.update([alert("a"), alert("b")], 3000);
  const batch = queue.due(5000, settings);
  assert.deepEqual(names(batch?.firing ?? []), ["a", "b"]);
  assert.equal(queue.due(5001, settings), undefined, "one message at a time");
  queue.delivered(5100);
  queue.update([alert("a"), alert("b")], 6000);
  assert.equal(queue.due(20_000, settings), undefined, "nothing is told twice");
  queue.update([alert("a"), alert("b"), alert("c")], 21_000);
  queue.update([alert("a"), alert("b")], 23_000);
  assert.equal(queue.due(40_000, settings), undefined);
  queue.update([alert("b")], 41_000);
  const ended = queue.due(46_000, settings);
  assert.deepEqual([names(ended?.firing ?? []), names(ended?.resolved ?? [])], [[], ["a"]]);
});

test("what still holds is told again, and new alerts do not put that off", () => {
  const queue = new NotificationQueue();
  const reminders: number[] = [];
  for (let nowMs = 0; nowMs <= 200_000; nowMs += 1000) {
    // Something new every 20 s.
    const news = Array.from({ length: Math.floor(nowMs / 20_000) }, (_, at) => alert(`n${at}`));
    queue.update([alert("a"), ...news], nowMs);
    const batch = queue.due(nowMs, settings);
    if (batch === undefined) continue;
    if (batch.isReminder) {
      assert.equal(batch.firing.length, 1 + news.length);
      reminders.push(nowMs);
    }
    queue.delivered(nowMs);
  }
  assert.deepEqual(reminders, [65_000, 125_000, 185_000]);
});

test("a message that is not taken is tried again at growing intervals, with what holds by then", () => {
  const queue = new NotificationQueue();
  const tries: number[] = [];
  let last: Batch | undefined;
  for (let nowMs = 0; nowMs <= 3_600_000; nowMs += 1000) {
    queue.update(nowMs < 1_800_000 ? [alert("a")] : [alert("b")], nowMs);
    const batch = queue.due(nowMs, { groupWaitMs: 0, repeatAfterMs: 1e12 });
    if (batch === undefined) continue;
    tries.push(nowMs / 1000);
    queue.refused("connection refused", nowMs);
    last = batch;
  }
  assert.deepEqual(tries.slice(0, 9), [0, 1, 3, 7, 15, 31, 63, 127, 255]);
  const gaps = tries.slice(10).map((at, index) => at - (tries[index + 9] ?? 0));
  assert.deepEqual(new Set(gaps), new Set([300]));
  assert.deepEqual(names(last?.firing ?? []), ["b"], "of what is over nothing is told");
  assert.equal(queue.lastError, "connection refused");
});

test("NotificationQueue ends up with what holds, whatever fails, and a restart changes nothing", () => {
  const step = fc.record({
    holds: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d")),
    isTaken: fc.boolean(),
    isRestart: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let queue = new NotificationQueue();
      const known = new Set<string>();
      let nowMs = 0;
      const turn = (holds: readonly string[], isTaken: boolean): void => {
        nowMs += 301_000;
        queue.update(holds.map(alert), nowMs);
        const batch = queue.due(nowMs, { groupWaitMs: 0, repeatAfterMs: 1e12 });
        if (batch === undefined) return;
        if (!isTaken) {
          queue.refused("no", nowMs);
          return;
        }
        for (const name of names(batch.firing)) {
          assert.ok(!known.has(name), "told twice");
          known.add(name);
        }
        for (const name of names(batch.resolved)) assert.ok(known.delete(name), "was not told");
        queue.delivered(nowMs);
      };
      for (const { holds, isTaken, isRestart } of steps) {
        turn(holds, isTaken);
        if (isRestart) queue = new NotificationQueue(queue.told());
      }
      turn(["a", "c"], true);
      assert.deepEqual([...known].toSorted(), ["a", "c"]);
      assert.equal(queue.waiting, 0);
    }),
  );
});
