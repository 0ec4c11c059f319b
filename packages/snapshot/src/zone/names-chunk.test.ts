// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, RRType } from "@meridian/dns";
import { openSection, Section } from "../section.ts";
import { targetsOf } from "./names-chunk.ts";
import { TargetKind } from "./zone-format.ts";
import { ZoneTable } from "./zone-table.ts";
import { ZoneWriter } from "./zone-writer.ts";

const OWNERS = 500;

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array);
  return name;
}

/** Names of which each leads to a pool of its own. */
function zoneBuffers(): SharedArrayBuffer[] {
  const zone = new ZoneWriter(wire("example.org."));
  for (let owner = 0; owner < OWNERS; owner++)
    zone.addBinding(wire(`n${owner}.example.org.`), [RRType.A], {
      ...{ targetKind: TargetKind.pool, targetKey: BigInt(owner + 1) },
      ...{ ttlMin: 5, ttlMax: 60 },
    });
  return zone.finish().map(({ buffer }) => buffer);
}

function opened(buffers: readonly SharedArrayBuffer[]): Section[] {
  return buffers.map((buffer) => {
    const section = openSection(buffer);
    assert.ok(section instanceof Section);
    return section;
  });
}

test("sections that lie in another slab lead where they led without a look-up, also where the memory of links is full", () => {
  const buffers = zoneBuffers();
  let lookUps = 0;
  const targets = {
    ...{ policyCount: 0, poolCount: OWNERS },
    find: (_: number, low: number): number => {
      lookUps++;
      return low - 1;
    },
  };
  const load = (sections: Section[], known = {}): ZoneTable => {
    const slabs = sections.map(({ slab }) => slab);
    const table = ZoneTable.load(sections, slabs, targets, known);
    assert.ok(table instanceof ZoneTable);
    return table;
  };
  const first = load(opened(buffers));
  assert.equal(lookUps, OWNERS);
  const { known, records } = first.names;
  assert.ok(known !== undefined);
  while (known.space.take(1) >= 0);
  const before = {
    ...{ ...known, records, sections: first.chunks, policies: undefined, pools: undefined },
    keys: { before: String, after: String },
  };
  const moved = load(opened(buffers), { before });
  assert.equal(lookUps, OWNERS);
  assert.notEqual(moved.names.links, first.names.links);
  assert.deepEqual(targetsOf(moved.names), targetsOf(load(opened(buffers)).names));
});
