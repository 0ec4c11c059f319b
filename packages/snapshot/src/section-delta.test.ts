// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openMade } from "./made-section.ts";
import {
  applySectionDelta,
  encodeSectionDelta,
  isShifted,
  rehearsedDelta,
} from "./section-delta.ts";
import { openSealed, openSection, type Section } from "./section.ts";
import { SectionWriter } from "./section-writer.ts";
import { SpareCopy } from "./spare-copy.ts";

const words = fc.array(fc.nat(3), { maxLength: 3000 });

function sectionOf(tables: readonly (readonly number[])[]): Section {
  const writer = new SectionWriter(2, 1n);
  for (const [index, table] of tables.entries())
    if (table.length > 0) writer.table(16 + index, 4, Uint32Array.from(table));
  const section = openSection(writer.finish().buffer);
  assert(!("error" in section));
  return section;
}

function bytesOf({ bytes, start, length }: Section): Uint8Array {
  return Uint8Array.from(bytes.subarray(start, start + length));
}

/** Some entries are others, gone or new. */
const edits = fc.array(
  fc.record({ at: fc.nat(3000), removed: fc.nat(2), added: fc.array(fc.nat(9), { maxLength: 2 }) }),
  { maxLength: 3 },
);

/** What was made is opened, and not where any byte of it is another one than it was made to be. */
function checkOpened(made: SharedArrayBuffer, delta: Uint8Array, base: Section | undefined): void {
  assert(!("error" in openMade(made, delta, base)));
  const torn = delta.slice();
  torn[torn.length - 1] = (torn.at(-1) ?? 0) ^ 1;
  const wrong = applySectionDelta(torn, base);
  // Mostly the last byte is one that is put somewhere.
  if (typeof wrong === "string") return;
  const isOther = Buffer.compare(new Uint8Array(wrong), new Uint8Array(made)) !== 0;
  assert.equal("error" in openMade(wrong, torn, base), isOther);
}

test("a rehearsed delta makes the section of itself, and one that moves rows is undone by another", () => {
  fc.assert(
    fc.property(fc.array(words, { maxLength: 3 }), (tables) => {
      const section = sectionOf(tables);
      const bytes = bytesOf(section);
      const same = rehearsedDelta(section);
      const copy = applySectionDelta(same, section);
      assert(typeof copy === "object");
      assert.deepEqual(new Uint8Array(copy), bytes);
      checkOpened(copy, same, section);
      const moved = applySectionDelta(rehearsedDelta(section, { added: 1, least: 1 }), section);
      assert(typeof moved === "object");
      const hasMoved = tables.some((table) => table.some((word) => word > 0));
      assert.equal(Buffer.compare(new Uint8Array(moved), bytes) !== 0, hasMoved);
      const opened = openSealed(moved);
      assert(!("error" in opened));
      const back = rehearsedDelta(opened, { added: 0xffff_ffff, least: 2 });
      const made = applySectionDelta(back, opened);
      assert(typeof made === "object");
      assert.deepEqual(new Uint8Array(made), bytes);
    }),
  );
});

test("a delta makes the section that it was made of", () => {
  fc.assert(
    fc.property(fc.array(words, { maxLength: 3 }), edits, fc.nat(2), (tables, changes, which) => {
      const before = sectionOf(tables);
      const changed = tables.map((table) => [...table]);
      for (const { at, removed, added } of changes)
        changed[which % Math.max(1, changed.length)]?.splice(at, removed, ...added);
      const after = sectionOf(changed);
      for (const base of [before, undefined]) {
        const delta = encodeSectionDelta(base, after, 1_000_000);
        assert(delta !== undefined);
        const made = applySectionDelta(delta, base);
        assert(typeof made === "object");
        assert.deepEqual(new Uint8Array(made), bytesOf(after));
        const was = bytesOf(before);
        const spare = new SpareCopy();
        // The first one is made in the copy, if nothing moves, and the second one without.
        spare.prepare(before);
        for (let pass = 0; pass < 2; pass++) {
          const again = applySectionDelta(delta, base, spare);
          assert(typeof again === "object");
          assert.deepEqual(new Uint8Array(again), bytesOf(after));
        }
        checkOpened(made, delta, base);
        assert.deepEqual(bytesOf(before), was);
      }
    }),
    { numRuns: 200 },
  );
});

test("a delta of a few words is small, whatever the section's size is, and too large a one is none", () => {
  const table = Array.from({ length: 100_000 }, (_, index) => index * 7);
  const before = sectionOf([table, table]);
  const after = sectionOf([table.with(50_000, 1), table.toSpliced(10, 0, 1, 2)]);
  const delta = encodeSectionDelta(before, after, 1_000_000);
  assert(delta !== undefined && delta.length < 300, `it has ${delta?.length} bytes`);
  assert.equal(encodeSectionDelta(before, after, delta.length - 1), undefined);
  assert.equal(encodeSectionDelta(undefined, after, 1000), undefined);
});

/** Rows of four words: a number of no pattern, two places in other tables, one of which is small in half of the rows, and one that is nowhere in every third. */
function rowsOf(count: number, gap: { readonly at: number; readonly rows: number }): Uint32Array {
  return Uint32Array.from({ length: (count + gap.rows) * 4 }, (_, word) => {
    const [row, column] = [Math.floor(word / 4), word % 4];
    const isNew = row >= gap.at && row < gap.at + gap.rows;
    const old = row < gap.at ? row : row - gap.rows;
    if (isNew) return 0xabcd_0000 + word;
    if (column === 0) return Math.imul(old, 0x9e37_79b1) >>> 0;
    if (column === 3) return old % 3 === 0 ? 0xffff_ffff : 7;
    return column === 2 && old % 2 === 0 ? 3 : row * column + 4;
  });
}

function sectionOfRows(rows: Uint32Array, stride: number): Section {
  const writer = new SectionWriter(2, 1n);
  writer.table(16, 4, Uint32Array.of(1, 2, 3));
  writer.table(17, stride, rows);
  const section = openSection(writer.finish().buffer);
  assert(!("error" in section));
  return section;
}

test("rows that say that something else is further on are a few words of a delta", () => {
  for (const rows of [1, 2, 5])
    for (const at of [0, 1, 400, 9999, 10_000])
      for (const stride of [4, 16, 32]) {
        const before = sectionOfRows(rowsOf(10_000, { at: 0, rows: 0 }), stride);
        // Of two rows of the table one entry of 32 bytes is made.
        const gap = { at: at - (at % 2), rows: rows * 2 };
        const after = sectionOfRows(rowsOf(10_000, gap), stride);
        for (const [from, to] of [
          [before, after],
          [after, before],
        ] as const) {
          const delta = encodeSectionDelta(from, to, 1_000_000);
          assert(delta !== undefined);
          const made = applySectionDelta(delta, from);
          assert(made instanceof SharedArrayBuffer);
          assert.deepEqual(new Uint8Array(made), bytesOf(to));
          if (stride !== 16 || at === 10_000 || at === 9999) continue;
          assert(isShifted(delta));
          assert(delta.length < 500, `it has ${delta.length} bytes`);
        }
      }
});

test("a delta of tables in which places have moved makes the section that it was made of", () => {
  const column = fc.record({ added: fc.nat(3), least: fc.nat(40), range: fc.constantFrom(2, 50) });
  fc.assert(
    fc.property(
      fc.array(column, { minLength: 1, maxLength: 4 }),
      fc.nat(400),
      fc.nat(3),
      fc.array(fc.record({ at: fc.nat(2000), word: fc.nat(50) }), { maxLength: 2 }),
      fc.integer(),
      (columns, at, gap, edited, seed) => {
        const random = (row: number, word: number, range: number): number => {
          const value = (Math.imul(row * 31 + word * 7 + seed, 0x9e37_79b1) >>> 7) % range;
          return value === 49 ? 0xffff_ffff : value;
        };
        const size = columns.length;
        const rows = Array.from({ length: 500 }, (_, row) =>
          columns.map(({ range }, word) => random(row, word, range)),
        );
        const moved = rows.map((row) =>
          row.map((value, word) => {
            const { added = 0, least = 0 } = columns[word] ?? {};
            return value >= least && value !== 0xffff_ffff ? value + added : value;
          }),
        );
        moved.splice(at, 0, ...Array.from({ length: gap }, () => columns.map(() => 9)));
        const words = Uint32Array.from(moved.flat());
        for (const { at: place, word } of edited) words[place % words.length] = word;
        const before = sectionOfRows(Uint32Array.from(rows.flat()), size * 4);
        const after = sectionOfRows(words, size * 4);
        const delta = encodeSectionDelta(before, after, 1_000_000);
        assert(delta !== undefined);
        const made = applySectionDelta(delta, before);
        assert(made instanceof SharedArrayBuffer);
        assert.deepEqual(new Uint8Array(made), bytesOf(after));
      },
    ),
    { numRuns: 500 },
  );
});

test("a delta that shifts what is not there makes nothing, and never throws", () => {
  const before = sectionOfRows(rowsOf(200, { at: 0, rows: 0 }), 16);
  const after = sectionOfRows(rowsOf(200, { at: 4, rows: 1 }), 16);
  const delta = encodeSectionDelta(before, after, 10_000);
  assert(delta !== undefined && isShifted(delta));
  const view = new DataView(delta.buffer);
  const shifts = 8 + (view.getUint32(4, true) - 0x8000_0000) * 12;
  assert.equal(view.getUint32(shifts, true), 1);
  for (const [place, value] of [
    [0, 0xffff_ffff],
    [0, 2],
    [4, after.length],
    [4, 2],
    [8, 0xffff_ffff],
    [12, 0],
    [12, 17],
  ] as const) {
    const wrong: Uint8Array<ArrayBuffer> = Uint8Array.from(delta);
    new DataView(wrong.buffer).setUint32(shifts + place, value, true);
    assert.equal(typeof applySectionDelta(wrong, before), "string", `${place} ${value}`);
  }
  fc.assert(
    fc.property(fc.nat(delta.length - 1), fc.nat(255), fc.nat(delta.length), (at, byte, length) => {
      const torn = Uint8Array.from(delta).subarray(0, length);
      if (at < torn.length) torn[at] = byte;
      const made = applySectionDelta(torn, before);
      if (typeof made === "object") assert(made.byteLength <= before.length + torn.length);
    }),
    { numRuns: 2000 },
  );
});

test("bytes that are no delta make nothing, and never throw", () => {
  const before = sectionOf([[1, 2, 3]]);
  const delta = encodeSectionDelta(before, sectionOf([[1, 2, 4]]), 1000);
  assert(delta !== undefined);
  fc.assert(
    fc.property(fc.nat(delta.length - 1), fc.nat(255), fc.nat(delta.length), (at, byte, length) => {
      const torn = Uint8Array.from(delta).subarray(0, length);
      if (at < torn.length) torn[at] = byte;
      const made = applySectionDelta(torn, before);
      if (typeof made === "object") assert(made.byteLength <= before.length + torn.length);
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      applySectionDelta(bytes, undefined);
    }),
  );
});
