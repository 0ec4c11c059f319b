// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseName, RRType } from "@meridian/dns";
import { openSection, Section } from "../section.ts";
import type { WrittenSection } from "../section-writer.ts";
import { NameLookup } from "./name-lookup.ts";
import { QueryName } from "./query-name.ts";
import { TargetKind } from "./zone-format.ts";
import { ZoneTable } from "./zone-table.ts";
import { ZoneWriter } from "./zone-writer.ts";

const address = Uint8Array.of(192, 0, 2, 1);

function wire(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(name instanceof Uint8Array, `"${text}" is a name`);
  return name;
}

function load(...zones: ZoneWriter[]): ZoneTable {
  return loadSections(zones.flatMap((zone) => zone.finish()));
}

function loadSections(written: readonly WrittenSection[]): ZoneTable {
  const sections = written.map(({ buffer }) => {
    const section = openSection(buffer);
    assert.ok(section instanceof Section);
    return section;
  });
  const slabs = sections.map(({ slab }) => slab);
  const table = ZoneTable.load(sections, slabs, {
    policyCount: 256,
    poolCount: 1256,
    find: (kind, low) => kind * 1000 + (low & 0xff),
  });
  assert.ok(table instanceof ZoneTable);
  return table;
}

function nameOf(table: ZoneTable, text: string): QueryName {
  const name = new QueryName(table.seed);
  const bytes = wire(text);
  assert.equal(name.set(bytes, 0, bytes.length, 12), bytes.length);
  return name;
}

function find(table: ZoneTable, text: string, isParentSide = false): string {
  const name = nameOf(table, text);
  const zone = table.find(name, 0);
  if (zone === undefined) return "no zone";
  const lookup = new NameLookup();
  const found = lookup.find(zone, name, isParentSide);
  const kinds = ["exact", "wildcard", "delegation", "dname", "nothing"];
  return `${kinds[found]} ${lookup.label} ${lookup.set(RRType.A) >= 0 ? "A" : "-"}`;
}

function exampleZone(): ZoneWriter {
  const zone = new ZoneWriter(wire("example.org."));
  zone.addRecord(wire("example.org."), RRType.NS, 3600, wire("ns.example.org."));
  zone.addRecord(wire("WWW.example.org."), RRType.A, 60, address);
  zone.addRecord(wire("a.b.c.example.org."), RRType.A, 60, address);
  zone.addRecord(wire("*.wild.example.org."), RRType.A, 60, address);
  zone.addRecord(wire("real.wild.example.org."), RRType.TXT, 60, Uint8Array.of(0));
  zone.addRecord(wire("sub.example.org."), RRType.NS, 60, wire("ns.sub.example.org."));
  zone.addRecord(wire("ns.sub.example.org."), RRType.A, 60, address);
  zone.addRecord(wire("old.example.org."), RRType.DNAME, 60, wire("example.net."));
  zone.addRecord(wire("below.old.example.org."), RRType.A, 60, address);
  return zone;
}

test("find() tells owners, empty non-terminals, wildcards, delegations and DNAMEs apart", () => {
  const table = load(exampleZone());
  assert.equal(find(table, "www.example.org."), "exact 0 A");
  assert.equal(find(table, "wWw.EXAMPLE.org."), "exact 0 A");
  assert.equal(find(table, "b.c.example.org."), "exact 0 -");
  assert.equal(find(table, "x.b.c.example.org."), "nothing 1 -");
  assert.equal(find(table, "x.wild.example.org."), "wildcard 1 A");
  assert.equal(find(table, "x.y.wild.example.org."), "wildcard 2 A");
  assert.equal(find(table, "real.wild.example.org."), "exact 0 -");
  assert.equal(find(table, "x.real.wild.example.org."), "nothing 1 -");
  assert.equal(find(table, "sub.example.org."), "delegation 0 -");
  assert.equal(find(table, "sub.example.org.", true), "exact 0 -");
  assert.equal(find(table, "x.ns.sub.example.org."), "delegation 2 -");
  assert.equal(find(table, "old.example.org."), "exact 0 -");
  assert.equal(find(table, "below.old.example.org."), "dname 1 -");
  assert.equal(find(table, "example.com."), "no zone");
});

test("find() chooses the zone with the longest origin", () => {
  const parent = new ZoneWriter(wire("org."));
  const table = load(parent, exampleZone());
  assert.equal(find(table, "www.example.org."), "exact 0 A");
  assert.equal(find(table, "www.other.org."), "nothing 2 -");
  const name = nameOf(table, "example.org.");
  assert.equal(table.find(name, 0)?.originLabels, 2);
  assert.equal(table.find(name, 1)?.originLabels, 1);
});

test("the same records in another order give the same bytes", () => {
  const records: [string, number][] = [
    ["a", 1],
    ["b.a", 2],
    ["*.c", 3],
    ["a", 4],
    ["d.e.f", 5],
  ];
  const build = (list: readonly [string, number][]): string[] => {
    const zone = new ZoneWriter(wire("example.org."));
    for (const [label, last] of list) {
      zone.addRecord(wire(`${label}.example.org.`), RRType.A, 60, Uint8Array.of(192, 0, 2, last));
    }
    return zone.finish().map(({ name }) => name);
  };
  fc.assert(
    fc.property(fc.shuffledSubarray(records, { minLength: records.length }), (shuffled) => {
      assert.deepEqual(build(shuffled), build(records));
    }),
    { numRuns: 50 },
  );
});

test("a bound set resolves its link and keeps its shape", () => {
  const zone = new ZoneWriter(wire("example.org."));
  zone.addBinding(wire("app.example.org."), [RRType.A, RRType.AAAA], {
    targetKind: TargetKind.pool,
    targetKey: 0x1_0000_0007n,
    ttlMin: 5,
    ttlMax: 60,
  });
  const table = load(zone);
  const lookup = new NameLookup();
  const name = nameOf(table, "app.example.org.");
  lookup.find(table.zones[0]!, name, false);
  const set = lookup.boundSet(2);
  assert.ok(set > 0);
  assert.equal(lookup.boundSet(4), -1);
  const chunk = lookup.chunk!;
  const link = chunk.words[(set >>> 2) + 1]!;
  assert.equal(chunk.targetOf(link), 1007 * 2 + TargetKind.pool);
  assert.equal(chunk.words[chunk.shapeAt(chunk.words[(set >>> 2) + 2]!) + 1], 60);
});

test("trusts() compares whole prefixes of the source's family", () => {
  const table = load(
    new ZoneWriter(wire("example.org."), { ecsTrust: ["192.0.2.0/24", "2001:db8::/33"] }),
  );
  const zone = table.zones[0]!;
  assert.equal(zone.trusts(4, 0xc0000201, 0, 0, 0), true);
  assert.equal(zone.trusts(4, 0xc0000301, 0, 0, 0), false);
  assert.equal(zone.trusts(6, 0x20010db8, 0x7fffffff, 0, 1), true);
  assert.equal(zone.trusts(6, 0x20010db8, 0x80000000, 0, 1), false);
  assert.equal(zone.trusts(6, 0xc0000201, 0, 0, 0), false);
});

const noTargets = { policyCount: 0, poolCount: 0, find: (): number => -1 };

test("load() refuses a zone whose names are missing, and mixed seeds", () => {
  const [zoneSection] = exampleZone().finish();
  const section = openSection(zoneSection!.buffer);
  assert.ok(section instanceof Section);
  assert.match(
    JSON.stringify(ZoneTable.load([section], [section.slab], noTargets)),
    /not in the snapshot/,
  );
});

const label = fc.constantFrom("a", "b", "c", "*", "A");
const relativeName = fc
  .array(label, { minLength: 0, maxLength: 4 })
  .map((labels) => labels.join("."));

/** The slow twin: closest encloser by walking a set of strings. */
function slowFind(owners: ReadonlySet<string>, name: string): string {
  const existing = new Set([""]);
  for (const owner of owners) {
    const labels = owner.toLowerCase().split(".").filter(Boolean);
    for (let from = 0; from <= labels.length; from++) existing.add(labels.slice(from).join("."));
  }
  const labels = name.toLowerCase().split(".").filter(Boolean);
  for (let from = 0; from <= labels.length; from++) {
    const suffix = labels.slice(from).join(".");
    if (!existing.has(suffix)) continue;
    if (from === 0) return "exact";
    return existing.has(suffix === "" ? "*" : `*.${suffix}`) ? "wildcard" : "nothing";
  }
  return "nothing";
}

test("find() agrees with a walk over a set of strings", () => {
  fc.assert(
    fc.property(
      fc.array(relativeName, { maxLength: 12 }),
      fc.array(relativeName, { maxLength: 20 }),
      (owners, names) => {
        const zone = new ZoneWriter(wire("example.org."));
        const absolute = (relative: string): string =>
          relative === "" ? "example.org." : `${relative}.example.org.`;
        for (const owner of owners) zone.addRecord(wire(absolute(owner)), RRType.A, 60, address);
        const table = load(zone);
        const expected = new Set(owners);
        for (const name of names)
          assert.equal(find(table, absolute(name)).split(" ")[0], slowFind(expected, name), name);
      },
    ),
    { numRuns: 200 },
  );
});

test("a zone of 20,000 owners is split and every owner is found", () => {
  const zone = new ZoneWriter(wire("example.org."));
  for (let index = 0; index < 20_000; index++)
    zone.addRecord(wire(`n${index}.example.org.`), RRType.A, 60, address);
  const table = load(zone);
  assert.equal(table.zones[0]?.chunkCount, 8);
  for (let index = 0; index < 20_000; index++)
    assert.equal(find(table, `n${index}.example.org.`), "exact 0 A");
});
