// SPDX-License-Identifier: Apache-2.0

// The build side of a range table: collects ranges in address order, then lays them out. Nested prefixes are flattened
// first (`flattenPrefixes`), so that the longest prefix wins.

import { assert } from "@meridian/core";
import type { SectionWriter } from "../section-writer.ts";
import {
  COARSE_BITS_MAX,
  EMBEDDED_IPV4,
  GLOBAL_BITS,
  GLOBAL_FIRST,
  INDEX_BITS_MAX,
  RangeTableBound,
  RangeTableId,
} from "./range-table.ts";
import { type AddressPrefix, comparePrefixes, containsPrefix } from "./prefix.ts";

/** An IPv6 address as unsigned words. */
export type Words = readonly [number, number, number, number];

/** Most ranges of one family in one table (GeoLite2 City has 5.7 million networks). */
export const RANGES_MAX = 16_000_000;

/** Where an IPv4 address hides in an IPv6 one: first address, and the first address behind. */
const embeddedPrefixes: readonly { readonly first: Words; readonly end: Words }[] = [
  { first: [0, 0, 0xffff, 0], end: [0, 0, 0x1_0000, 0] },
  { first: [0x0064_ff9b, 0, 0, 0], end: [0x0064_ff9b, 0, 1, 0] },
  { first: [0x2001_0000, 0, 0, 0], end: [0x2001_0001, 0, 0, 0] },
  { first: [0x2002_0000, 0, 0, 0], end: [0x2003_0000, 0, 0, 0] },
];

/** Both families' address space cut into ranges. Ranges are added in ascending order; what no range covers has `gap`. */
export class RangePartition {
  readonly starts4: number[] = [0];
  readonly values4: number[];
  /** Four words a range. */
  readonly starts6: number[] = [0, 0, 0, 0];
  readonly values6: number[];

  constructor(gap = 0) {
    this.values4 = [gap];
    this.values6 = [gap];
  }

  /** From `start` on the value is `value`, until the next call. `start` may equal the newest start, which it replaces. */
  set4(start: number, value: number): void {
    const last = this.starts4.length - 1;
    const newest = this.starts4[last] ?? 0;
    assert(start >= newest, "IPv4 ranges come in ascending order");
    if (start === newest) {
      this.values4[last] = value;
      return;
    }
    if (this.values4[last] === value) return;
    this.starts4.push(start);
    this.values4.push(value);
  }

  set6(w0: number, w1: number, w2: number, w3: number, value: number): void {
    const starts = this.starts6;
    const last = starts.length - 4;
    const order = compareWords(starts, last, w0, w1, w2, w3);
    assert(order <= 0, "IPv6 ranges come in ascending order");
    if (order === 0) {
      this.values6[this.values6.length - 1] = value;
      return;
    }
    if (this.values6[this.values6.length - 1] === value) return;
    starts.push(w0, w1, w2, w3);
    this.values6.push(value);
  }

  /** Ranges before equal neighbours are merged. */
  get rangeCount(): number {
    return this.values4.length + this.values6.length;
  }

  /** The same ranges with IPv6 addresses that carry an IPv4 one marked `EMBEDDED_IPV4`. */
  withEmbedded(): RangePartition {
    const marked = new RangePartition();
    const { starts6, values6 } = this;
    this.starts4.forEach((start, index) => marked.set4(start, this.values4[index] ?? 0));
    let index = 0;
    let value = 0;
    const copyBelow = (bound: Words, isKept: boolean): void => {
      while (index < values6.length && compareWords(starts6, index * 4, ...bound) < 0) {
        value = values6[index] ?? 0;
        if (isKept) copyStart(marked, starts6, index * 4, value);
        index++;
      }
    };
    for (const { first, end } of embeddedPrefixes) {
      copyBelow(first, true);
      marked.set6(...first, EMBEDDED_IPV4);
      copyBelow(end, false);
      marked.set6(...end, value);
    }
    for (; index < values6.length; index++) {
      copyStart(marked, starts6, index * 4, values6[index] ?? 0);
    }
    return marked;
  }
}

/** Flattens prefixes that may nest into disjoint ranges: the longest prefix wins, of equal ones the last given. */
export function flattenPrefixes(
  prefixes: readonly { readonly prefix: AddressPrefix; readonly value: number }[],
  gap = 0,
): RangePartition {
  const partition = new RangePartition(gap);
  const sorted = prefixes
    .map((entry, order) => ({ ...entry, order }))
    .toSorted((a, b) => comparePrefixes(a.prefix, b.prefix) || a.order - b.order);
  for (const family of [4, 6] as const) {
    const open: { readonly prefix: AddressPrefix; readonly value: number }[] = [];
    const close = (): void => {
      const inner = open.pop();
      if (inner !== undefined) setEnd(partition, inner.prefix, open.at(-1)?.value ?? gap);
    };
    for (const entry of sorted) {
      if (entry.prefix.family !== family) continue;
      for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
        if (containsPrefix(top.prefix, entry.prefix)) break;
        close();
      }
      setStart(partition, entry.prefix, entry.value);
      open.push(entry);
    }
    while (open.length > 0) close();
  }
  return partition;
}

/** Adds the tables of a range table to a section. */
export function writeRanges(writer: SectionWriter, partition: RangePartition): void {
  const four = merged4(partition);
  const six = merged6(partition);
  assert(four.length / 2 <= RANGES_MAX && six.count <= RANGES_MAX, "ranges are bounded");
  const bits4 = indexBits(four.length / 2);
  writer.bound(RangeTableBound.ipv4IndexBits, bits4);
  writer.table(RangeTableId.ipv4Ranges, 8, four);
  writer.table(RangeTableId.ipv4Index, 4, index4(four, bits4));
  const coarseBits = Math.min(COARSE_BITS_MAX, indexBits(six.count));
  const index6 = twoLevels(six, coarseBits);
  writer.bound(RangeTableBound.ipv6IndexBits, coarseBits);
  writer.table(RangeTableId.ipv6Ranges, 12, six.ranges);
  const lowEnd = six.low.findLastIndex((word) => word !== 0) + 1;
  writer.table(RangeTableId.ipv6Low, 8, six.low.subarray(0, (lowEnd + 1) & ~1));
  writer.table(RangeTableId.ipv6Index, 4, index6.coarse);
  writer.table(RangeTableId.ipv6Fine, 4, index6.fine);
}

/** Start and value of each range, neighbours of one value joined. */
function merged4({ starts4, values4 }: RangePartition): Uint32Array {
  const ranges = new Uint32Array(values4.length * 2);
  let count = 0;
  values4.forEach((value, index) => {
    if (count > 0 && value === ranges[count * 2 - 1]) return;
    ranges[count * 2] = starts4[index] ?? 0;
    ranges[count * 2 + 1] = value;
    count++;
  });
  return ranges.subarray(0, count * 2);
}

interface MergedIpv6 {
  readonly count: number;
  /** Words 0 and 1 of the start, value. */
  readonly ranges: Uint32Array;
  /** Words 2 and 3 of the start. */
  readonly low: Uint32Array;
}

function merged6({ starts6, values6 }: RangePartition): MergedIpv6 {
  const ranges = new Uint32Array(values6.length * 3);
  const low = new Uint32Array(values6.length * 2);
  let count = 0;
  values6.forEach((value, index) => {
    if (count > 0 && value === ranges[count * 3 - 1]) return;
    ranges[count * 3] = starts6[index * 4] ?? 0;
    ranges[count * 3 + 1] = starts6[index * 4 + 1] ?? 0;
    ranges[count * 3 + 2] = value;
    low[count * 2] = starts6[index * 4 + 2] ?? 0;
    low[count * 2 + 1] = starts6[index * 4 + 3] ?? 0;
    count++;
  });
  return { count, ranges: ranges.subarray(0, count * 3), low: low.subarray(0, count * 2) };
}

/** About one bucket a range. */
function indexBits(rangeCount: number): number {
  return Math.min(INDEX_BITS_MAX, Math.max(1, 32 - Math.clz32(rangeCount)));
}

function index4(ranges: Uint32Array, bits: number): Uint32Array {
  const rangeCount = ranges.length / 2;
  const bucketCount = 2 ** bits;
  const index = new Uint32Array(bucketCount + 1);
  let range = 0;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    const first = bucket * 2 ** (32 - bits);
    while (range + 1 < rangeCount && (ranges[range * 2 + 2] ?? 0) <= first) range++;
    index[bucket] = range;
  }
  index[bucketCount] = rangeCount - 1;
  return index;
}

/** Both levels of the IPv6 index (see range-table.ts). */
function twoLevels(
  six: MergedIpv6,
  coarseBits: number,
): { coarse: Uint32Array; fine: Uint32Array } {
  const globalCount = 2 ** coarseBits;
  const step = 2 ** (GLOBAL_BITS - coarseBits);
  const coarse = new Uint32Array(globalCount + 2);
  const fine: number[] = [];
  const cursor = new StartCursor(six);
  for (let bucket = 0; bucket < coarse.length; bucket++) {
    const isGlobal = bucket > 0 && bucket <= globalCount;
    const first = bucket === 0 ? 0 : GLOBAL_FIRST + (bucket - 1) * step;
    const rangeCount = isGlobal ? cursor.countBelow(first + step) : 0;
    // At most the bits of word 0 that the first level leaves, which are 16 where that has its most.
    const bits =
      rangeCount === 0
        ? 0
        : Math.min(GLOBAL_BITS - coarseBits, INDEX_BITS_MAX, indexBits(rangeCount));
    coarse[bucket] = fine.length * 32 + bits;
    for (let part = 0; part < 2 ** bits; part++) {
      fine.push(cursor.rangeAt(first + part * (step / 2 ** bits)));
    }
  }
  fine.push(six.count - 1);
  return { coarse, fine: Uint32Array.from(fine) };
}

/** Walks the IPv6 starts once, in step with ascending first words. */
class StartCursor {
  readonly #six: MergedIpv6;
  #range = 0;

  constructor(six: MergedIpv6) {
    this.#six = six;
  }

  /** The last range that begins at or before the address `word0::`. */
  rangeAt(word0: number): number {
    while (this.#range + 1 < this.#six.count && this.#beginsBy(this.#range + 1, word0)) {
      this.#range++;
    }
    return this.#range;
  }

  /** Ranges behind the cursor that begin below `word0::`. */
  countBelow(word0: number): number {
    let next = this.#range + 1;
    while (next < this.#six.count && (this.#six.ranges[next * 3] ?? 0) < word0) next++;
    return next - this.#range - 1;
  }

  #beginsBy(range: number, word0: number): boolean {
    const { ranges, low } = this.#six;
    const start0 = ranges[range * 3] ?? 0;
    if (start0 !== word0) return start0 < word0;
    return ranges[range * 3 + 1] === 0 && low[range * 2] === 0 && low[range * 2 + 1] === 0;
  }
}

function copyStart(
  target: RangePartition,
  starts: readonly number[],
  at: number,
  value: number,
): void {
  target.set6(
    starts[at] ?? 0,
    starts[at + 1] ?? 0,
    starts[at + 2] ?? 0,
    starts[at + 3] ?? 0,
    value,
  );
}

/** Sign of (words at `at`) − (w0…w3). */
function compareWords(
  words: readonly number[],
  at: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): number {
  const difference =
    (words[at] ?? 0) - w0 ||
    (words[at + 1] ?? 0) - w1 ||
    (words[at + 2] ?? 0) - w2 ||
    (words[at + 3] ?? 0) - w3;
  return Math.sign(difference);
}

function setStart(partition: RangePartition, prefix: AddressPrefix, value: number): void {
  if (prefix.family === 4) partition.set4(prefix.words[0], value);
  else partition.set6(...prefix.words, value);
}

/** Sets the value from the first address behind `prefix` on; nothing lies behind the top of the space. */
function setEnd(partition: RangePartition, prefix: AddressPrefix, value: number): void {
  if (prefix.length === 0) return;
  if (prefix.family === 4) {
    const end = prefix.words[0] + 2 ** (32 - prefix.length);
    if (end < 2 ** 32) partition.set4(end, value);
    return;
  }
  const words = [...prefix.words];
  let index = (prefix.length - 1) >>> 5;
  let step = 2 ** (31 - ((prefix.length - 1) & 31));
  for (; index >= 0; index--) {
    const sum = (words[index] ?? 0) + step;
    words[index] = sum >>> 0;
    if (sum < 2 ** 32) break;
    step = 1;
  }
  if (index >= 0) partition.set6(words[0] ?? 0, words[1] ?? 0, words[2] ?? 0, words[3] ?? 0, value);
}
