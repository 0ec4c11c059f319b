// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { RevisionRehearsal } from "./revision-rehearsal.ts";

test("a rehearsal that fails is told once, and none comes after it", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let asked = 0;
  const told: string[] = [];
  const rehearsal = new RevisionRehearsal({
    rehearse: () => {
      asked += 1;
      throw new RangeError("Array buffer allocation failed");
    },
    onFailed: (reason) => told.push(reason),
  });
  context.after(() => rehearsal.close());
  rehearsal.follow();
  for (let turn = 0; turn < 5; turn++) {
    context.mock.timers.tick(1000);
    rehearsal.follow();
  }
  assert.equal(asked, 1);
  assert.deepEqual(told, ["Array buffer allocation failed"]);
});

test("after each look through the whole heap it is rehearsed again, until that has failed", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let [asked, isBroken] = [0, false];
  const rehearsal = new RevisionRehearsal({
    rehearse: () => {
      asked += 1;
      if (isBroken) throw new RangeError("Array buffer allocation failed");
      return true;
    },
    onFailed: () => {},
    wholeEvery: 3,
  });
  context.after(() => rehearsal.close());
  /** So many revisions, and calm after them. */
  const timesAfter = (revisions: number): number => {
    asked = 0;
    for (let revision = 0; revision < revisions; revision++) rehearsal.follow();
    // One timer may begin another one.
    for (let turn = 0; turn < 100; turn++) context.mock.timers.tick(100);
    return asked;
  };
  const found = [timesAfter(1), timesAfter(1), timesAfter(2), timesAfter(3)];
  isBroken = true;
  found.push(timesAfter(3), timesAfter(3));
  assert.deepEqual(found, [12, 0, 4, 4, 1, 0]);
});
