// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { keyRuns } from "./key-runs.ts";
import { openSection, SectionKind, type Section } from "./section.ts";
import { SectionWriter } from "./section-writer.ts";

const TABLE = 16;

function sectionOf(keys: readonly number[]): Section {
  const writer = new SectionWriter(SectionKind.pools, 1n);
  writer.table(
    TABLE,
    8,
    BigUint64Array.from(keys, (key) => BigInt(key) * 0x1_0000_0001n),
  );
  const section = openSection(writer.finish().buffer);
  assert(!("error" in section));
  return section;
}

function pairs(before: readonly number[], after: readonly number[]): [number, number][] {
  const runs = keyRuns(sectionOf(before), sectionOf(after), TABLE);
  return runs
    .flatMap(({ from, to, length }) =>
      Array.from({ length }, (_, at): [number, number] => [from + at, to + at]),
    )
    .toSorted(([, a], [, b]) => a - b);
}

test("keyRuns() pairs every key that is in both tables, whatever came, went or moved", () => {
  const keys = fc.uniqueArray(fc.nat(400), { maxLength: 300 });
  const isSorted = fc.boolean();
  fc.assert(
    fc.property(keys, keys, isSorted, (a, b, sorted) => {
      const before = sorted ? a.toSorted((x, y) => x - y) : a;
      const after = sorted ? b.toSorted((x, y) => x - y) : b;
      const wanted = after.flatMap((key, to): [number, number][] => {
        const from = before.indexOf(key);
        return from < 0 ? [] : [[from, to]];
      });
      assert.deepEqual(pairs(before, after), wanted);
    }),
  );
});

test("keyRuns() gives one run for equal tables and two around an entry that came", () => {
  const before = Array.from({ length: 1000 }, (_, index) => index * 2);
  const same = keyRuns(sectionOf(before), sectionOf(before), TABLE);
  assert.deepEqual(same, [{ from: 0, to: 0, length: 1000 }]);
  const after = before.toSpliced(500, 0, 999);
  assert.deepEqual(keyRuns(sectionOf(before), sectionOf(after), TABLE), [
    { from: 0, to: 0, length: 500 },
    { from: 500, to: 501, length: 500 },
  ]);
});

test("keyRuns() finds what differs in the middle of long equal runs", () => {
  const size = 4096;
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(size), { maxLength: 5 }), fc.boolean(), (places, isGone) => {
      const before = Array.from({ length: size }, (_, index) => index * 2);
      const after = isGone
        ? before.filter((_, index) => !places.includes(index))
        : before.flatMap((key, index) => (places.includes(index) ? [key - 1, key] : [key]));
      const [fewer, more] = isGone ? [after, before] : [before, after];
      const wanted = fewer.map((key) => before.indexOf(key) + after.indexOf(key));
      assert.deepEqual(
        pairs(before, after).map(([from, to]) => from + to),
        wanted,
        `${more.length} and ${fewer.length}`,
      );
    }),
    { numRuns: 10 },
  );
});
