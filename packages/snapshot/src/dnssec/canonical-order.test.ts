// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareNames, parseName, RRType } from "@meridian/dns";
import { openSection, Section } from "../section.ts";
import { ZoneTable } from "../zone/zone-table.ts";
import { ZoneWriter } from "../zone/zone-writer.ts";
import { CanonicalOrder, nameStart, orderZone } from "./canonical-order.ts";
import { hashZone } from "./hashed-order.ts";

const address = Uint8Array.of(192, 0, 2, 1);
const apex = wire("example.");

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array, text);
  return name;
}

function load(names: readonly Uint8Array[], chunkBits: number): ZoneTable {
  const writer = new ZoneWriter(apex, { owners: 2 ** chunkBits * 4096 });
  writer.addRecord(apex, RRType.NS, 60, wire("ns.example."));
  for (const name of names) writer.addRecord(name, RRType.A, 60, address);
  const sections = writer.finish().map(({ buffer }) => {
    const section = openSection(buffer);
    assert.ok(section instanceof Section);
    return section;
  });
  const table = ZoneTable.load(
    sections,
    sections.map(({ slab }) => slab),
    { policyCount: 0, poolCount: 0, find: () => -1 },
  );
  assert.ok(table instanceof ZoneTable);
  return table;
}

function namesIn(order: CanonicalOrder): Buffer[] {
  return Array.from({ length: order.count }, (_, position) => {
    const { bytes } = order.chunkAt(position);
    const node = order.nodeAt(position);
    const start = nameStart(bytes, node);
    return Buffer.concat([bytes.subarray(start, start + bytes[node + 1]!), apex]);
  });
}

const label = fc
  .uint8Array({ minLength: 1, maxLength: 3 })
  .map((bytes) => bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)));
const name = fc
  .array(label, { minLength: 1, maxLength: 3 })
  .map(
    (labels) =>
      new Uint8Array(
        Buffer.concat([...labels.map((one) => Buffer.from([one.length, ...one])), apex]),
      ),
  );

test("a zone's names are in canonical order, whole or after a change, and floor() is the last at or before", () => {
  fc.assert(
    fc.property(
      fc.array(name, { maxLength: 30 }),
      fc.array(name, { maxLength: 8 }),
      fc.array(name, { minLength: 1, maxLength: 10 }),
      fc.constantFrom(0, 3),
      (first, more, asked, chunkBits) => {
        const before = load(first, chunkBits);
        const after = load([...first, ...more], chunkBits);
        const kept = orderZone(before.zones[0]!, before.chunks);
        // Sections of one content are one object, as where they are taken over from a load before.
        const sections = after.chunks.map(
          (chunk, index) =>
            [before.chunks[index]!].find(
              (old) => Buffer.compare(old.slab.bytes, chunk.slab.bytes) === 0,
            ) ?? chunk,
        );
        const { words } = orderZone(after.zones[0]!, sections, kept);
        const order = new CanonicalOrder(after.zones[0]!, words);
        const hashes = hashZone(before.zones[0]!, before.chunks);
        assert.deepEqual(
          hashZone(after.zones[0]!, sections, hashes).words,
          hashZone(after.zones[0]!, sections).words,
        );
        const expected = [
          ...new Map(
            [apex, ...first, ...more].map((one) => [Buffer.from(one).toString("hex"), one]),
          ).values(),
        ].toSorted(compareNames);
        assert.deepEqual(
          namesIn(order),
          expected.map((one) => Buffer.from(one)),
        );
        for (const one of asked) {
          const position = order.floor(one, 0, one.length - apex.length);
          const wanted = expected.findLastIndex((other) => compareNames(other, one) <= 0);
          assert.equal(position, wanted);
          assert.equal(order.isTarget(position), compareNames(expected[wanted]!, one) === 0);
        }
      },
    ),
  );
});
