// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { SectionKind, SectionPack } from "@meridian/snapshot";
import { SectionWriter, type WrittenSection } from "@meridian/snapshot/writer";
import { SupersededSections } from "./superseded-sections.ts";

function written(key: number, value: number, words = 4): WrittenSection {
  const writer = new SectionWriter(SectionKind.names, BigInt(key));
  writer.table(16, 4, new Uint32Array(words).fill(value));
  return writer.finish();
}

function packOf(sections: readonly WrittenSection[], before?: SectionPack): SectionPack {
  const pack = SectionPack.make(sections, before, undefined, true);
  assert.ok(pack instanceof SectionPack);
  return pack;
}

function begin(t: TestContext): { sections: SupersededSections; time: { nowMs: number } } {
  const time = { nowMs: 1000 };
  const sections = new SupersededSections(() => time.nowMs);
  t.after(() => sections.close());
  return { sections, time };
}

test("section() gives what was served up to 10 s ago, byte for byte", (t) => {
  const { sections, time } = begin(t);
  const [same, old, next] = [written(1, 1), written(2, 2), written(2, 3)];
  const before = packOf([same, old]);
  const after = packOf([same, next], before);
  sections.replace(undefined, before);
  sections.replace(before, after);
  assert.equal(sections.section(same.name), undefined, "it is served");
  const found = sections.section(old.name)?.copy();
  assert.ok(found !== undefined);
  assert.deepEqual(Buffer.from(found), Buffer.from(old.buffer));
  time.nowMs += 9999;
  assert.ok(sections.section(old.name) !== undefined);
  time.nowMs += 1;
  assert.equal(sections.section(old.name), undefined);
});

test("replace() lets go of the oldest where slabs take more than 128 MiB", (t) => {
  const { sections } = begin(t);
  const words = (48 * 1024 * 1024) / 4;
  const revisions = [1, 2, 3, 4].map((value) => written(1, value, words));
  let before: SectionPack | undefined;
  for (const each of revisions) {
    const pack = packOf([each]);
    sections.replace(before, pack);
    before = pack;
  }
  const isHeld = revisions.map(({ name }) => sections.section(name) !== undefined);
  assert.deepEqual(isHeld, [false, true, true, false], "the last one is served");
});
