// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseName, nameKey } from "@meridian/dns";
import { loadModel, type Model } from "@meridian/model";
import { openSection, Section, World } from "@meridian/snapshot";
import fc from "fast-check";
import type { Compiled, CompileOptions } from "./compile.ts";
import { changedSections, compileModel, modelOf } from "./testing/control-fixture.ts";
import { dateSerial, isAfter, lastZones, nextSerial, type LastZone } from "./zone-history.ts";

interface Parts {
  /** More of the zone's spec. */
  readonly zone?: string;
  readonly records?: string;
  readonly weight?: number;
  readonly ttl?: string;
}

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";

function documents({ zone = "", records = "[]", weight = 1, ttl = "30s" }: Parts): string[] {
  return [
    `${header} Zone
metadata: {name: example}
spec: {origin: Example.org, nameServers: [{name: ns.example.net}], records: ${records}${zone}}
`,
    `${header} Pool
metadata: {name: p}
spec: {members: {one: {address: 192.0.2.1, weight: ${weight}}, two: {address: 192.0.2.2}}}
`,
    `${header} Record
metadata: {name: www}
spec: {name: www.example.org, pool: p, ttl: {max: ${ttl}}}
`,
  ];
}

function compiled(parts: Parts, options: Partial<CompileOptions> = {}): Compiled {
  return compileModel(modelOf(documents(parts).join("---\n")), options);
}

/** Compiles `parts` after `before` was published. */
function after(before: Compiled, parts: Parts, serialBase = 1): Compiled {
  return compiled(parts, { last: lastZones(before.sections), serialBase });
}

function zoneIn({ sections }: Compiled, origin = "example.org."): LastZone | undefined {
  const name = parseName(origin);
  assert.ok(name instanceof Uint8Array);
  return lastZones(sections).get(nameKey(name));
}

function serialOf(compilation: Compiled): number | undefined {
  return zoneIn(compilation)?.serial;
}

const text = '[{name: t, type: TXT, values: ["one"]}]';

test("the serial stays as long as the zone's content does", () => {
  const first = compiled({}, { serialBase: 2026112200 });
  assert.equal(serialOf(first), 2026112200);
  const again = after(first, {}, 2026112300);
  assert.equal(changedSections(first.sections, again.sections), 0);
  const reordered = compileModel(modelOf(documents({}).toReversed().join("---\n")), {
    last: lastZones(first.sections),
    serialBase: 2026112300,
  });
  assert.equal(changedSections(first.sections, reordered.sections), 0);
  // What a pool answers with is no data of the zone.
  assert.equal(serialOf(after(first, { weight: 5 }, 2026112300)), 2026112200);
});

test("the serial moves with every change of the zone's content, and only forwards", () => {
  const first = compiled({}, { serialBase: 2026112200 });
  const changes: Parts[] = [
    { records: text },
    { ttl: "20s" },
    { zone: ", ttl: 1m" },
    { zone: ", soa: {refresh: 1h}" },
  ];
  for (const change of changes)
    assert.equal(serialOf(after(first, change, 2026112200)), 2026112201, JSON.stringify(change));
  const next = after(first, { records: text }, 2026112300);
  assert.equal(serialOf(next), 2026112300);
  const back = after(next, {}, 2026112200);
  assert.equal(serialOf(back), 2026112301);
});

test("a serial that is fixed stays as it is, and the serials after it go on from it", () => {
  const fixed = compiled({ zone: ", soa: {serial: 7}" }, { serialBase: 5 });
  assert.equal(serialOf(fixed), 7);
  const changed = after(fixed, { zone: ", soa: {serial: 7}", records: text }, 5);
  assert.equal(serialOf(changed), 7);
  assert.equal(serialOf(after(changed, { records: text }, 5)), 8);
});

test("nextSerial() is greater than the last one in serial arithmetic", () => {
  const serial = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(serial, fc.integer({ min: 1, max: 0xffff_ffff }), (lastSerial, base) => {
      const last = { sections: [], contentHash: "a", serial: lastSerial };
      const next = nextSerial(last, "b", base);
      assert.ok(isAfter(next, lastSerial) && next > 0);
      assert.equal(nextSerial(last, "a", base), lastSerial);
    }),
  );
  assert.equal(nextSerial({ sections: [], contentHash: "a", serial: 0xffff_ffff }, "b", 9e8), 9e8);
  assert.equal(nextSerial({ sections: [], contentHash: "a", serial: 0xffff_ffff }, "b", 4e9), 1);
  assert.equal(dateSerial(Date.UTC(2026, 10, 3, 23, 59)), 2026110300);
});

test("a changed record rebuilds at most one chunk a label, and the zone's facts", () => {
  const many = (changed: string): Parts => ({
    records: JSON.stringify(
      Array.from({ length: 20_000 }, (_, index) => ({
        name: `a.n${index}`,
        type: "TXT",
        values: [index === 77 ? changed : "same"],
      })),
    ),
  });
  const first = compiled(many("one"));
  const second = after(first, many("two"));
  assert.ok((zoneIn(first)?.sections.length ?? 0) > 8);
  // Its own chunk, the apex's for the serial, the zone section with the SOA; the parent in between is as it was.
  const changed = changedSections(first.sections, second.sections);
  assert.ok(changed >= 2 && changed <= 3, `${changed} sections changed`);
});

test("one more pool among 30,000 changes at most three sections", () => {
  const pools = (count: number): Model => {
    const lines = Array.from({ length: count }, (_, index) =>
      JSON.stringify({
        apiVersion: "meridian.dev/v1alpha1",
        kind: "Pool",
        metadata: { name: `p${index}` },
        spec: { members: { one: { address: "192.0.2.1" } } },
      }),
    );
    const files = [
      { path: "pools.jsonl", bytes: Buffer.from(lines.join("\n")) },
      { path: "zone.yaml", bytes: Buffer.from(documents({}).join("---\n")) },
    ];
    const { model } = loadModel(files, { now: 0 });
    assert.ok(model !== undefined);
    return model;
  };
  const first = compileModel(pools(30_000));
  const second = compileModel(pools(30_001), { last: lastZones(first.sections) });
  const changed = changedSections(first.sections, second.sections);
  assert.ok(changed >= 1 && changed <= 3, `${changed} sections changed`);
});

test("a zone that cannot be compiled keeps its last good data and says so; the others go on", () => {
  const other = (value: string): string => `${header} Zone
metadata: {name: other}
spec: {origin: other.example, nameServers: [{name: ns.example.net}], records: [{name: t, type: TXT, values: [${value}]}]}
`;
  // An owner can have 255 types.
  const tooMany = JSON.stringify(
    Array.from({ length: 256 }, (_, index) => ({
      name: "t",
      type: `TYPE${65_280 + index - (index > 250 ? 1000 : 0)}`,
      values: ["\\# 1 00"],
    })),
  );
  const both = (parts: Parts, value: string, last?: Compiled): Compiled =>
    compileModel(modelOf([...documents(parts), other(value)].join("---\n")), {
      last: lastZones(last?.sections ?? []),
    });
  const good = both({}, "one");
  const broken = both({ records: tooMany }, "two", good);
  assert.deepEqual(
    broken.problems.map(({ subject }) => subject),
    ["zone/example.org"],
  );
  assert.match(broken.problems[0]?.message ?? "", /at most 255 types.*its last good data stay$/);
  assert.deepEqual(
    zoneIn(broken)?.sections.map(({ name }) => name),
    zoneIn(good)?.sections.map(({ name }) => name),
  );
  assert.notDeepEqual(
    zoneIn(broken, "other.example.")?.serial,
    zoneIn(good, "other.example.")?.serial,
  );
  const fresh = both({ records: tooMany }, "two");
  assert.match(fresh.problems[0]?.message ?? "", /it is not served$/);
  assert.equal(zoneIn(fresh), undefined);
  // What stays once stays until the zone is right again.
  const later = both({ records: tooMany }, "three", broken);
  assert.equal(zoneIn(later)?.serial, zoneIn(good)?.serial);
});

test("a signed zone says into how many variants its answers fall, a power of two; another one does not", () => {
  const bitsOf = (zone: string): number | undefined => {
    const sections = compiled({ zone }).sections.map(({ buffer }) => openSection(buffer));
    const world = World.load(
      sections.filter((section) => section instanceof Section),
      1,
    );
    assert.ok(world instanceof World);
    return world.zones.zones[0]?.variantBits;
  };
  assert.equal(bitsOf(""), 0);
  assert.equal(bitsOf(", dnssec: {}"), 6);
  assert.equal(bitsOf(", dnssec: {answerVariants: 20}"), 4);
});
