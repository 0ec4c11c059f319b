// SPDX-License-Identifier: Apache-2.0

// What limits on responses cost a query: the same queries from many prefixes through a handler with a limiter and one without, in
// alternation, each round giving one difference. Run: node bench/micro/edge/limits.bench.ts [prefixes] [rounds]

import { setFlagsFromString } from "node:v8";
import { Pcg32 } from "@meridian/core";
import { RRType } from "@meridian/dns";
import { ResponseLimiter, type QueryHandler } from "@meridian/edge";
import { makeHandler, packetFor } from "./query-path.bench.ts";

/** As a worker of the edge has it. */
const INLINING_FLAG = "--max-inlined-bytecode-size-cumulative=4000";
const OWNERS = 1000;
const BATCH = 64;
const STRIDE = 512;

/** Nanoseconds of CPU a query: medians, and the median of the differences of the rounds. */
export interface LimitsResult {
  readonly withoutNs: number;
  readonly withNs: number;
  readonly differenceNs: number;
}

/** Asks `queryCount` weighted names a round, each from the next of so many prefixes, none of which passes its rate. */
export function runLimits(prefixes: number, queryCount: number, rounds: number): LimitsResult {
  const random = new Pcg32(5);
  const packets = Array.from({ length: OWNERS }, () =>
    packetFor(`w${random.next32() % OWNERS}`, RRType.A),
  );
  const sources = Uint8Array.from({ length: prefixes * 4 }, () => random.next32() & 0xff);
  const limiter = new ResponseLimiter({ rate: 100_000, exempt: [], seed: 3 });
  const plain = makeHandler(OWNERS);
  const limited = makeHandler(OWNERS, { limiter });
  const times = { plain: [] as number[], limited: [] as number[], difference: [] as number[] };
  for (let round = -2; round < rounds; round++) {
    const first = time(round & 1 ? limited : plain, packets, sources, queryCount);
    const second = time(round & 1 ? plain : limited, packets, sources, queryCount);
    const [without, withLimits] = round & 1 ? [second, first] : [first, second];
    if (round < 0) continue;
    times.plain.push(without);
    times.limited.push(withLimits);
    times.difference.push(withLimits - without);
  }
  return {
    withoutNs: median(times.plain),
    withNs: median(times.limited),
    differenceNs: median(times.difference),
  };
}

function time(
  handler: QueryHandler,
  packets: readonly Uint8Array[],
  sources: Uint8Array,
  queryCount: number,
): number {
  const input = new Uint8Array(BATCH * STRIDE);
  const lengths = new Int32Array(BATCH);
  const starts = new Int32Array(BATCH);
  const families = new Int32Array(BATCH).fill(4);
  const output = new Uint8Array(2048);
  const start = process.threadCpuUsage();
  for (let query = 0; query < queryCount; query += BATCH) {
    for (let slot = 0; slot < BATCH; slot++) {
      const packet = packets[(query + slot) % packets.length]!;
      input.set(packet, slot * STRIDE);
      lengths[slot] = packet.length;
      starts[slot] = ((query + slot) * 4) % sources.length;
    }
    handler.beginBatch();
    handler.lookAhead(input, STRIDE, lengths, BATCH, sources, starts, families);
    for (let slot = 0; slot < BATCH; slot++) {
      const from = starts[slot]!;
      const length = lengths[slot]!;
      handler.handle(input, slot * STRIDE, length, output, 0, 1232, sources, from, 4, false);
    }
    handler.endBatch();
  }
  // Only their sum is counted finer than by ticks.
  const { user, system } = process.threadCpuUsage(start);
  return ((user + system) * 1e3) / queryCount;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >>> 1] ?? 0;
}

if (import.meta.main) {
  setFlagsFromString(INLINING_FLAG);
  const isSmoke = process.env["MERIDIAN_BENCH_SMOKE"] === "1";
  const prefixes = Number(process.argv[2] ?? 10_000);
  const rounds = Number(process.argv[3] ?? (isSmoke ? 1 : 101));
  const found = runLimits(prefixes, isSmoke ? 6400 : 20_000, rounds);
  process.stdout.write(
    `without limits ${found.withoutNs.toFixed(0)} ns, with ${found.withNs.toFixed(0)} ns, difference of a round ${found.differenceNs.toFixed(0)} ns\n`,
  );
}
