// SPDX-License-Identifier: Apache-2.0
import type { SelectionLayout, World } from "@meridian/snapshot";

/** Rcodes counted one by one; the last word takes all above. */
export const RCODES = 24;

/** Words of the fixed buffer. */
export const FixedCounter = {
  udpQueries: 0,
  tcpQueries: 1,
  ipv6Queries: 2,
  /** Packets that got no answer: too short, or responses. */
  silent: 3,
  truncated: 4,
  /** Answers whose decision used a client subnet. */
  ecsUsed: 5,
  /** Answers that a policy withheld. */
  withheld: 6,
  queryBytes: 7,
  answerBytes: 8,
  edns: 9,
  logged: 10,
  /** Authoritative NOERROR without a record. */
  empty: 11,
  /** Responses that a prefix past its rate got truncated, and those it did not get. */
  limitTruncated: 12,
  limitDropped: 13,
  /** Queries with a cookie that was made here for that client. */
  cookieGood: 14,
  /** Signatures that were there, that were not, that were made, and that a budget forbade. */
  signatureHits: 15,
  signatureMisses: 16,
  signaturesMade: 17,
  signaturesRefused: 18,
  /** Queries that were left out while more came than could be answered. */
  leftOut: 19,
  /** Messages to secondaries, what they took, what they refused or did not answer; and messages of primaries that were taken. */
  notifySent: 20,
  notifyAcknowledged: 21,
  notifyFailed: 22,
  notifyReceived: 23,
  firstRcode: 24,
} as const;

/** Bytes of the fixed buffer. */
export const FIXED_COUNTER_BYTES: number = (FixedCounter.firstRcode + RCODES) * 4;

/** How many of each a snapshot has. */
export interface CounterShape {
  readonly zones: number;
  readonly policies: number;
  readonly pools: number;
  readonly endpoints: number;
  /** Words of selection: nodes, branches, and audiences by node (`SelectionLayout`). */
  readonly nodes?: number;
  readonly branches?: number;
  readonly audiences?: number;
}

/** How many of each a world has. */
export function counterShape(world: World, selection: SelectionLayout): CounterShape {
  return {
    zones: world.zones.zones.length,
    policies: world.policies.policyCount,
    pools: world.pools.poolCount,
    endpoints: world.pools.endpointCount,
    nodes: selection.nodes,
    branches: selection.branches,
    audiences: selection.audiences,
  };
}

/** Where the words of each kind lie in a snapshot's buffer: zones first, by index. */
export class SnapshotCounters {
  readonly policyBase: number;
  readonly poolBase: number;
  readonly endpointBase: number;
  readonly nodeBase: number;
  readonly branchBase: number;
  readonly audienceBase: number;
  readonly bytes: number;

  constructor(shape: CounterShape) {
    this.policyBase = shape.zones;
    this.poolBase = this.policyBase + shape.policies;
    this.endpointBase = this.poolBase + shape.pools;
    this.nodeBase = this.endpointBase + shape.endpoints;
    this.branchBase = this.nodeBase + (shape.nodes ?? 0);
    this.audienceBase = this.branchBase + (shape.branches ?? 0);
    this.bytes = Math.max(1, this.audienceBase + (shape.audiences ?? 0)) * 4;
  }
}

/** Words that are compared at once. */
const BLOCK_WORDS = 4096;
/** The next snapshots may have a few more of this and that. */
const MORE_WORDS = 4096;

/** Sums of the words of several workers, as doubles. `previous` (the last readings) unwraps words that passed 2³². */
export class CounterSum {
  readonly totals: Float64Array;
  readonly #last: Uint32Array;
  readonly #words: Uint32Array;

  /** `before` was of another buffer and is not gathered any more: its memory is taken. */
  constructor(buffer: SharedArrayBuffer, totals: Float64Array, before?: CounterSum) {
    this.#words = new Uint32Array(buffer);
    const old = before === undefined ? undefined : before.#last;
    this.#last =
      old !== undefined && old.length >= this.#words.length
        ? old.fill(0)
        : new Uint32Array(this.#words.length + MORE_WORDS);
    this.totals = totals;
  }

  /** Adds what was counted since the last call, and says whether anything was. Call more often than every 2³² queries. */
  gather(): boolean {
    const words = this.#words;
    const last = this.#last;
    let isCounted = false;
    // Most words of a snapshot stand still, and the C library finds out in a tenth of the time.
    for (let start = 0; start < words.length; start += BLOCK_WORDS) {
      const end = Math.min(words.length, start + BLOCK_WORDS);
      if (Buffer.compare(bytesOf(words, start, end), bytesOf(last, start, end)) === 0) continue;
      isCounted = true;
      this.#add(start, end);
    }
    return isCounted;
  }

  #add(start: number, end: number): void {
    const words = this.#words;
    const last = this.#last;
    for (let index = start; index < end; index++) {
      // Read once: it may be counted on meanwhile.
      const value = words[index]!;
      this.totals[index]! += (value - last[index]!) >>> 0;
      last[index] = value;
    }
  }
}

function bytesOf({ buffer }: Uint32Array, start: number, end: number): Uint8Array {
  return new Uint8Array(buffer, start * 4, (end - start) * 4);
}
