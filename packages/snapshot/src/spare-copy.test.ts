// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { openSection, type Section } from "./section.ts";
import { SectionWriter } from "./section-writer.ts";
import { SpareCopy } from "./spare-copy.ts";

function sectionOf(first: number, words = 200_000): Section {
  const writer = new SectionWriter(2, 1n);
  writer.table(16, 4, new Uint32Array(words).fill(first));
  const section = openSection(writer.finish().buffer);
  assert(!("error" in section));
  return section;
}

test("take() gives a copy once, of the section that it was made of alone", () => {
  const [one, other] = [sectionOf(1), sectionOf(2)];
  const spare = new SpareCopy();
  spare.prepare(one);
  const bytes = (section: Section): Uint8Array => Uint8Array.from(section.bytes);
  const first = spare.take(one);
  assert.deepEqual(new Uint8Array(first), bytes(one));
  // Whoever took it writes to it.
  new Uint8Array(first).fill(7);
  spare.prepare(one);
  assert.notEqual(spare.take(one), first);
  spare.prepare(one);
  assert.deepEqual(new Uint8Array(spare.take(other)), bytes(other));
  spare.prepare(other);
  assert.deepEqual(new Uint8Array(spare.take(one)), bytes(one));
  assert.deepEqual(new Uint8Array(spare.take(other)), bytes(other));
  assert.deepEqual(bytes(one), bytes(sectionOf(1)));
});

test("soon() makes the copy of the section that was named last, and none of a small one", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const [one, other, small] = [sectionOf(1), sectionOf(2), sectionOf(3, 10)];
  const spare = new SpareCopy();
  // Whether it was copied before its bytes became others.
  const isMade = (source: Section): boolean => {
    for (let turn = 0; turn < 100; turn++) context.mock.timers.tick(10);
    source.bytes[source.length - 1] = 77;
    return new Uint8Array(spare.take(source)).at(-1) !== 77;
  };
  spare.soon(one);
  spare.soon(other);
  assert.ok(isMade(other));
  assert.ok(!isMade(one));
  spare.soon(small);
  assert.ok(!isMade(small));
  // One that has become small is not copied any more, nor what it was before.
  one.bytes[one.length - 1] = 1;
  spare.prepare(one);
  spare.soon(small);
  assert.ok(!isMade(one));
  spare.soon(one);
  spare.close();
  assert.ok(!isMade(one));
});

test("a copy that is made in pieces is whole where it is taken before its end", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const [one, other] = [sectionOf(1), sectionOf(2)];
  const spare = new SpareCopy();
  for (const turns of [20, 27]) {
    spare.soon(other);
    for (let turn = 0; turn < 15; turn++) context.mock.timers.tick(10);
    spare.soon(one);
    for (let turn = 0; turn < turns; turn++) context.mock.timers.tick(7);
    assert.deepEqual(new Uint8Array(spare.take(one)), Uint8Array.from(one.bytes));
    // Nothing is written to it any more.
    context.mock.timers.tick(1000);
    assert.deepEqual(new Uint8Array(spare.take(other)), Uint8Array.from(other.bytes));
  }
});
