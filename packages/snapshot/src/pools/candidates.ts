// SPDX-License-Identifier: Apache-2.0

// Which members of a pool can be answered now, with cumulative weights, derived from the overlay on the first query after the
// pool's epoch slot moved and kept until it moves again. One table a worker and mode, in one array with room for every member, so
// that deriving allocates nothing.
//
//   header of a pool   u32 epoch + 1 (0: not derived), u32 count, u32 facts, u32 0, f64 capacity, f64 0
//   then its candidates, each   f64 cumulative weight, u32 endpoint, u32 0
//
// What a query reads of a pool lies side by side: among 30,000 pools it is in no cache, and five arrays were five misses.

import {
  Admin,
  adminOf,
  CAPACITY_SHIFT,
  CHANGE_SHIFT,
  DIAL_SHIFT,
  HASTENED,
  PER_MILLE,
  Verdict,
} from "../overlay.ts";
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

/** Doubles of a header, and of a candidate. */
const HEADER = 4;
const CANDIDATE = 2;
/** Words of a header, its capacity in doubles. */
const EPOCH = 0;
const COUNT = 1;
const FACTS = 2;
const CAPACITY = 2;

/**
 * Facts: every candidate has the family; some candidate's dial is not full, or is a host name to be answered as such; and above, log2 of
 * seconds to the earliest change.
 */
const ALL_IPV4 = 1;
const ALL_IPV6 = 2;
const DIALED = 4;
const HOST_NAMES = 8;
const FACTS_CHANGE_SHIFT = 8;

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
  const admin = adminOf(slot);
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

/** True where an endpoint with these flags is answered by its host name, not by addresses. */
export function isHostName(flags: number): boolean {
  return (flags & (EndpointFlag.hostName | EndpointFlag.resolve)) === EndpointFlag.hostName;
}

/** The candidate tables of every pool in one mode. All but `count()` tell of the pool that was counted last. */
export class Candidates {
  readonly #pools: PoolTable;
  readonly #mode: number;
  /** All tables; only for `LookAhead`. */
  readonly words: Uint32Array;
  readonly #doubles: Float64Array;
  /** Where the header of the pool that was counted last lies, in doubles. */
  #header = 0;

  /** `before` is of another snapshot, and not asked any more: its memory is taken, as new memory would be looked for garbage each time. */
  constructor(pools: PoolTable, mode: number, before?: Candidates) {
    this.#pools = pools;
    this.#mode = mode;
    const size = pools.poolCount * HEADER + pools.endpointCount * CANDIDATE;
    const old = before === undefined ? undefined : before.#doubles;
    if (old !== undefined && old.length >= size) this.#doubles = old.fill(0);
    else this.#doubles = new Float64Array(old === undefined ? size : size + (size >>> 4));
    this.words = new Uint32Array(this.#doubles.buffer);
  }

  /** Number of candidates of `pool` under the overlay bank `slots` (endpoint slots first, then one epoch slot a pool). */
  count(pool: number, slots: Uint32Array): number {
    const epoch = slots[this.#pools.endpointCount + pool]!;
    const header = pool * HEADER + this.#pools.memberStart(pool) * CANDIDATE;
    this.#header = header;
    const at = header * 2;
    const words = this.words;
    if (words[at + EPOCH] !== epoch + 1) {
      this.#derive(pool, slots);
      words[at + EPOCH] = epoch + 1;
    }
    return words[at + COUNT]!;
  }

  /** First word of the header of a pool whose first member is `memberStart`. */
  headerWord(pool: number, memberStart: number): number {
    return (pool * HEADER + memberStart * CANDIDATE) * 2;
  }

  /** Endpoint of candidate `index`. */
  endpoint(index: number): number {
    return this.words[(this.#header + HEADER + index * CANDIDATE + 1) * 2]!;
  }

  /** Weight of the candidates up to and with `index`. */
  cumulative(index: number): number {
    return this.#doubles[this.#header + HEADER + index * CANDIDATE]!;
  }

  /** Weight of candidate `index`. */
  weight(index: number): number {
    return this.cumulative(index) - (index === 0 ? 0 : this.cumulative(index - 1));
  }

  /** True where every candidate has an address of `family` (or none is asked for). */
  allHave(family: number): boolean {
    if (family === 0) return true;
    return (this.#facts() & (family === 4 ? ALL_IPV4 : ALL_IPV6)) !== 0;
  }

  /** True where some candidate's dial may send a draw elsewhere. */
  isDialed(): boolean {
    return (this.#facts() & DIALED) !== 0;
  }

  /** True where no candidate's dial may send a draw elsewhere, and each is answered by its addresses. */
  isPlain(): boolean {
    return (this.#facts() & (DIALED | HOST_NAMES)) === 0;
  }

  /** log2 of the seconds until a verdict of this pool could change. */
  changeLog2(): number {
    return this.#facts() >>> FACTS_CHANGE_SHIFT;
  }

  /** Sum over candidates of capacity × capacity factor (endpoints that state no capacity count 1). */
  capacity(): number {
    return this.#doubles[this.#header + CAPACITY]!;
  }

  #facts(): number {
    return this.words[this.#header * 2 + FACTS]!;
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
      if ((slot & HASTENED) !== 0) change = 0;
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
    const header = this.#header;
    this.words[header * 2 + FACTS] = change << FACTS_CHANGE_SHIFT;
    const needed = healthyNeeded(table.poolWord(pool, PoolWord.minHealthy), configured);
    if (
      healthy === 0 ||
      (mode === Mode.verdict && !this.#meetsMinimum(pool, start, end, slots, needed, healthy))
    ) {
      this.words[header * 2 + COUNT] = 0;
      this.#doubles[header + CAPACITY] = 0;
      return;
    }
    this.#fill(start, end, slots, priority, hasWeight);
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
    const header = this.#header;
    let facts = ALL_IPV4 | ALL_IPV6;
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
      if (!table.serves(endpoint, 4)) facts &= ~ALL_IPV4;
      if (!table.serves(endpoint, 6)) facts &= ~ALL_IPV6;
      if (((slot >>> DIAL_SHIFT) & 0x3ff) < PER_MILLE) facts |= DIALED;
      if (isHostName(flags)) facts |= HOST_NAMES;
      const at = header + HEADER + count * CANDIDATE;
      this.#doubles[at] = total;
      this.words[(at + 1) * 2] = endpoint;
      count++;
    }
    this.words[header * 2 + COUNT] = count;
    this.words[header * 2 + FACTS]! |= facts;
    this.#doubles[header + CAPACITY] = capacity;
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
