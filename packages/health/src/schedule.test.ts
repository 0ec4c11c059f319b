// SPDX-License-Identifier: Apache-2.0

import { Pcg32 } from "@meridian/core";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { defaultTiming } from "./check.ts";
import { FIRST_PROBES_PER_SECOND, FIRST_ROUND_SPREAD_MS } from "./limits.ts";
import { firstProbeMs, nextProbeMs, phaseOf } from "./schedule.ts";

test("nextProbeMs() never leaves more than interval × (1 + jitter) between two starts", () => {
  fc.assert(
    fc.property(
      fc.record({
        intervalMs: fc.integer({ min: 100, max: 60_000 }),
        jitter: fc.double({ min: 0, max: 0.05, noNaN: true }),
        baseMs: fc.nat(1_000_000),
        sinceBaseMs: fc.nat(1_000_000),
        key: fc.string(),
        seed: fc.nat(),
      }),
      ({ intervalMs, jitter, baseMs, sinceBaseMs, key, seed }) => {
        const timing = { ...defaultTiming, intervalMs, jitter };
        const random = new Pcg32(seed);
        const phase = phaseOf("eu-1", key);
        let atMs = firstProbeMs(timing, phase, baseMs + sinceBaseMs, 1);
        for (let turn = 0; turn < 20; turn++) {
          const nextMs = nextProbeMs(timing, phase, baseMs, atMs, random);
          assert.ok(nextMs > atMs && nextMs - atMs <= intervalMs * (1 + jitter) + 1e-6);
          // Two starts are close only where the schedule begins: afterwards the grid keeps them apart.
          if (turn > 0) assert.ok(nextMs - atMs >= intervalMs * (1 - jitter) - 1e-6);
          atMs = nextMs;
        }
      },
    ),
  );
});

test("firstProbeMs() is soon for few targets, no burst for many, and never later than an interval", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 100, max: 60_000 }),
      (count, intervalMs) => {
        const timing = { ...defaultTiming, intervalMs };
        const windows = new Map<number, number>();
        for (let at = 0; at < count; at++) {
          const startMs = firstProbeMs(timing, phaseOf("eu-1", `endpoint/${at}`), 0, count);
          assert.ok(startMs >= 0 && startMs <= intervalMs);
          if (count <= 2500) assert.ok(startMs <= FIRST_ROUND_SPREAD_MS);
          const window = Math.floor(startMs / 100);
          windows.set(window, (windows.get(window) ?? 0) + 1);
        }
        // What the interval itself asks for cannot be less; phases are even within a few standard deviations.
        const perSecond = Math.max(FIRST_PROBES_PER_SECOND, (count * 1000) / intervalMs);
        const most = perSecond / 10;
        for (const found of windows.values()) assert.ok(found <= most + 6 * Math.sqrt(most));
      },
    ),
    { numRuns: 30 },
  );
});

test("phaseOf() spreads endpoints evenly and differs from vantage to vantage", () => {
  const count = 10_000;
  const buckets = new Array<number>(20).fill(0);
  let closeBy = 0;
  for (let index = 0; index < count; index++) {
    const phase = phaseOf("eu-1", `endpoint/default/web/${index}`);
    const bucket = Math.floor(phase * 20);
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    if (Math.abs(phase - phaseOf("us-1", `endpoint/default/web/${index}`)) < 0.01) closeBy++;
  }
  // Mean 500, standard deviation 22.
  for (const found of buckets) assert.ok(Math.abs(found - 500) < 120, String(found));
  assert.ok(closeBy < 400);
});
