// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@meridian/core";
import { TRANSITIONS_SPACING_MS } from "./limits.ts";
import { TransitionOutbox } from "./transition-outbox.ts";

test("TransitionOutbox tells of each endpoint the newest outlook alone, and none from before a transition", async () => {
  const told: [string, string, number][] = [];
  const outbox = new TransitionOutbox({
    clock: new ManualClock(0),
    onTransitions: (batch) => {
      for (const { key, earliestChangeMs } of batch) told.push(["verdict", key, earliestChangeMs]);
    },
    onOutlook: (batch) => {
      for (const { key, earliestChangeMs } of batch) told.push(["outlook", key, earliestChangeMs]);
    },
  });
  const transition = (key: string, earliestChangeMs: number): void =>
    outbox.add({
      ...{ key, endpoint: 0, verdict: "healthy", previous: "unknown", reason: "answered" },
      ...{ vantage: "here", atMs: 0, earliestChangeMs },
    });
  outbox.addOutlook({ key: "a", endpoint: 0, earliestChangeMs: 0 });
  transition("a", 180_000);
  transition("b", 0);
  outbox.addOutlook({ key: "b", endpoint: 0, earliestChangeMs: 90_000 });
  outbox.addOutlook({ key: "c", endpoint: 0, earliestChangeMs: 1 });
  outbox.addOutlook({ key: "c", endpoint: 0, earliestChangeMs: 2 });
  outbox.flush("at once");
  await Promise.resolve();
  assert.deepEqual(told, [
    ["verdict", "a", 180_000],
    ["verdict", "b", 0],
    ["outlook", "b", 90_000],
    ["outlook", "c", 2],
  ]);
});

test("what follows a batch soon is told some milliseconds later, together, unless it is to be told at once", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const clock = new ManualClock(1000);
  const told: string[] = [];
  const outbox = new TransitionOutbox({
    clock,
    onTransitions: (batch) => told.push(batch.map(({ key }) => key).join(" ")),
  });
  const change = async (key: string, pace: "at once" | "spaced"): Promise<void> => {
    outbox.add({
      ...{ key, endpoint: 0, verdict: "healthy", previous: "unknown", reason: "answered" },
      ...{ vantage: "here", atMs: 0, earliestChangeMs: 0 },
    });
    outbox.flush(pace);
    await Promise.resolve();
  };
  const pass = (ms: number): void => {
    clock.advance(ms);
    context.mock.timers.tick(ms);
  };
  await change("a", "spaced");
  assert.deepEqual(told, ["a"], "nothing was told just before");
  pass(1);
  await change("b", "spaced");
  pass(1);
  await change("c", "spaced");
  assert.deepEqual(told, ["a"]);
  pass(TRANSITIONS_SPACING_MS - 1);
  assert.deepEqual(told, ["a", "b c"]);
  await change("d", "spaced");
  await change("e", "at once");
  assert.deepEqual(told, ["a", "b c", "d e"]);
  pass(TRANSITIONS_SPACING_MS);
  await change("f", "spaced");
  assert.deepEqual(told, ["a", "b c", "d e", "f"]);
  await change("g", "spaced");
  outbox.tellWaiting();
  outbox.tellWaiting();
  assert.deepEqual(told, ["a", "b c", "d e", "f", "g"]);
  await change("h", "spaced");
  outbox.close();
  pass(TRANSITIONS_SPACING_MS);
  assert.deepEqual(told, ["a", "b c", "d e", "f", "g"]);
});
