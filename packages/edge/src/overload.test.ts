// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { LEVEL_MAX, LOOK_TURNS, Overload } from "./overload.ts";

let nowMs = 1;

/** Full batches, or while something is left out time, until the queue is looked at once. */
function look(overload: Overload, queued: number): void {
  const isDue = (): boolean => overload.isDue(1, overload.level === 0 ? 0 : (nowMs += 1));
  let turns = 1;
  while (!isDue()) turns += 1;
  assert.ok(turns > 1 && turns <= LOOK_TURNS);
  overload.note(queued);
}

function leftOut(overload: Overload): number {
  return Array.from({ length: LEVEL_MAX }, () => overload.isNextLeftOut()).filter(Boolean).length;
}

test("packets that are lost once change nothing, nor does a long queue without loss", () => {
  const overload = new Overload(false);
  for (const queued of [-1, 900, -1, 0, 1000, 1000]) look(overload, queued);
  assert.equal(overload.level, 0);
  assert.equal(leftOut(overload), 0);
  look(overload, -1);
  overload.isDue(0.9, 0);
  look(overload, -1);
  assert.equal(overload.level, 0, "the queue was empty between");
});

test("while packets are lost more are left out, until the queue is short", () => {
  const overload = new Overload(false);
  for (let times = 0; times < 20; times++) look(overload, -1);
  assert.equal(overload.level, LEVEL_MAX);
  assert.equal(leftOut(overload), LEVEL_MAX);
  for (let times = 0; times < 24; times++) look(overload, 100);
  assert.equal(overload.level, 40);
  assert.equal(leftOut(overload), 40);
  look(overload, 350);
  assert.equal(overload.level, 40);
  look(overload, 800);
  assert.equal(overload.level, 42);
  for (let turn = 0; turn < 42; turn++) overload.isDue(0.1, nowMs);
  assert.equal(overload.level, 0);
});

test("a queue is brought to its mark and stays there, whatever leaving out costs", () => {
  for (const [answerCost, leaveCost] of [
    [5, 1],
    [3, 1.2],
    [10, 0.5],
  ] as const) {
    const overload = new Overload(false);
    const queueMax = 20_000;
    let queue = 0;
    let lost = false;
    let lostLate = 0;
    let time = 0;
    for (let batch = 0; batch < 60_000; batch++) {
      const taken = Math.min(64, queue);
      let cost = 1;
      for (let packet = 0; packet < taken; packet++)
        cost += overload.level > 0 && overload.isNextLeftOut() ? leaveCost : answerCost;
      // Twice as many come as could be answered.
      const arrived = (cost / answerCost) * 2;
      queue += arrived - taken;
      if (queue > queueMax) {
        lost = true;
        if (batch > 20_000) lostLate += queue - queueMax;
        queue = queueMax;
      }
      // Microseconds.
      time += cost / 1000;
      if (!overload.isDue(taken / 64, time)) continue;
      overload.note(lost ? -1 : (queue / queueMax) * 1000);
      lost = false;
    }
    assert.equal(lostLate, 0);
    assert.ok(overload.level > 0 && overload.level < LEVEL_MAX);
  }
});

test("where the kernel filters, the worker leaves out only what gets past that", () => {
  const overload = new Overload(true);
  for (let times = 0; times < 3; times++) look(overload, -1000);
  assert.equal(overload.level, LEVEL_MAX);
  assert.equal(overload.filterLevel, LEVEL_MAX);
  assert.equal(leftOut(overload), 0);
  look(overload, -350);
  assert.equal(overload.level, LEVEL_MAX, "what the filter left out counts as lost");
  for (let times = 0; times < 4; times++) look(overload, -100);
  assert.equal(overload.filterLevel, LEVEL_MAX - 1);
  for (let times = 0; times < 9; times++) look(overload, -1000);
  assert.equal(overload.level, 2 * LEVEL_MAX);
  assert.equal(overload.filterLevel, LEVEL_MAX);
  assert.equal(leftOut(overload), LEVEL_MAX);
  overload.forgoFilter();
  assert.equal(overload.level, LEVEL_MAX);
  assert.equal(overload.filterLevel, 0);
  assert.equal(leftOut(overload), LEVEL_MAX);
});

test("a filter that finds nothing to leave out soon ends", () => {
  const overload = new Overload(true);
  for (let times = 0; times < 3; times++) look(overload, -1000);
  for (let times = 0; times < 8; times++) look(overload, 0);
  assert.equal(overload.level, 0);
});
