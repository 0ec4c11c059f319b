// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { patchedMap } from "./patched-map.ts";

interface Entry {
  readonly text: string;
}

test("patchedMap() has what a copy with the same changes has, however many there were before", () => {
  const key = fc.nat(400);
  const step = fc.record({ removed: fc.array(key), set: fc.array(key, { maxLength: 200 }) });
  fc.assert(
    fc.property(fc.array(key), fc.array(step, { maxLength: 8 }), (first, steps) => {
      const truth = new Map<number, Entry>(first.map((each) => [each, { text: "first" }]));
      let map: ReadonlyMap<number, Entry> = new Map(truth);
      for (const [at, { removed, set }] of steps.entries()) {
        const before = [...map];
        const entries = set.map((each): [number, Entry] => [each, { text: `${at}` }]);
        const next = patchedMap(map, removed, entries);
        assert.deepEqual([...map], before);
        for (const each of removed) truth.delete(each);
        for (const [each, value] of entries) truth.set(each, value);
        map = next;
        assert.deepEqual(new Map(map), truth);
        assert.equal(map.size, truth.size);
        const seen: number[] = [];
        map.forEach((value, each) => {
          assert.equal(map.get(each), value);
          seen.push(each);
        });
        assert.deepEqual(seen, [...map.keys()]);
        assert.deepEqual(
          [...map.values()],
          seen.map((each) => truth.get(each)),
        );
        for (let each = 0; each <= 400; each++) {
          assert.equal(map.has(each), truth.has(each));
          assert.equal(map.get(each), truth.get(each));
        }
      }
    }),
    { numRuns: 30 },
  );
});
