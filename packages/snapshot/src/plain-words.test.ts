// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { differInPlainWords } from "./plain-words.ts";
import { openSealed, openSection, sectionChecksum, type Section } from "./section.ts";
import { SectionWriter } from "./section-writer.ts";

const STRIDES = [16, 4, 8];
const PLAIN = [
  { table: 16, rowWords: 4, columns: [1, 3] },
  { table: 18, rowWords: 2, columns: [0] },
];

function sectionOf(tables: readonly (readonly number[])[]): Section {
  const writer = new SectionWriter(2, 1n);
  for (const [index, table] of tables.entries())
    writer.table(16 + index, STRIDES[index] ?? 4, Uint32Array.from(table));
  const section = openSealed(writer.finish().buffer);
  assert(!("error" in section));
  return section;
}

/** The obvious way: word by word. */
function differAsAllowed(a: readonly (readonly number[])[], b: typeof a): boolean {
  return a.every((table, id) =>
    table.every((word, index) => {
      const words = PLAIN.find(({ table: known }) => known === 16 + id);
      const isPlain = words?.columns.includes(index % words.rowWords) === true;
      return word === b[id]?.[index] || isPlain;
    }),
  );
}

test("two sections differ in plain words where every word that differs is one of those", () => {
  const table = (rows: number): fc.Arbitrary<number[]> =>
    fc.array(fc.nat(9), { minLength: rows, maxLength: rows });
  const edit = fc.record({ table: fc.nat(2), at: fc.nat(9000), value: fc.nat(9) });
  const property = fc.property(
    fc.tuple(table(8000), table(400), table(600)),
    fc.array(edit, { maxLength: 3 }),
    (tables, edits) => {
      const changed = tables.map((words) => [...words]);
      for (const { table: id, at, value } of edits) {
        const words = changed[id] ?? [];
        words[at % words.length] = value;
      }
      const [before, after] = [sectionOf(tables), sectionOf(changed)];
      assert.equal(differInPlainWords(before, after, PLAIN), differAsAllowed(tables, changed));
    },
  );
  fc.assert(property, { numRuns: 150 });
});

test("words that another table has too are not plain", () => {
  const overlapping = (weight: number): Section => {
    const { bytes, words, start } = sectionOf([
      [1, weight, 3, 4],
      [5, 5],
      [6, 7],
    ]);
    // The second table's directory entry, after the header's 64 bytes: it begins where the first one does.
    words[(start + 64 + 16 + 4) >>> 2] = words[(start + 64 + 4) >>> 2] ?? 0;
    new DataView(bytes.buffer).setUint32(60, sectionChecksum(bytes), true);
    const section = openSection(bytes.buffer);
    assert(!("error" in section));
    return section;
  };
  assert.equal(differInPlainWords(overlapping(2), overlapping(2), PLAIN), true);
  assert.equal(differInPlainWords(overlapping(2), overlapping(9), PLAIN), false);
});

test("sections of other tables, lengths or counts differ in more than words", () => {
  const before = sectionOf([[1, 2, 3, 4], [5], [6, 7]]);
  assert.equal(differInPlainWords(before, sectionOf([[1, 2, 3, 4], [5], [6, 7]]), PLAIN), true);
  assert.equal(differInPlainWords(before, sectionOf([[1, 2, 3, 4], [5, 6], []]), PLAIN), false);
  assert.equal(
    differInPlainWords(before, sectionOf([[1, 2, 3, 4, 5, 6, 7, 8], [5], [6, 7]]), PLAIN),
    false,
  );
});
