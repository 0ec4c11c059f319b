// SPDX-License-Identifier: Apache-2.0

// Which members of a pool can be answered now, with cumulative weights, derived from the overlay on the first query after the
// pool's epoch slot moved and kept until it moves again. One table a worker and mode, in typed arrays as long as the endpoint
// table, so that deriving allocates nothing.

import { Admin, CAPACITY_SHIFT, CHANGE_SHIFT, PER_MILLE, Verdict } from "../overlay.ts";
import type { PoolTable } from "./pool-table.ts";
import {
  ENDPOINT_WORDS,
  EndpointFlag,
  EndpointWord,
  POOL_WORDS,
  PoolWord,
  Serve,
  healthyNeeded,
} from "./pools-format.ts";

/** How verdicts are taken: as they are, all as healthy (`open`), or as before everything failed (`lastKnown`). */
export const Mode = { verdict: 0, open: 1, lastKnown: 2 } as const;

/** Overlay bit of an endpoint that was eligible just before its whole pool failed. */
export const LAST_KNOWN_BIT = 0x4000_0000;

const NEVER = 0xffff_ffff;
const ALL_IPV4 = 1;
const ALL_IPV6 = 2;

/** Why a member is or is not a candidate; explain shows the same words. */
export const Standing = {
  candidate: 0,
  neverServes: 1,
  drained: 2,
  unhealthy: 3,
  unknown: 4,
  laterPriority: 5,
  zeroWeight: 6,
} as const;

/** True where the endpoint may take part at all: neither `serve: never` nor switched off by an operator. */
export function isConfigured(serve: number, slot: number): boolean {
  const admin = (slot >>> 2) & 7;
  return serve !== Serve.never && admin === Admin.active;
}

/** True where verdict, `serve` and mode let the endpoint be answered. */
export function isEligible(serve: number, flags: number, slot: number, mode: number): boolean {
  if (mode === Mode.open || serve === Serve.always || (flags & EndpointFlag.checked) === 0)
    return true;
  if (mode === Mode.lastKnown) return (slot & LAST_KNOWN_BIT) !== 0;
  const verdict = slot & 3;
  return (
    verdict === Verdict.healthy ||
    (verdict === Verdict.unknown && (flags & EndpointFlag.unknownServes) !== 0)
  );
}

/** The candidate tables of every pool in one mode. */
export class Candidates {
  /** Endpoint indices; those of pool p start at its first member. */
  readonly endpoints: Uint32Array;
  /** Cumulative weight up to and with the candidate at the same place. */
  readonly cumulative: Float64Array;
  readonly #pools: PoolTable;
  readonly #mode: number;
  readonly #epochs: Uint32Array;
  readonly #counts: Uint32Array;
  readonly #families: Uint8Array;
  readonly #changes: Uint8Array;
  readonly #capacity: Float64Array;

  constructor(pools: PoolTable, mode: number) {
    this.#pools = pools;
    this.#mode = mode;
    this.endpoints = new Uint32Array(pools.endpointCount);
    this.cumulative = new Float64Array(pools.endpointCount);
    this.#epochs = new Uint32Array(pools.poolCount).fill(NEVER);
    this.#counts = new Uint32Array(pools.poolCount);
    this.#families = new Uint8Array(pools.poolCount);
    this.#changes = new Uint8Array(pools.poolCount);
    this.#capacity = new Float64Array(pools.poolCount);
  }

  /** Number of candidates of `pool` under the overlay bank `slots` (endpoint slots first, then one epoch slot a pool). */
  count(pool: number, slots: Uint32Array): number {
    const epoch = slots[this.#pools.endpointCount + pool]!;
    if (this.#epochs[pool] !== epoch) {
      this.#derive(pool, slots);
      this.#epochs[pool] = epoch;
    }
    return this.#counts[pool]!;
  }

  /** True where every candidate has an address of `family` (or none is asked for). Valid after `count()`. */
  allHave(pool: number, family: number): boolean {
    if (family === 0) return true;
    return (this.#families[pool]! & (family === 4 ? ALL_IPV4 : ALL_IPV6)) !== 0;
  }

  /** log2 of the seconds until a verdict of this pool could change. Valid after `count()`. */
  changeLog2(pool: number): number {
    return this.#changes[pool]!;
  }

  /** Sum over candidates of capacity × capacity factor (endpoints that state no capacity count 1). Valid after `count()`. */
  capacity(pool: number): number {
    return this.#capacity[pool]!;
  }

  #derive(pool: number, slots: Uint32Array): void {
    const table = this.#pools;
    const words = table.words;
    const start = words[table.poolBase + pool * POOL_WORDS + PoolWord.memberStart]!;
    const end = start + words[table.poolBase + pool * POOL_WORDS + PoolWord.memberCount]!;
    const mode = this.#mode;
    let change = 31;
    let configured = 0;
    let healthy = 0;
    let priority = -1;
    let hasWeight = false;
    for (let endpoint = start; endpoint < end; endpoint++) {
      const base = table.endpointBase + endpoint * ENDPOINT_WORDS;
      const packed = words[base + EndpointWord.weight]!;
      const serve = (packed >>> 27) & 3;
      const flags = words[base + EndpointWord.flags]!;
      const slot = slots[endpoint]!;
      if ((flags & EndpointFlag.checked) !== 0)
        change = Math.min(change, (slot >>> CHANGE_SHIFT) & 31);
      if (!isConfigured(serve, slot)) continue;
      configured++;
      if (!isEligible(serve, flags, slot, mode)) continue;
      healthy++;
      // Members lie in order of priority: the first eligible tier with a weight is the one that serves.
      const tier = (packed >>> 20) & 0x7f;
      const weighs = effectiveWeight(packed, slot, mode) > 0;
      if (priority < 0 || (weighs && !hasWeight)) {
        priority = tier;
        hasWeight = weighs;
      }
    }
    this.#changes[pool] = change;
    const needed = healthyNeeded(table.poolWord(pool, PoolWord.minHealthy), configured);
    if (
      healthy === 0 ||
      (mode === Mode.verdict && !this.#meetsMinimum(pool, start, end, slots, needed, healthy))
    ) {
      this.#counts[pool] = 0;
      this.#capacity[pool] = 0;
      return;
    }
    this.#fill(pool, start, end, slots, priority, hasWeight);
  }

  #meetsMinimum(
    pool: number,
    start: number,
    end: number,
    slots: Uint32Array,
    needed: number,
    healthy: number,
  ): boolean {
    if (needed === 0) return true;
    const isPerFamily = this.#pools.poolWord(pool, PoolWord.minHealthy) >>> 31 === 1;
    if (!isPerFamily) return healthy >= needed;
    return (
      this.#familyMeets(pool, start, end, slots, EndpointFlag.ipv4) &&
      this.#familyMeets(pool, start, end, slots, EndpointFlag.ipv6)
    );
  }

  /** A family that no member has asks for nothing. */
  #familyMeets(
    pool: number,
    start: number,
    end: number,
    slots: Uint32Array,
    flag: number,
  ): boolean {
    const table = this.#pools;
    let configured = 0;
    let healthy = 0;
    for (let endpoint = start; endpoint < end; endpoint++) {
      const flags = table.flags(endpoint);
      const serve = (table.endpointWord(endpoint, EndpointWord.weight) >>> 27) & 3;
      const slot = slots[endpoint]!;
      if ((flags & flag) === 0 || !isConfigured(serve, slot)) continue;
      configured++;
      if (isEligible(serve, flags, slot, this.#mode)) healthy++;
    }
    return (
      configured === 0 ||
      healthy >= healthyNeeded(table.poolWord(pool, PoolWord.minHealthy), configured)
    );
  }

  /**
   * Lists the eligible members of the serving tier. Zero weights take part only where no non-zero one is eligible, and then alike;
   * in `open` they take part only where no member has a weight at all (the last resort stays in the non-zero set).
   */
  #fill(
    pool: number,
    start: number,
    end: number,
    slots: Uint32Array,
    priority: number,
    hasWeight: boolean,
  ): void {
    const table = this.#pools;
    const words = table.words;
    const anyWeight =
      this.#mode === Mode.open && !hasWeight && this.#anyConfiguredWeight(start, end);
    let count = 0;
    let total = 0;
    let capacity = 0;
    let families = ALL_IPV4 | ALL_IPV6;
    for (let endpoint = start; endpoint < end && !anyWeight; endpoint++) {
      const base = table.endpointBase + endpoint * ENDPOINT_WORDS;
      const packed = words[base + EndpointWord.weight]!;
      const flags = words[base + EndpointWord.flags]!;
      const slot = slots[endpoint]!;
      const serve = (packed >>> 27) & 3;
      if (
        ((packed >>> 20) & 0x7f) !== priority ||
        !isConfigured(serve, slot) ||
        !isEligible(serve, flags, slot, this.#mode)
      )
        continue;
      const weight = effectiveWeight(packed, slot, this.#mode);
      if (hasWeight && weight === 0) continue;
      total += hasWeight ? weight : 1;
      capacity +=
        Math.max(1, words[base + EndpointWord.capacity]!) *
        (((slot >>> CAPACITY_SHIFT) & 0x3ff) / PER_MILLE);
      if (!table.serves(endpoint, 4)) families &= ~ALL_IPV4;
      if (!table.serves(endpoint, 6)) families &= ~ALL_IPV6;
      this.endpoints[start + count] = endpoint;
      this.cumulative[start + count] = total;
      count++;
    }
    this.#counts[pool] = count;
    this.#families[pool] = families;
    this.#capacity[pool] = capacity;
  }

  #anyConfiguredWeight(start: number, end: number): boolean {
    for (let endpoint = start; endpoint < end; endpoint++) {
      if ((this.#pools.endpointWord(endpoint, EndpointWord.weight) & 0xf_ffff) > 0) return true;
    }
    return false;
  }
}

/** Declared weight × capacity factor, in thousandths of a weight. `open` trusts no measurement, so it takes the declared weight. */
export function effectiveWeight(packed: number, slot: number, mode: number): number {
  return (packed & 0xf_ffff) * (mode === Mode.open ? PER_MILLE : (slot >>> CAPACITY_SHIFT) & 0x3ff);
}
