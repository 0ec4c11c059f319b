// SPDX-License-Identifier: Apache-2.0

// The handler of limits.ts: the query path twice over the same world, with limits on responses and without, one of them in use. Each query
// is taken as another client's, of many prefixes in no order.

import { Pcg32 } from "@meridian/core";
import {
  ResponseLimiter,
  type HandlerBinding,
  type PacketHandler,
  type QueryHandler,
} from "@meridian/edge";
import { makeHandler } from "../micro/edge/query-path.bench.ts";

/** Owners of each kind: `w0.example.org` and so on. */
export const OWNERS = 1000;
/** Kind of the message that has responses limited; any other ends that. */
export const LIMITED = "limited";
const PREFIXES = 10_000;
const ADDRESS_BYTES = 4;
/** Nobody is limited: what is measured is the look at each response. */
const RATE = 100_000;

class Alternating implements PacketHandler {
  readonly #without = makeHandler(OWNERS);
  readonly #with: QueryHandler = makeHandler(OWNERS, {
    limiter: new ResponseLimiter({ rate: RATE, exempt: [], seed: 3 }),
  });
  readonly #clients: Uint8Array;
  #starts = new Int32Array(0);
  #next = 0;
  #now: QueryHandler = this.#without;

  constructor() {
    const random = new Pcg32(5);
    this.#clients = Uint8Array.from(
      { length: PREFIXES * ADDRESS_BYTES },
      () => random.next32() & 0xff,
    );
  }

  limit(isLimited: boolean): void {
    this.#now = isLimited ? this.#with : this.#without;
  }

  beginBatch(): void {
    this.#now.beginBatch();
  }

  lookAhead(
    input: Uint8Array,
    stride: number,
    lengths: Int32Array,
    count: number,
    _source: Uint8Array,
    sourceStarts: Int32Array,
    families: Int32Array,
  ): void {
    if (this.#starts.length === 0) this.#starts = new Int32Array(sourceStarts.length);
    for (let index = 0; index < count; index++) {
      this.#starts[index] = this.#next * ADDRESS_BYTES;
      this.#next = (this.#next + 1) % PREFIXES;
    }
    this.#next = (this.#next + PREFIXES - count) % PREFIXES;
    this.#now.lookAhead(input, stride, lengths, count, this.#clients, this.#starts, families);
  }

  handle(
    input: Uint8Array,
    start: number,
    length: number,
    output: Uint8Array,
    outputStart: number,
    outputMax: number,
    _source: Uint8Array,
    _sourceStart: number,
    family: number,
    isTcp: boolean,
  ): number {
    const client = this.#next * ADDRESS_BYTES;
    this.#next = (this.#next + 1) % PREFIXES;
    return this.#now.handle(
      ...([input, start, length, output, outputStart, outputMax] as const),
      ...([this.#clients, client, family, isTcp] as const),
    );
  }

  endBatch(): void {
    this.#now.endBatch();
  }
}

/** Called once in each worker. */
export function createHandler(): HandlerBinding {
  const handler = new Alternating();
  return { handler, onMessage: (message) => handler.limit(isLimited(message)) };
}

function isLimited(message: unknown): boolean {
  return (
    typeof message === "object" && message !== null && "kind" in message && message.kind === LIMITED
  );
}
