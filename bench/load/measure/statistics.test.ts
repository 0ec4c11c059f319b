// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { median, percentile, spread, turns } from "./statistics.ts";

test("median() is the middle of an odd list and the mean of the middle two of an even one", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), RangeError);
});

test("spread() holds median, least and greatest, and is undefined of nothing", () => {
  assert.deepEqual(spread([5, 1, 9]), { median: 5, min: 1, max: 9 });
  assert.equal(spread([]), undefined);
});

test("percentile() takes the nearest rank", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.equal(percentile(values, 0.5), 50);
  assert.equal(percentile(values, 0.99), 99);
  assert.equal(percentile(values, 1), 100);
  assert.equal(percentile(values, 0), 1);
  assert.equal(percentile([], 0.5), undefined);
});

test("turns() gives every rival one turn a round and every place in turn", () => {
  const rivals = ["a", "b", "c"];
  const firsts = new Set<string | undefined>();
  for (let round = 0; round < 6; round += 1) {
    const order = turns(rivals, round);
    assert.deepEqual(order.toSorted(), rivals);
    firsts.add(order[0]);
  }
  assert.ok(firsts.size > 1);
  assert.notDeepEqual(turns(rivals, 0), turns(rivals, 1));
});
