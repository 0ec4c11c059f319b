// SPDX-License-Identifier: Apache-2.0

/** A stretch of time, in milliseconds of one monotonic clock. */
export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Whether one of the spans has something of that time. */
export function overlaps(spans: readonly Span[], fromMs: number, untilMs: number): boolean {
  return spans.some((each) => each.fromMs < untilMs && each.untilMs > fromMs);
}
