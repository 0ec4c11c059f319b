// SPDX-License-Identifier: Apache-2.0

// Response rate limiting: what keeps this server from being a weapon against an address that others write on their queries. Each
// client prefix (/24, /56) has a leaky bucket of one second of its rate, in a table of fixed size:
//
//   bucket has room                            the answer as it is
//   full, from then until it has run empty     "limited": an answer of more than three times its query becomes a truncated one, and
//                                              what finds the bucket full gets a truncated answer and silence by turns ("slip")
//
// A truncated answer is a header, the question and an OPT record: hardly more than the query. So, while a prefix is limited, each
// response is at most three times its query, and so are those of any second (design §9). A client that is there takes a truncated
// answer as the reason to ask over TCP, which nobody can do in another's name. Only prefixes pay for what they ask: one rate for all
// kinds of answers, as those who reflect choose whichever is left.
//
// The table is a worker's own. Queries of one prefix come to all workers, by their ports; each has its part of the rate.

import { PrefixList, formatPrefix, wordsOf } from "@meridian/snapshot";

/**
 * Prefixes that are remembered by one worker: 128 KiB, which stay in a core's own cache. A bucket that ran empty says nothing, and a worker
 * sends some 200,000 responses a second: no more than 200,000 divided by the rate can be full.
 */
const ENTRIES = 16_384;
/** Places that a prefix may have; of those, the one that ran empty first makes room. */
const WAYS = 4;
/** Times that the bytes of a response may be those of its query, for a limited prefix. */
export const AMPLIFICATION_MAX = 3;
/** The highest rate: a response adds a whole number of microseconds. */
export const LIMIT_RATE_MAX = 100_000;

// An entry is two words, so that a set is half a cache line: what the prefix is, and when its bucket will be empty, which says with one
// number how full it is at any time. The time is in quarters of a microsecond and runs round in 18 minutes: a bucket that would be empty
// more than a second from now is one of long ago. The two lowest bits are flags.
const WORDS = 2;
const Word = { prefix: 0, state: 1 } as const;
const LIMITED = 2;
const SLIP = 1;
/** Set in the numbers of /56 only: those of a /24 end in their family. */
const IPV6_BIT = 2;
const FLAGS = LIMITED | SLIP;
const TICKS_PER_MS = 4000;
/** What a bucket holds: responses of one second. */
const CAPACITY = 1000 * TICKS_PER_MS;

/** What becomes of a response. */
export const Limit = { pass: 0, truncate: 1, drop: 2 } as const;

export interface ResponseLimiterOptions {
  /** Responses a second for a prefix that this worker sends, 1 to `LIMIT_RATE_MAX`. */
  readonly rate: number;
  /** Prefixes whose clients are never limited. */
  readonly exempt: readonly string[];
  /** Makes where a prefix lies in the table unknown to those who would fill a place. */
  readonly seed: number;
  /** For tests; a power of two. */
  readonly entries?: number;
  /** Told at most once a second of a prefix that became limited, and how many others did since it was told last. */
  readonly onLimited?: (prefix: string, others: number) => void;
}

const REPORT_MS = 1000;

export class ResponseLimiter {
  readonly #table: Int32Array;
  /** By how much a response puts off the time when the bucket is empty. */
  readonly #cost: number;
  readonly #seed: number;
  readonly #setMask: number;
  readonly #exempt: PrefixList;
  readonly #onLimited: ((prefix: string, others: number) => void) | undefined;
  /** Sum of all that was looked at ahead, so that the compiler cannot leave the reading out. */
  checksum: number = 0;
  #unreported = 0;
  #reportedMs = 0;

  /** Throws a TypeError where an exempt text is no prefix. */
  constructor({ rate, exempt, seed, entries = ENTRIES, onLimited }: ResponseLimiterOptions) {
    this.#onLimited = onLimited;
    this.#table = new Int32Array(entries * WORDS);
    this.#cost = Math.floor(1e6 / rate) * (TICKS_PER_MS / 1000);
    this.#seed = seed;
    this.#setMask = entries / WAYS - 1;
    this.#exempt = new PrefixList(exempt);
  }

  /** Whether the client's prefix is never limited. */
  isExempt(source: Uint8Array, start: number, family: number): boolean {
    return this.#exempt.contains(source, start, family);
  }

  /**
   * Judges the response of `responseBytes` to a query of `queryBytes` from an address that may not be its sender's. Under overload every
   * prefix is bounded as one that is past its rate: a flood from so many that each is below it would be sent on in full.
   */
  judge(
    source: Uint8Array,
    start: number,
    family: number,
    queryBytes: number,
    responseBytes: number,
    nowMs: number,
    isOverloaded = false,
  ): number {
    const prefix = prefixOf(source, start, family);
    const now = Math.imul(nowMs | 0, TICKS_PER_MS);
    const table = this.#table;
    const at = this.#place(prefix, now) + Word.state;
    const state = table[at]!;
    const ahead = ((state & ~FLAGS) - now) | 0;
    const level = ahead > 0 && ahead <= CAPACITY ? ahead : 0;
    const flags = level === 0 ? state & SLIP : state & FLAGS;
    if (level + this.#cost <= CAPACITY) {
      table[at] = (now + level + this.#cost) | flags;
      const isBounded = isOverloaded || (flags & LIMITED) !== 0;
      if (!isBounded || responseBytes <= queryBytes * AMPLIFICATION_MAX) return Limit.pass;
      return this.#unlessExempt(source, start, family, Limit.truncate);
    }
    const slip = (flags & SLIP) ^ SLIP;
    table[at] = (now + level) | LIMITED | slip;
    if ((flags & LIMITED) === 0) this.#report(source, start, family, nowMs);
    return this.#unlessExempt(source, start, family, slip === 0 ? Limit.drop : Limit.truncate);
  }

  /**
   * Has the places of a batch's clients loaded, all at once, so that no response waits for its own. (10,000 prefixes, median of three runs: a
   * limited query took 63 ns more than one without limits, 70 ns without this, 175 ns with four words an entry and four times the entries.)
   */
  lookAhead(source: Uint8Array, starts: Int32Array, families: Int32Array, count: number): void {
    const table = this.#table;
    let sum = 0;
    for (let index = 0; index < count; index++)
      sum ^= table[this.#firstPlace(prefixOf(source, starts[index]!, families[index]!))]!;
    this.checksum ^= sum;
  }

  #firstPlace(prefix: number): number {
    let hash = Math.imul(prefix ^ this.#seed, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return ((hash ^ (hash >>> 13)) & this.#setMask) * (WAYS * WORDS);
  }

  /** Where the prefix has its words: found, or new in the place that ran empty first. */
  #place(prefix: number, now: number): number {
    const table = this.#table;
    const first = this.#firstPlace(prefix);
    if (table[first] === prefix) return first;
    if (table[first + WORDS] === prefix) return first + WORDS;
    if (table[first + 2 * WORDS] === prefix) return first + 2 * WORDS;
    if (table[first + 3 * WORDS] === prefix) return first + 3 * WORDS;
    return this.#makeRoom(prefix, first, now);
  }

  #makeRoom(prefix: number, first: number, now: number): number {
    const table = this.#table;
    let place = first;
    let least = CAPACITY;
    for (let at = first; at < first + WAYS * WORDS; at += WORDS) {
      const ahead = (table[at + Word.state]! - now) | 0;
      const level = ahead > CAPACITY ? 0 : ahead;
      if (level >= least) continue;
      place = at;
      least = level;
    }
    table[place] = prefix;
    table[place + Word.state] = now & ~FLAGS;
    return place;
  }

  #report(source: Uint8Array, start: number, family: number, nowMs: number): void {
    this.#unreported += 1;
    if (Math.abs(nowMs - this.#reportedMs) < REPORT_MS) return;
    this.#onLimited?.(prefixText(source, start, family), this.#unreported - 1);
    this.#unreported = 0;
    this.#reportedMs = nowMs;
  }

  /** Looked at last, since it takes longest. */
  #unlessExempt(source: Uint8Array, start: number, family: number, limit: number): number {
    return this.#exempt.contains(source, start, family) ? Limit.pass : limit;
  }
}

/** A prefix as a number that is not 0: a /24 as it is, a /56 mixed together, which meets another once in two thousand million times. */
function prefixOf(source: Uint8Array, start: number, family: number): number {
  const high =
    (source[start]! << 24) | (source[start + 1]! << 16) | (source[start + 2]! << 8) | family;
  if (family !== 6) return high;
  const low =
    (source[start + 3]! << 24) |
    (source[start + 4]! << 16) |
    (source[start + 5]! << 8) |
    source[start + 6]!;
  return (Math.imul(low ^ (low >>> 15), 0x2c1b3c6d) ^ high) | IPV6_BIT;
}

function prefixText(source: Uint8Array, start: number, family: number): string {
  const bytes = new Uint8Array(family === 6 ? 16 : 4);
  const kept = family === 6 ? 7 : 3;
  for (let index = 0; index < kept; index++) bytes[index] = source[start + index]!;
  return formatPrefix({ family: family === 6 ? 6 : 4, words: wordsOf(bytes), length: kept * 8 });
}
