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

test("a table of rows finds each key, in the order of the rows and in any other", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(half, half), { selector: String }), (keys) => {
      const rows = new Uint32Array(keys.flatMap(([low, high], row) => [low, high, row, row + 1]));
      const all = keys.map((_, row) => row);
      for (const order of [all, all.toReversed(), [...all, ...all]]) {
        const table = KeyedSlots.ofRows(rows);
        for (const row of order) {
          const [low = 0, high = 0] = keys[row] ?? [];
          assert.equal(table.find(low, high), row);
          assert.equal(table.secondsAt(table.rowOf(low, high)), row + 1);
        }
        assert.equal(table.find(0xffff_fff0, 7), -1);
        table.set(0xffff_fff0, 7, 9, 9);
        assert.equal(table.find(0xffff_fff0, 7), 9);
        assert.equal(table.size, keys.length + 1);
      }
    }),
  );
});

test("inOrderOf() has the slots of a world first, in its order, and then those that it lacks", () => {
  const table = KeyedSlots.of(
    [
      [9n, 1],
      [3n, 2],
      [1n << 40n, 3],
      [4n, 4],
    ],
    7,
  );
  const keys = [4n, 5n, 1n << 40n, 3n];
  const ordered = table.inOrderOf({
    slotCount: keys.length,
    slotKeyLow: (slot) => keyLow(keys[slot] ?? 0n),
    slotKeyHigh: (slot) => keyHigh(keys[slot] ?? 0n),
  });
  assert.deepEqual(
    [...ordered.entries()],
    [
      [4n, 4],
      [1n << 40n, 3],
      [3n, 2],
      [9n, 1],
    ],
  );
  assert.equal(ordered.secondsAt(0), 7);
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
