// SPDX-License-Identifier: Apache-2.0

// How busy the machine was during a run: looked at each second, and where that took much longer nothing ran for a while, the run itself included.

import { setTimeout as sleep } from "node:timers/promises";
import { busyFactor } from "../e2e/process.ts";
import type { Span } from "./span.ts";

const LOOK_MS = 1000;
/** A look that is later than that shows a stall. */
const LATE_MS = 1000;

/** From then on all takes so much longer than on an idle machine. */
export interface Load {
  /** Milliseconds of the run's monotonic clock. */
  readonly atMs: number;
  /** 1 on an idle machine. */
  readonly factor: number;
}

/** Looks until it has ended. */
export async function watchLoad(ended: AbortSignal): Promise<Load[]> {
  const loads: Load[] = [];
  while (!ended.aborted) {
    loads.push({ atMs: performance.now(), factor: busyFactor() });
    await sleep(LOOK_MS, undefined, { signal: ended }).catch(() => undefined);
  }
  return loads;
}

/** Times in which the machine did not run what was due. */
export function stallsOf(loads: readonly Load[]): Span[] {
  return loads.flatMap(({ atMs: untilMs }, index) => {
    const fromMs = loads[index - 1]?.atMs ?? untilMs;
    return untilMs - fromMs > LOOK_MS + LATE_MS ? [{ fromMs, untilMs }] : [];
  });
}
