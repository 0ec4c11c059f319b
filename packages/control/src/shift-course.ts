// SPDX-License-Identifier: Apache-2.0

// How much a shift moves away over time: nothing before it starts, all of it until it expires, then less step by step where traffic is to
// come back slowly.
//
//   percent ┤      ┌──────────────┐
//           │      │              └──┐
//           │      │                 └──┐
//         0 ┼──┬───┘                    └────
//       lowered  startsAt        expiresAt  over
//
// For one old TTL before it starts the TTL of what it reaches is the least, so that no cache has anything longer when it does.

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

/** From when on a shift with a start of its own lowers TTLs, for `leadMs` before that; undefined for one that begins when it is made. */
export function loweredAtMs(
  { createdAtMs, startsAtMs = createdAtMs }: ShiftCourse,
  leadMs: number,
): number | undefined {
  return startsAtMs <= createdAtMs ? undefined : Math.max(createdAtMs, startsAtMs - leadMs);
}

/** Whether TTLs are low since it is about to begin. */
export function isAnnouncedAt(course: ShiftCourse, nowMs: number, leadMs: number): boolean {
  const sinceMs = loweredAtMs(course, leadMs);
  const { startsAtMs = 0 } = course;
  return sinceMs !== undefined && leadMs > 0 && nowMs >= sinceMs && nowMs < startsAtMs;
}

/** When `percentAt()` is another next, or TTLs are lowered `leadMs` before the start; undefined for one that is over. */
export function nextChangeMs(
  course: ShiftCourse,
  nowMs: number,
  leadMs: number = 0,
): number | undefined {
  const { startsAtMs = course.createdAtMs, expiresAtMs, return: back } = course;
  if (nowMs >= overAtMs(course)) return undefined;
  const loweredMs = loweredAtMs(course, leadMs);
  if (loweredMs !== undefined && nowMs < loweredMs) return loweredMs;
  if (nowMs < Math.min(startsAtMs, expiresAtMs)) return startsAtMs;
  if (nowMs < expiresAtMs || back === undefined) return expiresAtMs;
  const steps = 1 + Math.floor((nowMs - expiresAtMs) / back.everyMs);
  return expiresAtMs + steps * back.everyMs;
}
