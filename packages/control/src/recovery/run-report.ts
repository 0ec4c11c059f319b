// SPDX-License-Identifier: Apache-2.0

// What a run came to: how long recovery took and what of it was what, from the times that the run and the controls have kept.
//
//   since ─ detection ─► detected ─ decision ─► moved ─ propagation ─► at all edges ─ drain ─► no old answer is kept
//                                                  └──────────── health ────────────► all green

import { stepKindOf } from "@meridian/model";
import { isUndoable } from "./run-advance.ts";
import { runName, type RecoveryRun, type RunEvent } from "./run-state.ts";

/** A part of the time that recovery took. Unix milliseconds. */
export interface ReportPhase {
  readonly name: "detection" | "decision" | "propagation" | "drain" | "health";
  readonly fromMs: number;
  readonly toMs: number;
}

export interface ReportStep {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly startedAtMs?: number | undefined;
  readonly endedAtMs?: number | undefined;
  readonly tries: number;
  readonly detail: string;
  readonly canBeUndone: boolean;
}

export interface RecoveryReport {
  /** `NAMESPACE/PLAN/ID`. */
  readonly name: string;
  readonly id: string;
  readonly mode: string;
  readonly state: string;
  readonly isRollingBack: boolean;
  readonly actor: string;
  readonly reason: string;
  readonly trigger?: string | undefined;
  readonly createdAtMs: number;
  readonly sinceMs: number;
  readonly endedAtMs?: number | undefined;
  readonly phases: readonly ReportPhase[];
  /** From `sinceMs` until clients were served again; undefined while they are not, or it is not known. */
  readonly recoveryMs?: number | undefined;
  readonly objectiveMs?: number | undefined;
  readonly isMet?: boolean | undefined;
  readonly names: readonly string[];
  readonly steps: readonly ReportStep[];
  readonly events: readonly RunEvent[];
}

/** `propagatedAtMs` is when all edges had what was moved; `detailOf` how a step goes. */
export function reportOf(
  run: RecoveryRun,
  propagatedAtMs: number | undefined,
  detailOf: (index: number) => string = (index) => run.steps[index]?.detail ?? "",
): RecoveryReport {
  const { id, mode, state, isRollingBack, actor, reason, trigger } = run;
  const { createdAtMs, sinceMs, endedAtMs, objectiveMs, names, events } = run;
  const phases = phasesOf(run, propagatedAtMs);
  const recoveredAtMs = recoveredAt(run, propagatedAtMs);
  const recoveryMs = recoveredAtMs === undefined ? undefined : recoveredAtMs - sinceMs;
  const isKnown = recoveryMs !== undefined && objectiveMs !== undefined;
  return {
    ...{ name: runName(run), id, mode, state, isRollingBack, actor, reason },
    ...{ trigger, createdAtMs, sinceMs, endedAtMs, phases, recoveryMs, objectiveMs },
    isMet: isKnown ? recoveryMs <= objectiveMs : undefined,
    names,
    steps: run.steps.map((step, index) => ({
      ...{ name: step.name, kind: stepKindOf(step.what), state: step.state },
      ...{ startedAtMs: step.startedAtMs, endedAtMs: step.endedAtMs, tries: step.tries },
      detail: detailOf(index),
      canBeUndone: isUndoable(step),
    })),
    events,
  };
}

/** A run that moves nothing has recovered when it is through. */
function recoveredAt(run: RecoveryRun, propagatedAtMs: number | undefined): number | undefined {
  const { movedAtMs, drainMs, greenAtMs, state, endedAtMs } = run;
  if (movedAtMs === undefined) return state === "completed" ? endedAtMs : undefined;
  if (!run.isMeasured || propagatedAtMs === undefined || greenAtMs === undefined) return undefined;
  return Math.max(propagatedAtMs + (drainMs ?? 0), greenAtMs);
}

function phasesOf(run: RecoveryRun, propagatedAtMs: number | undefined): ReportPhase[] {
  const { sinceMs, detectedAtMs, movedAtMs, drainMs, greenAtMs } = run;
  const phases: ReportPhase[] = [{ name: "detection", fromMs: sinceMs, toMs: detectedAtMs }];
  if (movedAtMs === undefined) return phases;
  phases.push({ name: "decision", fromMs: detectedAtMs, toMs: movedAtMs });
  if (propagatedAtMs !== undefined) {
    phases.push({ name: "propagation", fromMs: movedAtMs, toMs: propagatedAtMs });
    if (drainMs !== undefined)
      phases.push({ name: "drain", fromMs: propagatedAtMs, toMs: propagatedAtMs + drainMs });
  }
  if (greenAtMs !== undefined) phases.push({ name: "health", fromMs: movedAtMs, toMs: greenAtMs });
  return phases;
}
