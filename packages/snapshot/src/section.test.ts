// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  Section,
  SECTION_FLAG_REQUIRED,
  SectionKind,
  SharedTable,
  openSection,
  sectionChecksum,
} from "./section.ts";
import { SectionWriter, type WrittenSection } from "./section-writer.ts";
import { loadWorld, member, pool } from "./testing/world-fixture.ts";
import { World } from "./world.ts";
import { writePolicies } from "./policies/policies-writer.ts";
import { writePools } from "./pools/pools-writer.ts";

function opened(buffer: ArrayBufferLike): Section {
  const section = openSection(buffer);
  assert.ok(section instanceof Section, "error" in section ? section.error : "");
  return section;
}

function written(
  words: readonly number[],
  texts: readonly string[],
  links: readonly bigint[],
): WrittenSection {
  const writer = new SectionWriter(SectionKind.pools, 7n, 99);
  writer.bound(6, 5);
  writer.table(16, 4, Uint32Array.from(words));
  for (const text of texts) writer.text(text);
  for (const link of links) writer.link(link);
  return writer.finish();
}

/** A copy whose header is made to fit its bytes again. */
function sealed(buffer: SharedArrayBuffer, harm: (view: DataView) => void): ArrayBuffer {
  const copy = new ArrayBuffer(buffer.byteLength);
  new Uint8Array(copy).set(new Uint8Array(buffer));
  const view = new DataView(copy);
  harm(view);
  view.setUint32(60, sectionChecksum(new Uint8Array(copy)), true);
  return copy;
}

test("what was written is read back, and the name is the hash of the bytes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(0xffff_ffff), { maxLength: 30 }),
      fc.array(fc.string(), { maxLength: 5 }),
      fc.uniqueArray(fc.bigInt(0n, (1n << 64n) - 1n), { maxLength: 5 }),
      (words, texts, links) => {
        const result = written(words, texts, links);
        const section = opened(result.buffer);
        const base = section.wordBase(16);
        assert.deepEqual([...section.words.subarray(base, base + section.count(16))], words);
        assert.deepEqual(
          links.map((_, index) => section.keyAt(SharedTable.links, index)),
          links,
        );
        assert.deepEqual(
          [section.kind, section.key, section.seed, section.bound(6)],
          [2, 7n, 99, 5],
        );
        assert.equal(section.flags, SECTION_FLAG_REQUIRED);
        assert.equal(
          result.name,
          createHash("sha256").update(new Uint8Array(result.buffer)).digest("hex"),
        );
        assert.equal(written(words, texts, links).name, result.name);
      },
    ),
  );
});

test("equal texts and links share one place", () => {
  const writer = new SectionWriter(SectionKind.pools, 1n);
  assert.deepEqual(writer.text("same"), writer.text("same"));
  assert.equal(writer.link(5n), writer.link(5n));
  assert.notEqual(writer.link(5n), writer.link(6n));
  assert.equal(opened(writer.finish().buffer).text(0, 4), "same");
});

test("a table that is not there is empty", () => {
  const section = opened(written([], [], []).buffer);
  assert.deepEqual([section.count(31), section.count(SharedTable.heap)], [0, 0]);
});

test("every torn, truncated or altered section is refused with a reason, never with an exception", () => {
  const whole = new Uint8Array(written([1, 2, 3, 4], ["a text"], [1n, 2n]).buffer);
  fc.assert(
    fc.property(
      fc.nat(whole.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (at, flip, cut) => {
        const bytes = cut ? whole.slice(0, at) : whole.slice();
        if (!cut) bytes[at] = (bytes[at] ?? 0) ^ flip;
        const result = openSection(bytes.buffer);
        assert.ok("error" in result && result.error.length > 0, `byte ${at}`);
      },
    ),
    { numRuns: 1000 },
  );
});

test("random bytes are no section", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.ok("error" in openSection(bytes.slice().buffer));
    }),
    { numRuns: 500 },
  );
});

test("a directory that points outside is refused though the checksum is right", () => {
  const { buffer } = written([1, 2, 3], [], []);
  const cases: readonly ((view: DataView) => void)[] = [
    (view) => view.setUint32(12, 33, true),
    (view) => view.setUint32(12, 0xffff_ffff, true),
    (view) => view.setUint32(64 + 4, 8, true),
    (view) => view.setUint32(64 + 4, 84, true),
    (view) => view.setUint32(64 + 8, 0x4000_0001, true),
    (view) => view.setUint32(64 + 12, 0xffff_ffff, true),
  ];
  for (const harm of cases) assert.ok("error" in openSection(sealed(buffer, harm)));
  assert.ok(!("error" in openSection(sealed(buffer, () => {}))));
});

test("another format, and another magic, are named in the error", () => {
  const { buffer } = written([], [], []);
  const newer = openSection(sealed(buffer, (view) => view.setUint16(4, 2, true)));
  assert.ok("error" in newer);
  assert.equal(newer.error, "Section format is 2, expected 1");
  const foreign = openSection(sealed(buffer, (view) => view.setUint32(0, 0, true)));
  assert.ok("error" in foreign);
  assert.match(foreign.error, /expected "MSEC"/);
});

test("a required section of an unknown kind is refused, an optional one passed over", () => {
  const base = [writePools([pool("default/a", [member("a", 1)])]), writePolicies([])];
  const unknown = new SectionWriter(900, 1n).finish();
  const load = (buffer: ArrayBufferLike): World | { readonly error: string } =>
    World.load([...base.map((each) => opened(each.buffer)), opened(buffer)], 1);
  const refused = load(unknown.buffer);
  assert.ok("error" in refused);
  assert.match(refused.error, /Section kind is 900/);
  const optional = load(sealed(unknown.buffer, (view) => view.setUint32(28, 0, true)));
  assert.ok(optional instanceof World);
});

test("a changed member changes one section, and the same pools in another order give the same bytes", () => {
  const [a, b] = [pool("default/a", [member("a", 1)]), pool("default/b", [member("b", 2)])];
  assert.equal(writePools([a, b]).name, writePools([b, a]).name);
  assert.notEqual(writePools([a, b]).name, writePools([a]).name);
  assert.equal(loadWorld([b, a], []).pools.poolName(0), "default/a");
});
