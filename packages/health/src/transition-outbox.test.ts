// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { TransitionOutbox } from "./transition-outbox.ts";

test("TransitionOutbox tells of each endpoint the newest outlook alone, and none from before a transition", async () => {
  const told: [string, string, number][] = [];
  const outbox = new TransitionOutbox({
    onTransitions: (batch) => {
      for (const { key, earliestChangeMs } of batch) told.push(["verdict", key, earliestChangeMs]);
    },
    onOutlook: (batch) => {
      for (const { key, earliestChangeMs } of batch) told.push(["outlook", key, earliestChangeMs]);
    },
  });
  const transition = (key: string, earliestChangeMs: number): void =>
    outbox.add({
      ...{ key, verdict: "healthy", previous: "unknown", reason: "answered" },
      ...{ vantage: "here", atMs: 0, earliestChangeMs },
    });
  outbox.addOutlook({ key: "a", earliestChangeMs: 0 });
  transition("a", 180_000);
  transition("b", 0);
  outbox.addOutlook({ key: "b", earliestChangeMs: 90_000 });
  outbox.addOutlook({ key: "c", earliestChangeMs: 1 });
  outbox.addOutlook({ key: "c", earliestChangeMs: 2 });
  outbox.flush();
  await Promise.resolve();
  assert.deepEqual(told, [
    ["verdict", "a", 180_000],
    ["verdict", "b", 0],
    ["outlook", "b", 90_000],
    ["outlook", "c", 2],
  ]);
});
