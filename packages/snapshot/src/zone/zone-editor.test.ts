// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import fc from "fast-check";
import { openSection } from "../section.ts";
import type { WrittenSection } from "../section-writer.ts";
import { ZoneEditor, type NamedPart } from "./zone-editor.ts";
import { ZoneWriter, type Binding } from "./zone-writer.ts";

const TYPE = {
  ...{ a: 1, ns: 2, cname: 5, soa: 6, mx: 15, txt: 16, aaaa: 28, dname: 39 },
  ...{ dnskey: 48, https: 65 },
} as const;
const SEED = 7;

function wire(text: string): Uint8Array {
  const labels = text.split(".").filter((label) => label !== "");
  return Uint8Array.from([...labels.flatMap((label) => [label.length, ...Buffer.from(label)]), 0]);
}

const origin = wire("z.test");
const soa = Uint8Array.from([...wire("ns.z.test"), ...wire("h.z.test"), ...Array(20).fill(9)]);

const bindings: readonly Binding[] = [
  { targetKind: 0, targetKey: key64("policy/default/a"), ttlMin: 5, ttlMax: 60 },
  { targetKind: 0, targetKey: key64("policy/default/b"), ttlMin: 5, ttlMax: 60 },
  {
    targetKind: 1,
    targetKey: key64("pool/default/c"),
    ttlMin: 1,
    ttlMax: 9,
    answers: 3,
    service: {
      priority: 2,
      target: wire("svc"),
      // mandatory-less ALPN (1), then ech (5), then a key above the hints (7).
      params: Uint8Array.of(0, 1, 0, 1, 65, 0, 5, 0, 1, 66, 0, 7, 0, 1, 67),
      hasHints: true,
    },
    srv: { priority: 1, weight: 2, port: 3, target: wire("host") },
  },
  // The same as words, though said otherwise.
  {
    targetKind: 1,
    targetKey: key64("pool/default/c"),
    ttlMin: 5,
    ttlMax: 60,
    service: {
      priority: 1,
      target: Uint8Array.of(0),
      params: new Uint8Array(0),
      hasHints: true,
    },
  },
];

interface Bound {
  readonly types: readonly number[];
  readonly binding: Binding;
}
type Names = ReadonlyMap<string, readonly Bound[]>;

/** The slow, obvious twin: the whole zone anew. */
function written(names: Names, last: number | undefined): WrittenSection[] {
  const writer = new ZoneWriter(origin, { seed: SEED, ecsTrust: ["192.0.2.0/24"] });
  writer.addRecord(origin, TYPE.soa, 300, soa);
  writer.addRecord(origin, TYPE.ns, 300, wire("ns.z.test"));
  writer.addRecord(wire("static.z.test"), TYPE.a, 60, Uint8Array.of(192, 0, 2, 1));
  writer.addRecord(wire("static.z.test"), TYPE.txt, 60, Uint8Array.of(1, 65));
  writer.addRecord(wire("deep.cut.z.test"), TYPE.ns, 60, wire("ns.elsewhere.test"));
  writer.addRecord(wire("moved.z.test"), TYPE.dname, 60, wire("elsewhere.test"));
  for (const [name, all] of names)
    for (const { types, binding } of all) writer.addBinding(wire(name), types, binding);
  return last === undefined ? writer.finish() : writer.finish(serialOf(last));
}

/** Depends on the content, as the compiler's does. */
function serialOf(last: number): (hash: string) => number {
  return (hash) => last + (Number.parseInt(hash.slice(0, 6), 16) % 1000);
}

function parts(sections: readonly WrittenSection[]): NamedPart[] {
  return sections.map((section) => {
    const opened = openSection(section.buffer);
    assert(!("error" in opened));
    return { written: section, section: opened };
  });
}

function edited(
  before: readonly WrittenSection[],
  changes: readonly (readonly [string, readonly Bound[]])[],
  last: number | undefined,
): WrittenSection[] | undefined {
  const [zone, ...names] = parts(before);
  assert(zone !== undefined);
  const editor = new ZoneEditor(zone.section, names);
  for (const [name, all] of changes) editor.bind(wire(name), all);
  return editor.finish({ serialOf: last === undefined ? undefined : serialOf(last) });
}

const label = fc.constantFrom("a", "b", "*", "static", "cut", "deep", "moved", "x", "y", "w");
const name = fc
  .array(label, { minLength: 0, maxLength: 4 })
  .map((labels) => [...labels, "z.test"].join("."));
const bound = fc.record({
  types: fc.subarray([TYPE.a, TYPE.aaaa, TYPE.https], { minLength: 1 }),
  binding: fc.constantFrom(...bindings),
});
const change = fc.tuple(name, fc.array(bound, { maxLength: 2 }));

test("bind() gives the very sections of a zone written anew, whatever was bound before", () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 12 }),
      fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 }),
      fc.option(fc.nat(1000), { nil: undefined }),
      (initial, rounds, last) => {
        let names = new Map(initial.filter(([, all]) => all.length > 0));
        let sections = written(names, last);
        for (const changes of rounds) {
          names = new Map(names);
          for (const [owner, all] of changes) {
            if (all.length === 0) names.delete(owner);
            else names.set(owner, all);
          }
          const wanted = written(names, last);
          const got = edited(sections, changes, last);
          assert.deepEqual(
            got?.map((section) => section.name),
            wanted.map((section) => section.name),
          );
          sections = wanted;
        }
      },
    ),
    { numRuns: 200 },
  );
});

interface Kept {
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

const data: Readonly<Record<number, readonly Uint8Array[]>> = {
  [TYPE.a]: [Uint8Array.of(192, 0, 2, 7), Uint8Array.of(192, 0, 2, 8), Uint8Array.of(10, 0, 0, 1)],
  [TYPE.ns]: [wire("ns.elsewhere.test"), wire("ns.z.test")],
  [TYPE.cname]: [wire("to.z.test"), wire("to.elsewhere.test")],
  [TYPE.mx]: [Uint8Array.of(0, 9, ...wire("mx.z.test"))],
  [TYPE.txt]: [Uint8Array.of(1, 66), Uint8Array.of(2, 66, 66)],
};

const records = fc
  .constantFrom(...Object.keys(data).map(Number))
  .chain((type) =>
    fc.tuple(
      fc.constant(type),
      fc.array(
        fc.record({ ttl: fc.constantFrom(5, 60), rdata: fc.constantFrom(...(data[type] ?? [])) }),
        { maxLength: 3 },
      ),
    ),
  );

test("replaceRecords() gives the very sections of a zone written anew, or says that it cannot", () => {
  let done = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, records), { minLength: 1, maxLength: 8 }),
      fc.option(fc.nat(1000), { nil: undefined }),
      (changes, last) => {
        // By owner and type: what the zone has beside what `writtenWith` always puts there.
        const kept = new Map<string, readonly Kept[]>();
        let sections = writtenWith(kept, last);
        for (const [owner, [type, after]] of changes) {
          const key = `${owner} ${type}`;
          const [zone, ...names] = parts(sections);
          assert(zone !== undefined);
          const editor = new ZoneEditor(zone.section, names);
          const before = kept.get(key) ?? [];
          if (!editor.replaceRecords(wire(owner), type, before, after)) continue;
          kept.set(key, after);
          const serial = last === undefined ? undefined : serialOf(last);
          const got = editor.finish({ serialOf: serial, contentSalt: "salt" });
          sections = writtenWith(kept, last);
          assert.deepEqual(
            got?.map((section) => section.name),
            sections.map((section) => section.name),
          );
          done += 1;
        }
      },
    ),
    { numRuns: 200 },
  );
  assert.ok(done > 300, String(done));
});

function writtenWith(
  kept: ReadonlyMap<string, readonly Kept[]>,
  last: number | undefined,
): WrittenSection[] {
  const writer = new ZoneWriter(origin, { seed: SEED, contentSalt: "salt" });
  writer.addRecord(origin, TYPE.soa, 300, soa);
  writer.addRecord(origin, TYPE.ns, 300, wire("ns.z.test"));
  writer.addRecord(wire("static.z.test"), TYPE.a, 60, Uint8Array.of(192, 0, 2, 1));
  writer.addRecord(wire("cut.z.test"), TYPE.ns, 60, wire("ns.elsewhere.test"));
  writer.addRecord(wire("moved.z.test"), TYPE.dname, 60, wire("elsewhere.test"));
  for (const [key, all] of kept) {
    const [owner = "", type] = key.split(" ");
    for (const { ttl, rdata } of all) writer.addRecord(wire(owner), Number(type), ttl, rdata);
  }
  return last === undefined ? writer.finish() : writer.finish(serialOf(last));
}

test("replaceRecords() refuses what is not what stands there", () => {
  const editor = (): ZoneEditor => {
    const [zone, ...names] = parts(writtenWith(new Map(), 1));
    assert(zone !== undefined);
    return new ZoneEditor(zone.section, names);
  };
  const there = { ttl: 60, rdata: Uint8Array.of(192, 0, 2, 1) };
  const [owner, fresh] = [wire("static.z.test"), { ttl: 5, rdata: Uint8Array.of(1, 2, 3, 4) }];
  assert.ok(editor().replaceRecords(owner, TYPE.a, [there], [fresh]));
  assert.ok(!editor().replaceRecords(owner, TYPE.a, [], [fresh]));
  assert.ok(!editor().replaceRecords(owner, TYPE.a, [{ ...there, ttl: 61 }], [fresh]));
  assert.ok(!editor().replaceRecords(owner, TYPE.a, [there, fresh], []));
  assert.ok(!editor().replaceRecords(wire("x.z.test"), TYPE.a, [there], []));
  assert.ok(!editor().replaceRecords(wire("x.z.test"), TYPE.dname, [], [there]));
  assert.ok(!editor().replaceRecords(origin, TYPE.dnskey, [], [there]));
  const beside = editor();
  assert.ok(beside.replaceRecords(owner, TYPE.cname, [], [{ ttl: 5, rdata: wire("z.test") }]));
  assert.equal(beside.isCnameAlone(owner), false);
  assert.ok(beside.replaceRecords(owner, TYPE.a, [there], []));
  assert.equal(beside.isCnameAlone(owner), true);
});

test("finish() lays out only the names sections of owners that changed", () => {
  const names = new Map<string, readonly Bound[]>();
  const one = { types: [TYPE.a], binding: bindings[0]! };
  for (let index = 0; index < 20_000; index++) names.set(`n${index}.z.test`, [one]);
  const before = written(names, 1);
  assert.equal(before.length, 9);
  names.set("fresh.z.test", [one]);
  const got = edited(before, [["fresh.z.test", [one]]], 1);
  assert.deepEqual(
    got?.map((section) => section.name),
    written(names, 1).map((section) => section.name),
  );
  const kept = got?.filter((section) => before.includes(section)).length ?? 0;
  assert.ok(kept >= 6, `${kept} of 9 sections are the same`);
});

test("finish() refuses a zone that needs another number of names sections", () => {
  const names = new Map<string, readonly Bound[]>();
  const one = { types: [TYPE.a], binding: bindings[0]! };
  for (let index = 0; index < 4089; index++) names.set(`n${index}.z.test`, [one]);
  const before = written(names, 1);
  assert.equal(before.length, 2);
  assert.notEqual(edited(before, [["m.z.test", [one]]], 1), undefined);
  const many = Array.from({ length: 9 }, (_, index) => [`m${index}.z.test`, [one]] as const);
  assert.equal(edited(before, many, 1), undefined);
});

test("factsOf() tells what stands at a name and whether a cut hides it", () => {
  const sections = written(
    new Map([["a.z.test", [{ types: [TYPE.a], binding: bindings[0]! }]]]),
    1,
  );
  const [zone, ...rest] = parts(sections);
  assert(zone !== undefined);
  const editor = new ZoneEditor(zone.section, rest);
  const facts = (text: string): unknown => Object.values(editor.factsOf(wire(text)));
  assert.deepEqual(facts("a.z.test"), [1, 0, false]);
  assert.deepEqual(facts("none.z.test"), [0, 0, false]);
  assert.deepEqual(facts("static.z.test"), [0, 2, false]);
  assert.deepEqual(facts("x.deep.cut.z.test"), [0, 0, true]);
  assert.deepEqual(facts("deep.cut.z.test"), [0, 1, true]);
  assert.deepEqual(facts("cut.z.test"), [0, 0, false]);
});
