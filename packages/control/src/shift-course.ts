// SPDX-License-Identifier: Apache-2.0

// How much a shift moves away over time: nothing before it starts, all of it until it expires, then less step by step where traffic is to
// come back slowly.
//
//   percent ┤      ┌──────────────┐
//           │      │              └──┐
//           │      │                 └──┐
//         0 ┼──────┘                    └────
//                startsAt        expiresAt  over

/** Traffic comes back by so many percent of all of it, from the expiry on and then every so often. */
export interface ShiftReturn {
  /** 1..99. */
  readonly percent: number;
  readonly everyMs: number;
}

/** The times of a shift, Unix milliseconds. */
export interface ShiftCourse {
  /** Share moved away between start and expiry, 1..100. */
  readonly percent: number;
  readonly createdAtMs: number;
  /** At once where left out. */
  readonly startsAtMs?: number | undefined;
  readonly expiresAtMs: number;
  /** All of it at once where left out. */
  readonly return?: ShiftReturn | undefined;
}

/** Share that is moved away at a moment, 0..100. */
export function percentAt(course: ShiftCourse, nowMs: number): number {
  const { percent, startsAtMs = course.createdAtMs, expiresAtMs } = course;
  if (nowMs < expiresAtMs) return nowMs < startsAtMs ? 0 : percent;
  if (course.return === undefined) return 0;
  const steps = 1 + Math.floor((nowMs - expiresAtMs) / course.return.everyMs);
  return Math.max(0, percent - steps * course.return.percent);
}

/** From when on it moves nothing any more. */
export function overAtMs({ percent, expiresAtMs, return: back }: ShiftCourse): number {
  if (back === undefined) return expiresAtMs;
  return expiresAtMs + (Math.ceil(percent / back.percent) - 1) * back.everyMs;
}

/** When `percentAt()` is another next; undefined for one that is over. */
export function nextChangeMs(course: ShiftCourse, nowMs: number): number | undefined {
  const { startsAtMs = course.createdAtMs, expiresAtMs, return: back } = course;
  if (nowMs >= overAtMs(course)) return undefined;
  if (nowMs < Math.min(startsAtMs, expiresAtMs)) return startsAtMs;
  if (nowMs < expiresAtMs || back === undefined) return expiresAtMs;
  const steps = 1 + Math.floor((nowMs - expiresAtMs) / back.everyMs);
  return expiresAtMs + steps * back.everyMs;
}
