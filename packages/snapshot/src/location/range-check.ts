// SPDX-License-Identifier: Apache-2.0
import type { Section } from "../section.ts";
import { strideError, type Strides } from "../section-check.ts";
import {
  COARSE_BITS_MAX,
  GLOBAL_BITS,
  INDEX_BITS_MAX,
  RangeTableBound,
  RangeTableId,
} from "./range-table.ts";

const rangeStrides: Strides = {
  [RangeTableId.ipv4Ranges]: 8,
  [RangeTableId.ipv4Index]: 4,
  [RangeTableId.ipv6Ranges]: 12,
  [RangeTableId.ipv6Low]: 8,
  [RangeTableId.ipv6Index]: 4,
  [RangeTableId.ipv6Fine]: 4,
};

/**
 * Why the range table of a section cannot be looked up in, or undefined. `strides` are those of the section's other tables;
 * `isValue` says which values its ranges may have.
 */
export function rangesError(
  section: Section,
  what: string,
  strides: Strides,
  isValue: (value: number) => boolean,
): string | undefined {
  return (
    strideError(section, what, { ...rangeStrides, ...strides }) ??
    ipv4Error(section, what) ??
    ipv6Error(section, what) ??
    valueError(section, what, RangeTableId.ipv4Ranges, 2, isValue) ??
    valueError(section, what, RangeTableId.ipv6Ranges, 3, isValue)
  );
}

function ipv4Error(section: Section, what: string): string | undefined {
  const bits = section.bound(RangeTableBound.ipv4IndexBits);
  const buckets = section.count(RangeTableId.ipv4Index);
  if (bits < 1 || bits > INDEX_BITS_MAX || buckets !== 2 ** bits + 1)
    return `${what} section has ${buckets} IPv4 buckets for ${bits} bits, expected 2^bits and one`;
  return indexError(section, what, RangeTableId.ipv4Index, RangeTableId.ipv4Ranges);
}

function ipv6Error(section: Section, what: string): string | undefined {
  const bits = section.bound(RangeTableBound.ipv6IndexBits);
  const buckets = section.count(RangeTableId.ipv6Index);
  if (bits < 1 || bits > COARSE_BITS_MAX || buckets !== 2 ** bits + 2)
    return `${what} section has ${buckets} IPv6 buckets for ${bits} bits, expected 2^bits and two`;
  const base = section.wordBase(RangeTableId.ipv6Index);
  const fine = section.count(RangeTableId.ipv6Fine);
  for (let bucket = 0; bucket < buckets; bucket++) {
    const word = section.words[base + bucket] ?? 0;
    const own = word & 31;
    if (own > Math.min(INDEX_BITS_MAX, GLOBAL_BITS - bits) || (word >>> 5) + 2 ** own >= fine)
      return `${what} section has IPv6 bucket ${bucket} at ${word >>> 5} with ${own} bits, expected inside ${fine}`;
  }
  if (section.count(RangeTableId.ipv6Low) > section.count(RangeTableId.ipv6Ranges))
    return `${what} section has more low halves than IPv6 ranges`;
  return indexError(section, what, RangeTableId.ipv6Fine, RangeTableId.ipv6Ranges);
}

/** An index leads to ranges that are there, and never back. */
function indexError(
  section: Section,
  what: string,
  index: number,
  ranges: number,
): string | undefined {
  const base = section.wordBase(index);
  const rangeCount = section.count(ranges);
  let before = 0;
  for (let bucket = 0; bucket < section.count(index); bucket++) {
    const range = section.words[base + bucket] ?? 0;
    if (range < before || range >= rangeCount)
      return `${what} section has bucket ${bucket} of table ${index} at range ${range}, expected ${before} to ${rangeCount - 1}`;
    before = range;
  }
  return undefined;
}

/** The value is the last of an entry's `entryWords`. */
function valueError(
  section: Section,
  what: string,
  table: number,
  entryWords: number,
  isValue: (value: number) => boolean,
): string | undefined {
  const { words } = section;
  const base = section.wordBase(table) + entryWords - 1;
  const end = base + section.count(table) * entryWords;
  for (let at = base; at < end; at += entryWords) {
    if (!isValue(words[at]!))
      return `${what} section has a range of value ${words[at]}, expected one of its own`;
  }
  return undefined;
}
