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
  firstRcode: 16,
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

/** Sums of the words of several workers, as doubles. `previous` (the last readings) unwraps words that passed 2³². */
export class CounterSum {
  readonly totals: Float64Array;
  readonly #last: Uint32Array;
  readonly #words: Uint32Array;

  constructor(buffer: SharedArrayBuffer, totals: Float64Array) {
    this.#words = new Uint32Array(buffer);
    this.#last = new Uint32Array(this.#words.length);
    this.totals = totals;
  }

  /** Adds what was counted since the last call. Call more often than every 2³² queries. */
  gather(): void {
    const words = this.#words;
    const last = this.#last;
    for (let index = 0; index < words.length; index++) {
      const value = words[index]!;
      const step = (value - last[index]!) >>> 0;
      if (step !== 0) {
        this.totals[index]! += step;
        last[index] = value;
      }
    }
  }
}
