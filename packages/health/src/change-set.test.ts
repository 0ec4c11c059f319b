// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { changesIn, packChangeSets, unpackChangeSets, type ChangeSet } from "./change-set.ts";
import { OverlayChanges } from "./overlay-changes.ts";

test("change sets are what they were after they have been packed and cloned", () => {
  const set = fc
    .record({
      sequence: fc.nat(),
      revision: fc.nat(),
      atMs: fc.nat(),
      cause: fc.record(
        { kind: fc.constant("health"), text: fc.string() },
        { noNullPrototype: true },
      ),
      changes: fc.array(fc.tuple(fc.bigInt(0n, 2n ** 64n - 1n), fc.nat(0xffff_ffff))),
    })
    .map(({ changes, ...rest }): ChangeSet => ({
      ...rest,
      keys: BigUint64Array.from(changes, ([key]) => key),
      values: Uint32Array.from(changes, ([, value]) => value),
    }));
  fc.assert(
    fc.property(fc.array(set, { maxLength: 10 }), (sets) => {
      const sent = unpackChangeSets(structuredClone(packChangeSets(sets)));
      assert.deepEqual(
        sent.map(({ keys: _keys, values: _values, ...rest }) => rest),
        sets.map(({ keys: _keys, values: _values, ...rest }) => rest),
      );
      assert.deepEqual(
        sent.map((each) => [...changesIn(each)]),
        sets.map((each) => [...changesIn(each)]),
      );
    }),
  );
});

test("OverlayChanges is a Map by slot, taken as columns", () => {
  const step = fc.tuple(fc.constantFrom("set", "delete", "take"), fc.nat(7), fc.nat(0xffff_ffff));
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const changes = new OverlayChanges(8);
      const plain = new Map<number, number>();
      for (const [what, slot, value] of steps) {
        if (what === "set") {
          changes.set(slot, value);
          plain.set(slot, value);
        } else if (what === "delete") {
          changes.delete(slot);
          plain.delete(slot);
        } else {
          const { slots, values } = changes.take();
          assert.deepEqual(new Map([...slots].map((each, at) => [each, values[at]])), plain);
          assert.equal(slots.length, plain.size);
          plain.clear();
        }
        assert.deepEqual(
          [changes.size, changes.has(slot), changes.get(slot)],
          [plain.size, plain.has(slot), plain.get(slot)],
        );
      }
    }),
  );
});
