// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { GivingWay } from "./giving-way.ts";

test("GivingWay sleeps twice for the first of many changes, and again for a later one", () => {
  let nowMs = 0;
  const slept: number[] = [];
  const way = new GivingWay(
    () => nowMs,
    (ms) => void slept.push(ms),
  );
  for (nowMs of [0, 1, 19, 20]) way.giveWay();
  assert.deepEqual(slept, [0.03, 1, 0.03, 1]);
});

test("GivingWay takes a thread from its core for a millisecond", () => {
  const before = performance.now();
  new GivingWay().giveWay();
  assert.ok(performance.now() - before >= 1);
});
