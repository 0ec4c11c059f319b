// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applySectionDelta, encodeSectionDelta } from "./section-delta.ts";
import { openSection, type Section } from "./section.ts";
import { SectionWriter } from "./section-writer.ts";

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
