// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
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

test("after each look through the whole heap it is rehearsed again, until that has failed", async (context) => {
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
  const timesAfter = async (revisions: number): Promise<number> => {
    asked = 0;
    for (let revision = 0; revision < revisions; revision++) rehearsal.follow();
    // One timer may begin another one, and that the heap was looked through is told in a turn of the loop.
    for (let tenth = 0; tenth < 100; tenth++) {
      context.mock.timers.tick(100);
      await turn();
    }
    return asked;
  };
  const found: number[] = [];
  for (const revisions of [1, 1, 2, 3]) found.push(await timesAfter(revisions));
  isBroken = true;
  for (const revisions of [3, 3]) found.push(await timesAfter(revisions));
  assert.deepEqual(found, [16, 0, 8, 8, 1, 0]);
});
