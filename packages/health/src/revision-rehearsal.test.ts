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
