// SPDX-License-Identifier: Apache-2.0

// A zone of a million owners: how long it takes to build and to load, how large it is, and what a look-up costs.
// Run: node bench/micro/snapshot/names-lookup.bench.ts [owners]

import { Pcg32 } from "@meridian/core";
import { NameLookup, openSection, QueryName, Section, ZoneTable } from "@meridian/snapshot";
import { ZoneWriter } from "@meridian/snapshot/writer";

const encoder = new TextEncoder();

function wire(text: string): Uint8Array {
  const labels = text.split(".").filter(Boolean);
  const bytes = new Uint8Array(text.length + 1);
  let at = 0;
  for (const label of labels) {
    bytes[at] = label.length;
    bytes.set(encoder.encode(label), at + 1);
    at += label.length + 1;
  }
  return bytes;
}

function millis(from: number): string {
  return `${(performance.now() - from).toFixed(0)} ms`;
}

const isSmoke = process.env["MERIDIAN_BENCH_SMOKE"] === "1";
const ownerCount = Number(process.argv[2] ?? (isSmoke ? 1000 : 1_000_000));
const names = Array.from({ length: ownerCount }, (_, index) =>
  wire(`host-${index * 7919}.example.org.`),
);
const shape = { targetKind: 0, ttlMin: 5, ttlMax: 60 };

for (const kind of ["static", "bound"]) {
  let start = performance.now();
  const writer = new ZoneWriter(wire("example.org."));
  names.forEach((name, index) => {
    if (kind === "static") writer.addRecord(name, 1, 60, Uint8Array.of(192, 0, 2, index));
    else writer.addBinding(name, [1, 28], { ...shape, targetKey: BigInt(index % 10_000) });
  });
  console.log(`${kind}: ${ownerCount} owners added in ${millis(start)}`);
  start = performance.now();
  const written = writer.finish();
  const bytes = written.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  console.log(
    `${kind}: finished in ${millis(start)}, ${(bytes / 1e6).toFixed(1)} MB in ${written.length} sections`,
  );
  start = performance.now();
  const sections = written
    .map(({ buffer }) => openSection(buffer))
    .filter((section) => section instanceof Section);
  const opened = millis(start);
  start = performance.now();
  const slabs = sections.map(({ slab }) => slab);
  const table = ZoneTable.load(sections, slabs, { policyCount: 1, poolCount: 1, find: () => 0 });
  if (!(table instanceof ZoneTable)) throw new Error(table.error);
  console.log(`${kind}: sections checked in ${opened}, zone loaded in ${millis(start)}`);
  lookups(table, kind, 0);
  lookups(table, kind, 10);
}

/** Random owners among the first `among`, 0 for all. */
function lookups(table: ZoneTable, kind: string, among: number): void {
  const random = new Pcg32(1);
  const count = isSmoke ? 1000 : 2_000_000;
  const order = Uint32Array.from({ length: count }, () => random.next32() % (among || ownerCount));
  const flat = Buffer.concat(names);
  const offsets = new Uint32Array(names.length);
  let at = 0;
  names.forEach((name, index) => {
    offsets[index] = at;
    at += name.length;
  });
  const name = new QueryName(table.seed);
  const lookup = new NameLookup();
  let found = 0;
  const start = performance.now();
  for (let index = 0; index < count; index++) {
    name.set(flat, offsets[order[index]!]!, flat.length, 12);
    const zone = table.find(name, 0);
    if (zone !== undefined && lookup.find(zone, name, false) === 0) found += 1;
  }
  const nanos = ((performance.now() - start) * 1e6) / count;
  console.log(
    `look-up among ${among || ownerCount} names, ${kind}  ${nanos.toFixed(0)} ns, ${found} found`,
  );
}
