// SPDX-License-Identifier: Apache-2.0
import { measure } from "mitata";

// Each benchmark file names its functions and hands them here, so that all of them print alike, `bench/compare` can read
// any of them, and a smoke run is quick.

const isSmoke = process.env["MERIDIAN_BENCH_SMOKE"] === "1";

// mitata counts CPU time in nanoseconds.
const effort = isSmoke
  ? { min_cpu_time: 1e6, min_samples: 1, warmup_samples: 1 }
  : { min_cpu_time: 500e6, min_samples: 20 };

/** Measures functions one after the other and prints a line for each: name, median, 25th and 99th percentile. */
export async function measureAll(
  functions: Readonly<Record<string, () => unknown>>,
): Promise<void> {
  for (const [name, run] of Object.entries(functions)) {
    const found = await measure(run, effort);
    const [middle, low, high] = [found.p50, found.p25, found.p99].map(formatNs);
    console.log(`${name.padEnd(32)} ${middle} (${low} to ${high})`);
  }
}

function formatNs(ns: number): string {
  if (ns >= 1e6) return `${(ns / 1e6).toFixed(2)} ms`;
  return ns >= 1e3 ? `${(ns / 1e3).toFixed(2)} µs` : `${ns.toFixed(2)} ns`;
}
