// SPDX-License-Identifier: Apache-2.0

// Nanoseconds of CPU time a query in this process: packet in, answer out, no sockets; and the bytes that a query allocates, which is
// nothing but what the engine's own bookkeeping takes a batch. Run: node bench/micro/edge/query-path.bench.ts [owners] [rounds]

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { key64, Pcg32 } from "@meridian/core";
import { encodeMessage, makeQuery, RRType, type QueryOptions } from "@meridian/dns";
import {
  QueryHandler,
  ServedSnapshot,
  WorkerCounters,
  type QueryHandlerOptions,
} from "@meridian/edge";
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
  /** Bytes allocated on the heap for each query, in the round with the fewest: functions box numbers until they are compiled. */
  readonly allocatedBytes: number;
}

/**
 * Fewer bytes a query than this are nothing: one boxed number in sixteen queries would be as many. What remains is the clock, which
 * each batch asks once.
 */
export const NOTHING_BYTES = 1;

const HEALTHY = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, PER_MILLE, 3);
const POLICIES = 1000;
/** As a worker of the edge has it. */
export const WORKER_FLAG = "--max-inlined-bytecode-size-cumulative=4000";
const encoder = new TextEncoder();

/**
 * Runs each case over `ownerCount` owners of each kind, `queryCount` queries a round. A case that allocates goes on, up to
 * `roundsMost`: its functions may wait for the compiler, which has a thread of its own and a machine that does other things.
 */
export function runQueryPath(
  ownerCount: number,
  queryCount: number,
  rounds: number,
  roundsMost: number = rounds,
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
    return measure(name, handler, packets, rounds, roundsMost);
  });
}

/** A name in wire form. */
export function wire(text: string): Uint8Array {
  const labels = text.split(".").filter(Boolean);
  return Uint8Array.from([
    ...labels.flatMap((label) => [label.length, ...encoder.encode(label)]),
    0,
  ]);
}

/** A query for a label under the benchmark's zone, or for a name that ends in a dot. */
export function packetFor(
  label: string,
  type: number,
  edns: QueryOptions["edns"] = {},
): Uint8Array {
  const name = label.endsWith(".") ? wire(label) : wire(`${label}.example.org`);
  return encodeMessage(makeQuery(name, type, { edns }));
}

/** A query path over so many owners of each kind. */
export function makeHandler(
  ownerCount: number,
  more: Partial<QueryHandlerOptions> = {},
): QueryHandler {
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
    ...more,
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
  roundsMost: number,
): QueryPathResult {
  const turns = new PacketRounds(packets);
  turns.run(handler);
  turns.run(handler);
  const times: number[] = [];
  let allocatedLeast = Infinity;
  for (
    let round = 0;
    round < rounds || (round < roundsMost && allocatedLeast >= NOTHING_BYTES);
    round++
  ) {
    const allocatedBefore = getHeapStatistics().total_allocated_bytes;
    times.push(turns.run(handler));
    const allocated = getHeapStatistics().total_allocated_bytes - allocatedBefore;
    allocatedLeast = Math.min(allocatedLeast, allocated / packets.length);
  }
  times.sort((a, b) => a - b);
  return {
    name,
    medianNs: times[times.length >>> 1] ?? 0,
    leastNs: times[0] ?? 0,
    mostNs: times.at(-1) ?? 0,
    allocatedBytes: allocatedLeast,
  };
}

/** Packets as a transport has them: one buffer in, one out. */
export class PacketRounds {
  readonly #input: Uint8Array;
  readonly #offsets: Uint32Array;
  readonly #output = new Uint8Array(65_536);
  readonly #source = Uint8Array.of(198, 51, 100, 1);

  constructor(packets: readonly Uint8Array[]) {
    const starts = [0];
    for (const packet of packets) starts.push((starts.at(-1) ?? 0) + packet.length);
    this.#input = new Uint8Array(starts.at(-1) ?? 0);
    for (const [index, packet] of packets.entries()) this.#input.set(packet, starts[index]);
    this.#offsets = Uint32Array.from(starts);
  }

  /** Nanoseconds of CPU time, not of wall time, for each: the machine may be busy with something else. */
  run(handler: QueryHandler): number {
    const start = process.threadCpuUsage();
    runRound(handler, this.#input, this.#offsets, this.#output, this.#source);
    return (process.threadCpuUsage(start).user * 1e3) / (this.#offsets.length - 1);
  }
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
  setFlagsFromString(WORKER_FLAG);
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
