// SPDX-License-Identifier: Apache-2.0

// A worker that is to take the queries of another one rehearses: it asks itself for names of its snapshot, over memory and with counters
// of its own, until the compiler has made of the query path what it makes of it under load. The first queries that come over a socket
// are then answered as fast as the last; unrehearsed, a worker needs several times the time for each of its first ten thousands.

import { OverlayReader, OverlayWriter, sampleOwners, type World } from "@meridian/snapshot";
import { WorkerCounters } from "./counters.ts";
import { QueryHandler } from "./query-handler.ts";
import { ServedSnapshot } from "./query-state.ts";
import { TOP_NAMES_BYTES, TopNames } from "./top-names.ts";

const NAMES_MAX = 2048;
const BATCH_SIZE = 64;
const STRIDE = 1280;
/** Queries after which nothing gets faster any more. */
const QUERIES_MAX = 100_000;
/** Processor time that it may take. */
const CPU_MS_MAX = 1000;
/** A and AAAA. */
const TYPES = [1, 28] as const;
/** 192.0.2.0/24, of the addresses for documentation. */
const CLIENT = Uint8Array.of(192, 0, 2, 1);
/** OPT of 1,232 bytes without options, and one with a client subnet (RFC 6891 §6.1, RFC 7871 §6). */
const PLAIN_OPT = Uint8Array.of(0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0);
const SUBNET_OPT = Uint8Array.of(
  ...[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11],
  ...[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2],
);

/** Asks for names of a world until that is quick. Blocks. */
export function rehearse(world: World, slots: Uint32Array): void {
  const names = sampleOwners(world, NAMES_MAX);
  if (names.length === 0) return;
  const overlay = new OverlayWriter(slots);
  const reader = new OverlayReader(overlay.buffer, overlay.slotCount, 0);
  const handler = new QueryHandler(new ServedSnapshot(0, world, reader), {
    counters: new WorkerCounters(),
    topNames: new TopNames(new SharedArrayBuffer(TOP_NAMES_BYTES)),
    nowMs: Date.now,
  });
  const batch = new RehearsedBatch(handler);
  const startMs = cpuMs();
  for (let asked = 0; asked < QUERIES_MAX && cpuMs() - startMs < CPU_MS_MAX; asked += BATCH_SIZE)
    batch.ask(names, asked);
}

/** Queries as they lie in the buffers of a transport. */
class RehearsedBatch {
  readonly #handler: QueryHandler;
  readonly #input = new Uint8Array(BATCH_SIZE * STRIDE);
  readonly #output = new Uint8Array(BATCH_SIZE * STRIDE);
  readonly #lengths = new Int32Array(BATCH_SIZE);
  readonly #sourceStarts = new Int32Array(BATCH_SIZE);
  readonly #families = new Int32Array(BATCH_SIZE).fill(4);

  constructor(handler: QueryHandler) {
    this.#handler = handler;
  }

  ask(names: readonly Uint8Array[], first: number): void {
    const input = this.#input;
    for (let slot = 0; slot < BATCH_SIZE; slot += 1) {
      const name = names[(first + slot) % names.length] ?? Uint8Array.of(0);
      // Each name comes with every type and option in turn.
      const turn = slot + Math.floor(first / names.length);
      const opt = turn % 4 < 2 ? SUBNET_OPT : PLAIN_OPT;
      this.#lengths[slot] = writeQuery(input, slot * STRIDE, name, TYPES[turn % 2] ?? 1, opt);
    }
    const handler = this.#handler;
    handler.beginBatch();
    handler.lookAhead(
      input,
      STRIDE,
      this.#lengths,
      BATCH_SIZE,
      CLIENT,
      this.#sourceStarts,
      this.#families,
    );
    for (let slot = 0; slot < BATCH_SIZE; slot += 1) {
      const at = slot * STRIDE;
      const length = this.#lengths[slot] ?? 0;
      handler.handle(input, at, length, this.#output, at, STRIDE, CLIENT, 0, 4, false);
    }
    handler.endBatch();
  }
}

/** Returns its length. */
function writeQuery(
  output: Uint8Array,
  start: number,
  name: Uint8Array,
  type: number,
  opt: Uint8Array,
): number {
  output.set([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1], start);
  output.set(name, start + 12);
  const end = start + 12 + name.length;
  output.set([0, type, 0, 1], end);
  output.set(opt, end + 4);
  return 12 + name.length + 4 + opt.length;
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
