// SPDX-License-Identifier: Apache-2.0

// When a rollout ends at the earliest: every analysis that is left succeeds each time it is made, and nobody has to be waited for.

import { parseDuration } from "@meridian/core";
import type { RolloutSpec } from "@meridian/model";
import { isActive, type RolloutRun } from "./rollout-run.ts";

/** What is left of a rollout that is under way. */
export interface RolloutRest {
  /** Unix milliseconds; absent where somebody has to let it go on, or it is paused. */
  readonly earliestEndMs?: number;
  /** Pauses without end that are left: it waits in each until it is promoted. */
  readonly promotions: number;
}

export function rolloutRest(spec: RolloutSpec, run: RolloutRun | undefined): RolloutRest {
  if (run === undefined || !isActive(run)) return { promotions: 0 };
  const { steps, waves } = spec;
  const later = [
    ...steps.slice(run.step + 1),
    ...Array.from({ length: waves.length - run.wave - 1 }, () => steps).flat(),
  ];
  const left = [...steps.slice(run.step, run.step + 1), ...later];
  const promotions = left.filter(({ pause }) => pause !== undefined && pause.for === undefined);
  if (promotions.length > 0 || run.phase !== "progressing")
    return { promotions: promotions.length };
  const lengths = later.reduce((sum, step) => sum + lengthMsOf(spec, step), 0);
  return { earliestEndMs: currentEndMs(spec, run) + lengths, promotions: 0 };
}

type Step = RolloutSpec["steps"][number];

function lengthMsOf({ analyses }: RolloutSpec, { pause, analysis = [] }: Step): number {
  if (pause?.for !== undefined) return parseDuration(pause.for) ?? 0;
  const lengths = analysis.map((name) => {
    const { initialDelay = "0s", interval = "0s", count = 1 } = analyses[name] ?? {};
    return (parseDuration(initialDelay) ?? 0) + (count - 1) * (parseDuration(interval) ?? 0);
  });
  return Math.max(0, ...lengths);
}

/** When the step that is being done is done. */
function currentEndMs(spec: RolloutSpec, { step: at, stepSinceMs, tallies }: RolloutRun): number {
  const step = spec.steps[at];
  if (step === undefined) return stepSinceMs;
  const ends = (step.analysis ?? []).map((name) => {
    const [tally, analysis] = [tallies[name], spec.analyses[name]];
    if (tally === undefined || analysis === undefined)
      return stepSinceMs + lengthMsOf(spec, { analysis: [name] });
    const missing = Math.max(0, analysis.count - tally.successes);
    return tally.lastMs + missing * (parseDuration(analysis.interval) ?? 0);
  });
  return ends.length === 0 ? stepSinceMs + lengthMsOf(spec, step) : Math.max(...ends);
}
