// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { nextLatchMs, stepLatch, unlatched, type LatchRule, type LatchState } from "./latch.ts";

const manual: LatchRule = { failback: "manual", holdForMs: 0 };
const hold: LatchRule = { failback: "hold", holdForMs: 1000 };

function run(
  rule: LatchRule,
  steps: readonly (readonly [number, readonly boolean[]])[],
): LatchState {
  return steps.reduce(
    (state, [nowMs, healthy]) => stepLatch(state, rule, healthy, nowMs),
    unlatched,
  );
}

test("manual: fail 1, fail 2, then both recover: stays on 3; then 3 fails: 1 (reference vector 24)", () => {
  const onThird = run(manual, [
    [0, [true, true, true]],
    [1, [false, true, true]],
    [2, [false, false, true]],
    [3, [true, true, true]],
  ]);
  assert.equal(onThird.latch, 3);
  assert.equal(stepLatch(onThird, manual, [true, true, false], 4).latch, 0);
});

test("auto goes back at once", () => {
  assert.equal(
    run({ failback: "auto", holdForMs: 0 }, [
      [0, [false, true]],
      [1, [true, true]],
    ]).latch,
    0,
  );
});

test("hold goes back after the earlier tier has been healthy without a break", () => {
  const failed = run(hold, [
    [0, [false, true]],
    [100, [true, true]],
    [600, [false, true]],
    [700, [true, true]],
  ]);
  assert.equal(failed.latch, 2);
  assert.equal(nextLatchMs(failed, hold), 1700);
  assert.equal(stepLatch(failed, hold, [true, true], 1699).latch, 2);
  assert.equal(stepLatch(failed, hold, [true, true], 1700).latch, 0);
});

test("all tiers dead: the latch stays where it was", () => {
  assert.equal(
    run(manual, [
      [0, [false, true]],
      [1, [false, false]],
    ]).latch,
    2,
  );
});
