// SPDX-License-Identifier: Apache-2.0

// Nanoseconds of CPU time a query in this process: packet in, answer out, no sockets; and the bytes that a query allocates, which is
// nothing but what the engine's own bookkeeping takes a batch. Run: node bench/micro/edge/query-path.bench.ts [owners] [rounds]

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { key64, Pcg32 } from "@meridian/core";
import { encodeMessage, makeQuery, RRType } from "@meridian/dns";
import { QueryHandler, ServedSnapshot, WorkerCounters } from "@meridian/edge";
import {
  Admin,
  endpointSlot,
  openSection,
  OverlayReader,
  OverlayWriter,
  PER_MILLE,
  Section,
  TargetKind,
  Verdict,
  World,
} from "@meridian/snapshot";
import {
  writePolicies,
  writePools,
  ZoneWriter,
  type PoolInput,
  type PolicyInput,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import { member, pool } from "@meridian/snapshot/testing";

/** One line of the result. */
export interface QueryPathResult {
  readonly name: string;
  readonly medianNs: number;
  readonly leastNs: number;
  readonly mostNs: number;
  /** Bytes allocated on the heap, collected or not, for each query. */
  readonly allocatedBytes: number;
}

const HEALTHY = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, 3);
const POLICIES = 1000;
/** As a worker of the edge has it. */
const INLINING_FLAG = "--max-inlined-bytecode-size-cumulative=4000";
const encoder = new TextEncoder();

/** Runs each case over `ownerCount` owners of each kind, `queryCount` queries a round. */
export function runQueryPath(
  ownerCount: number,
  queryCount: number,
  rounds: number,
): QueryPathResult[] {
  const handler = makeHandler(ownerCount);
  const random = new Pcg32(3);
  const cases: readonly (readonly [string, (index: number) => string, number])[] = [
    ["static A, 10 names", () => `s${random.next32() % 10}`, RRType.A],
    ["static A, random names", () => `s${random.next32() % ownerCount}`, RRType.A],
    ["weighted A, 10 names", () => `w${random.next32() % 10}`, RRType.A],
    ["weighted A, random names", () => `w${random.next32() % ownerCount}`, RRType.A],
    ["NXDOMAIN", () => `no${random.next32() % ownerCount}`, RRType.A],
    ["refused", () => "x.", RRType.A],
  ];
  return cases.map(([name, label, type]) => {
    const packets = Array.from({ length: queryCount }, (_, index) => packetFor(label(index), type));
    return measure(name, handler, packets, rounds);
  });
}

function wire(text: string): Uint8Array {
  const labels = text.split(".").filter(Boolean);
  return Uint8Array.from([
    ...labels.flatMap((label) => [label.length, ...encoder.encode(label)]),
    0,
  ]);
}

function packetFor(label: string, type: number): Uint8Array {
  const name = label.endsWith(".") ? wire(label) : wire(`${label}.example.org`);
  return encodeMessage(makeQuery(name, type, { edns: {} }));
}

function makeHandler(ownerCount: number): QueryHandler {
  const zone = new ZoneWriter(wire("example.org"));
  const soa = [...wire("ns.example.org"), ...wire("root.example.org"), ...new Uint8Array(20)];
  zone.addRecord(wire("example.org"), RRType.SOA, 60, Uint8Array.from(soa));
  const shape = { targetKind: TargetKind.policy, ttlMin: 5, ttlMax: 60 };
  for (let index = 0; index < ownerCount; index++) {
    zone.addRecord(wire(`s${index}.example.org`), RRType.A, 60, Uint8Array.of(192, 0, 2, index));
    const targetKey = key64(`policy/default/p${index % POLICIES}`);
    zone.addBinding(wire(`w${index}.example.org`), [RRType.A, RRType.AAAA], {
      ...shape,
      targetKey,
    });
  }
  const indices = Array.from({ length: POLICIES }, (_, index) => index);
  const sections = [
    writePools(indices.map(poolOf)),
    writePolicies(indices.map(policyOf)),
    ...zone.finish(),
  ];
  const world = openAll(sections);
  const slots = world.initialSlots().fill(HEALTHY, 0, world.pools.endpointCount);
  const overlay = new OverlayWriter(slots);
  const reader = new OverlayReader(overlay.buffer, overlay.slotCount, 0);
  return new QueryHandler(new ServedSnapshot(1, world, reader), {
    counters: new WorkerCounters(),
    nowMs: () => Date.now(),
  });
}

function openAll(written: readonly WrittenSection[]): World {
  const sections = written.map(({ buffer }) => {
    const section = openSection(buffer);
    if (!(section instanceof Section)) throw new TypeError(section.error);
    return section;
  });
  const world = World.load(sections, 1);
  if (!(world instanceof World)) throw new TypeError(world.error);
  return world;
}

function poolOf(index: number): PoolInput {
  const members = [1, 2, 3].map((last) =>
    member(`m${last}`, last, {
      ipv4: Uint8Array.of(198, 51, index & 0xff, last),
      weight: last,
      failureDomain: `d${last}`,
    }),
  );
  return pool(`default/q${index}`, members, { answers: 1 });
}

function policyOf(index: number): PolicyInput {
  const branches = [index, (index + 1) % POLICIES].map((pool, branch) => ({
    target: { pool: `default/q${pool}` },
    weight: branch + 1,
    dial: PER_MILLE,
    tier: 0,
    isFence: false,
    evaluateHealth: true,
  }));
  const node = {
    name: "root",
    kind: "weighted" as const,
    branches,
    onAllUnhealthy: "open" as const,
    answers: 0,
    minHealthy: undefined,
  };
  return { name: `default/p${index}`, root: "root", nodes: [node] };
}

function measure(
  name: string,
  handler: QueryHandler,
  packets: readonly Uint8Array[],
  rounds: number,
): QueryPathResult {
  // As a transport has them: one buffer in, one out.
  const input = Buffer.concat(packets);
  const starts: number[] = [];
  let at = 0;
  for (const packet of packets) {
    starts.push(at);
    at += packet.length;
  }
  starts.push(at);
  const offsets = Uint32Array.from(starts);
  const output = new Uint8Array(65_536);
  const source = Uint8Array.of(198, 51, 100, 1);
  const bytes = new Uint8Array(input.buffer, input.byteOffset, input.length);
  runRound(handler, bytes, offsets, output, source);
  runRound(handler, bytes, offsets, output, source);
  const times: number[] = [];
  const allocatedBefore = getHeapStatistics().total_allocated_bytes;
  for (let round = 0; round < rounds; round++) {
    // CPU time, not wall time: the machine may be busy with something else.
    const start = process.cpuUsage();
    runRound(handler, bytes, offsets, output, source);
    times.push((process.cpuUsage(start).user * 1e3) / packets.length);
  }
  const allocated = getHeapStatistics().total_allocated_bytes - allocatedBefore;
  times.sort((a, b) => a - b);
  return {
    name,
    medianNs: times[times.length >>> 1] ?? 0,
    leastNs: times[0] ?? 0,
    mostNs: times.at(-1) ?? 0,
    allocatedBytes: allocated / (rounds * packets.length),
  };
}

function runRound(
  handler: QueryHandler,
  input: Uint8Array,
  offsets: Uint32Array,
  output: Uint8Array,
  source: Uint8Array,
): void {
  const count = offsets.length - 1;
  for (let index = 0; index < count; index++) {
    if ((index & 63) === 0) {
      if (index > 0) handler.endBatch();
      handler.beginBatch();
    }
    const start = offsets[index] ?? 0;
    handler.handle(
      input,
      start,
      (offsets[index + 1] ?? 0) - start,
      output,
      (index & 31) * 2048,
      2048,
      source,
      0,
      4,
      false,
    );
  }
  handler.endBatch();
}

if (import.meta.main) {
  setFlagsFromString(INLINING_FLAG);
  const isSmoke = process.env["MERIDIAN_BENCH_SMOKE"] === "1";
  const ownerCount = Number(process.argv[2] ?? (isSmoke ? 1000 : 500_000));
  const rounds = Number(process.argv[3] ?? (isSmoke ? 1 : 9));
  for (const result of runQueryPath(ownerCount, isSmoke ? 1000 : 200_000, rounds)) {
    const { name, medianNs, leastNs, mostNs, allocatedBytes } = result;
    process.stdout.write(
      `${name.padEnd(28)} ${medianNs.toFixed(0)} ns (${leastNs.toFixed(0)} ns to ${mostNs.toFixed(0)} ns), ${allocatedBytes.toFixed(2)} B allocated\n`,
    );
  }
}
