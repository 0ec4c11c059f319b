// SPDX-License-Identifier: Apache-2.0

/** Middle, least and greatest of a metric over the rounds of a run. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The median of one or more numbers; the mean of the middle two where their count is even. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const high = sorted[sorted.length >> 1];
  const low = sorted[(sorted.length - 1) >> 1];
  if (high === undefined || low === undefined) {
    throw new RangeError("Cannot take the median: the list is empty, expected one number or more");
  }
  return (low + high) / 2;
}

/** The spread of one or more numbers, or undefined of none. */
export function spread(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** The value at a share (0..1) of a list in ascending order, by nearest rank; undefined of an empty list. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = Math.ceil(share * sorted.length) - 1;
  return sorted[Math.min(Math.max(rank, 0), sorted.length - 1)];
}

/**
 * The order in which rivals take their turns in a round: each round starts with another one, and every second round
 * runs backwards, so that no rival always follows the same one.
 */
export function turns<T>(rivals: readonly T[], round: number): readonly T[] {
  if (rivals.length === 0) return [];
  const start = round % rivals.length;
  const rotated = [...rivals.slice(start), ...rivals.slice(0, start)];
  return round % 2 === 0 ? rotated : rotated.toReversed();
}
