// SPDX-License-Identifier: Apache-2.0

// When an endpoint is probed. The phase inside the interval is fixed by a hash of vantage and key, so that load is even, equal
// after every restart and different from one vantage to the next; jitter is added to the grid point and never accumulates:
//
//   base            base + phase      base + phase + interval
//    │   first           │ + jitter            │ + jitter
//    └─────x─────────────x─────────────────────x──────────   two starts are never more than interval × (1 + jitter) apart
//
// The first probe comes at the same part of a shorter round, so that a restart soon knows everything: of a quarter of a second, and where
// more targets begin than can be probed in that, of as long as they take.

import { hash32, type Random } from "@meridian/core";
import type { CheckTiming } from "./check.ts";
import { FIRST_PROBES_PER_SECOND, FIRST_ROUND_SPREAD_MS } from "./limits.ts";

const encoder = new TextEncoder();

/** Place of `key` in every interval as seen from `vantage`, 0 ≤ phase < 1. */
export function phaseOf(vantage: string, key: string): number {
  const bytes = encoder.encode(`${vantage}\n${key}`);
  return hash32(bytes, 0, bytes.length, 0) / 2 ** 32;
}

/** Start of the first probe of an endpoint that became known at `nowMs`, with `count` others or fewer. Never later than an interval. */
export function firstProbeMs(
  timing: CheckTiming,
  phase: number,
  nowMs: number,
  count: number,
): number {
  const roundMs = Math.max(FIRST_ROUND_SPREAD_MS, (count * 1000) / FIRST_PROBES_PER_SECOND);
  return nowMs + phase * Math.min(timing.intervalMs, roundMs);
}

/** Start of the next probe after `nowMs`, on the grid that began at `baseMs`. */
export function nextProbeMs(
  timing: CheckTiming,
  phase: number,
  baseMs: number,
  nowMs: number,
  random: Random,
): number {
  const originMs = baseMs + phase * timing.intervalMs;
  const turn = Math.floor((nowMs - originMs) / timing.intervalMs) + 1;
  const gridMs = originMs + turn * timing.intervalMs;
  // Rounding may take a start at a grid point for one just before it.
  const nextMs = gridMs > nowMs ? gridMs : gridMs + timing.intervalMs;
  const jitterMs = timing.jitter * timing.intervalMs * (random.next32() / 2 ** 32);
  return nextMs + jitterMs;
}
