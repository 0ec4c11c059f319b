// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyHigh, keyLow } from "@meridian/core";
import fc from "fast-check";
import { KeyedSlots } from "./keyed-slots.ts";

const word = fc.nat(0xffff_ffff);
/** Few halves, so that keys share one of them and come again. */
const half = fc.oneof(fc.nat(3), word);
const changes = fc.array(fc.record({ low: half, high: half, value: word, seconds: word }), {
  maxLength: 200,
});

test("a table holds what a Map by key holds, in the order in which keys came", () => {
  fc.assert(
    fc.property(changes, (sets) => {
      const table = new KeyedSlots();
      const twin = new Map<bigint, { readonly value: number; readonly seconds: number }>();
      for (const { low, high, value, seconds } of sets) {
        table.set(low, high, value, seconds);
        twin.set((BigInt(high) << 32n) | BigInt(low), { value, seconds });
      }
      assert.deepEqual(
        [...table.entries()],
        [...twin].map(([key, { value }]) => [key, value]),
      );
      for (const [key, { value, seconds }] of twin) {
        assert.equal(table.find(keyLow(key), keyHigh(key)), value);
        assert.equal(table.secondsAt(table.rowOf(keyLow(key), keyHigh(key))), seconds);
      }
      for (const { low, high } of sets) {
        const key = (BigInt(low) << 32n) | BigInt(high);
        assert.equal(table.find(high, low), twin.get(key)?.value ?? -1);
      }
    }),
  );
});

test("map() keeps keys and times of what it does not leave out", () => {
  const table = KeyedSlots.of(
    [
      [1n, 5],
      [1n << 40n, 6],
      [3n, 7],
    ],
    9,
  );
  const mapped = table.map((row) => (table.valueAt(row) === 6 ? -1 : table.valueAt(row) * 2));
  assert.deepEqual(
    [...mapped.entries()],
    [
      [1n, 10],
      [3n, 14],
    ],
  );
  assert.equal(mapped.secondsAt(1), 9);
});
