// SPDX-License-Identifier: Apache-2.0
import type { RangeTable } from "./range-table.ts";

/** Which ranges carry each value, for the compiler: range indices grouped by value, those above `valueCount` in a last group. */
export class LocationRanges {
  readonly ipv4: RangesByValue;
  readonly ipv6: RangesByValue;

  constructor(ranges: RangeTable, valueCount: number) {
    this.ipv4 = new RangesByValue(ranges.ipv4Count, valueCount, (index) => ranges.ipv4Value(index));
    this.ipv6 = new RangesByValue(ranges.ipv6Count, valueCount, (index) => ranges.ipv6Value(index));
  }
}

/** Range indices of one family by value. */
export class RangesByValue {
  readonly #starts: Uint32Array;
  readonly #indices: Uint32Array;

  constructor(rangeCount: number, valueCount: number, valueOf: (index: number) => number) {
    const starts = new Uint32Array(valueCount + 2);
    const groupOf = (index: number): number => Math.min(valueOf(index), valueCount);
    for (let index = 0; index < rangeCount; index++) starts[groupOf(index) + 1]!++;
    for (let value = 0; value <= valueCount; value++) starts[value + 1]! += starts[value]!;
    const next = starts.slice();
    const indices = new Uint32Array(rangeCount);
    for (let index = 0; index < rangeCount; index++) indices[next[groupOf(index)]!++] = index;
    this.#starts = starts;
    this.#indices = indices;
  }

  /** Ranges of a value, ascending. */
  of(value: number): Uint32Array {
    return this.#indices.subarray(this.#starts[value], this.#starts[value + 1]);
  }
}
