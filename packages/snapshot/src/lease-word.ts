// SPDX-License-Identifier: Apache-2.0

// A lease in the memory that an edge's threads share: one word, written by the thread that hears control and read by each worker before each
// batch. It is the milliseconds of a clock that all threads of a machine have alike, so that a worker sees for itself that it has run out,
// also when the other thread, or the whole process, stood still.

import { hrtime } from "node:process";

/** Longest lease of an edge, from when it asked for it: `handover: fenced` waits for no longer, and a margin. */
export const LEASE_MS = 10_000;
/** A lease further ahead than this is none: the word has gone round (49 days). */
const AHEAD_MS_MAX = 2 * LEASE_MS;

/** Milliseconds of the machine's monotonic clock: the same in every thread and process, and never set. */
export function leaseClock(): () => number {
  const [seconds, nanoseconds] = hrtime();
  const offset = seconds * 1000 + nanoseconds / 1e6 - performance.now();
  return () => performance.now() + offset;
}

/** A time of that clock as a word that is never 0. */
export function leaseWord(ms: number): number {
  return (Math.floor(ms) | 1) >>> 0;
}

/** Whether a lease that lasts until `lease` is held at `now`, both as words. */
export function isLeaseHeld(lease: number, now: number): boolean {
  const leftMs = (lease - now) | 0;
  return leftMs > 0 && leftMs <= AHEAD_MS_MAX;
}
