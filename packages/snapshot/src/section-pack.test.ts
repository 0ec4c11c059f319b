// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SectionPack } from "./section-pack.ts";
import { SectionWriter, type WrittenSection } from "./section-writer.ts";
import { SectionKind } from "./section.ts";

function written(key: number, words: number, value: number): WrittenSection {
  const writer = new SectionWriter(SectionKind.names, BigInt(key));
  writer.table(16, 4, new Uint32Array(words).fill(value));
  return writer.finish();
}

function pack(sections: readonly WrittenSection[], previous?: SectionPack): SectionPack {
  const made = SectionPack.make(sections, previous);
  assert.ok(made instanceof SectionPack);
  return made;
}

test("a pack holds the bytes that it was given, in order, and keeps what it had where it was", () => {
  const edit = fc.record({
    at: fc.nat(11),
    words: fc.constantFrom(1, 10, 1000),
    value: fc.nat(3),
  });
  fc.assert(
    fc.property(fc.array(fc.array(edit, { maxLength: 6 }), { minLength: 1 }), (revisions) => {
      const current = Array.from({ length: 12 }, (_, key) => written(key, 100, 9));
      let before: SectionPack | undefined;
      for (const edits of revisions) {
        for (const { at, words, value } of edits) current[at] = written(at, words, value);
        const after: SectionPack = pack(current, before);
        assert.equal(after.sections.length, current.length);
        for (const [index, { bytes, start, length, key }] of after.sections.entries()) {
          assert.equal(key, BigInt(index));
          assert.deepEqual(
            Buffer.from(bytes.slice(start, start + length)),
            Buffer.from(new Uint8Array(current[index]!.buffer)),
          );
        }
        const slabs = new Set(after.sections.map(({ slab }) => slab));
        // Each at least as large as all smaller ones together, but for the newest: 12 sections of at most 4,200 bytes.
        assert.ok(slabs.size <= 8, `${slabs.size} slabs`);
        if (edits.length === 0 && before !== undefined)
          assert.ok(after.sections.every((section, index) => section === before?.sections[index]));
        before = after;
      }
    }),
    { numRuns: 100 },
  );
});

test("a slab that is mostly unused is left behind", () => {
  const small = written(1, 10, 1);
  const first = pack([written(0, 10_000, 1), small]);
  const second = pack([written(0, 10_000, 2), small], first);
  assert.equal(new Set(second.sections.map(({ slab }) => slab)).size, 1);
  assert.notEqual(second.sections[0]?.slab, first.sections[0]?.slab);
});

test("an unchanged pack stays where it is, and a torn section is refused", () => {
  const sections = [written(0, 10, 1), written(1, 10, 1)];
  const first = pack(sections);
  assert.deepEqual(pack(sections, first).sections, first.sections);
  const torn = written(2, 10, 1);
  new Uint8Array(torn.buffer)[90]! ^= 1;
  const refused = SectionPack.make([...sections, torn], first);
  assert.ok("error" in refused);
  assert.match(refused.error, /checksum/);
});

test("a slab is announced before it is written to", () => {
  const announced: SharedArrayBuffer[] = [];
  const made = SectionPack.make([written(0, 10, 1)], undefined, (slab) => {
    assert.ok(new Uint8Array(slab).every((byte) => byte === 0));
    announced.push(slab);
  });
  assert.ok(made instanceof SectionPack);
  assert.deepEqual(announced, [made.sections[0]?.slab.buffer]);
});
