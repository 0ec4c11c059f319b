// SPDX-License-Identifier: Apache-2.0

// What comes next in a run: one pure step. Whoever leads gives it the run as it is stored, what came of the work under way, and the time;
// it gives back the run as it is to be stored, and the work to do then. So work is begun only after the store has it that it is (intent),
// and another leader goes on where this one was.
//
//   waiting ─► running ─┬─► done ─► undoing ─► undone           skipped: not part of this kind of run, or by order
//                       └─► failed ─► (resume) waiting

import { parseDuration } from "@meridian/core";
import { stepKindOf } from "@meridian/model";
import {
  HANDOVER,
  RAMP,
  UNDO_FAILED,
  withEvent,
  withStep,
  type RecoveryRun,
  type RunStep,
  type StepMemo,
} from "./run-state.ts";

/** What came of the work of a step. */
export interface Outcome {
  /** `going`: not done yet; it is tried or looked at again. */
  readonly result: "done" | "failed" | "going";
  readonly detail: string;
  /** What is to be remembered besides. */
  readonly memo?: StepMemo | undefined;
  /** Whether it was one more try. */
  readonly isTry?: boolean | undefined;
}

export interface Advance {
  readonly run: RecoveryRun;
  /** Indices of the steps that are running or undone now, and that somebody has to see to. */
  readonly work: readonly number[];
  /** When time alone changes something next, Unix milliseconds. */
  readonly wakeAtMs: number | undefined;
}

/** Kinds that move traffic. */
const moving: ReadonlySet<string> = new Set(["controls", "shift", "endShift", "weights"]);
/** Kinds that a roll-back undoes. */
const undoable: ReadonlySet<string> = new Set([
  "controls",
  "shift",
  "endShift",
  "weights",
  "webhook",
  "kubernetes",
]);
const systemActor = "meridian";

/** `outcomes` by index of the step. */
export function advance(
  before: RecoveryRun,
  outcomes: ReadonlyMap<number, Outcome>,
  nowMs: number,
): Advance {
  let run = before;
  for (const [index, outcome] of outcomes) run = withOutcome(run, index, outcome, nowMs);
  run = timePasses(run, nowMs);
  if (run.state === "running")
    run = run.isRollingBack ? undoNext(run, nowMs) : beginNext(run, nowMs);
  const isOn = run.state === "running" || run.state === "paused";
  const work = run.steps.flatMap(({ state }, index) =>
    isOn && (state === "running" || state === "undoing") ? [index] : [],
  );
  return { run, work, wakeAtMs: isOn ? wakeAtMs(run) : undefined };
}

/** Whether a roll-back can do anything about a step. */
export function isUndoable({ what }: RunStep): boolean {
  return undoable.has(stepKindOf(what)) && (what.webhook === undefined || what.webhook.onRollBack);
}

/** Whether a step moves traffic. */
export function isMoving({ what }: RunStep): boolean {
  return moving.has(stepKindOf(what));
}

function withOutcome(
  run: RecoveryRun,
  index: number,
  { result, detail, memo, isTry = false }: Outcome,
  nowMs: number,
): RecoveryRun {
  const step = run.steps[index];
  if (step === undefined || (step.state !== "running" && step.state !== "undoing")) return run;
  const tries = step.tries + (isTry ? 1 : 0);
  const noted = { detail, tries, memo: { ...step.memo, ...memo } };
  if (result === "going") {
    const isSame = step.detail === detail && !isTry && memo === undefined;
    return isSame ? run : withStep(run, index, noted);
  }
  if (result === "failed") return withFailure(withStep(run, index, noted), index, detail, nowMs);
  const isUndone = step.state === "undoing";
  const state = isUndone ? "undone" : "done";
  const next = withStep(run, index, { ...noted, state, endedAtMs: nowMs });
  // What is measured is the newest move.
  return isMoving(step)
    ? { ...next, movedAtMs: nowMs, drainMs: undefined, greenAtMs: undefined, isMeasured: false }
    : next;
}

function withFailure(run: RecoveryRun, index: number, detail: string, nowMs: number): RecoveryRun {
  const step = run.steps[index];
  if (step === undefined) return run;
  const isUndoing = step.state === "undoing";
  const state = isUndoing ? "done" : "failed";
  const memo = isUndoing ? { ...step.memo, [UNDO_FAILED]: detail } : step.memo;
  const failed = withEvent(withStep(run, index, { state, detail, memo, endedAtMs: nowMs }), {
    ...{ atMs: nowMs, actor: systemActor, what: isUndoing ? "undo failed" : "failed" },
    ...{ step: step.name, reason: detail },
  });
  const isOver = step.what.onFailure === "continue" && !isUndoing;
  return isOver ? failed : { ...failed, state: "paused" };
}

/** Waits that are over, and steps that have taken too long. */
function timePasses(before: RecoveryRun, nowMs: number): RecoveryRun {
  let run = before;
  for (const [index, step] of run.steps.entries()) {
    const dueMs = dueAtMs(step);
    if (dueMs === undefined || nowMs < dueMs) continue;
    const isWait = step.what.wait !== undefined;
    run = isWait
      ? withStep(run, index, { state: "done", detail: "waited", endedAtMs: nowMs })
      : withFailure(run, index, timedOut(step), nowMs);
  }
  return run;
}

function timedOut({ what, detail }: RunStep): string {
  return `not done in ${what.timeout}${detail === "" ? "" : `: ${detail}`}`;
}

/** When a step that is under way ends by itself. */
function dueAtMs({ state, what, startedAtMs = 0 }: RunStep): number | undefined {
  if (state !== "running" && state !== "undoing") return undefined;
  return startedAtMs + (parseDuration(what.wait?.for ?? what.timeout) ?? 0);
}

function wakeAtMs(run: RecoveryRun): number | undefined {
  const times = run.steps.flatMap((step) => dueAtMs(step) ?? []);
  return times.length === 0 ? undefined : Math.min(...times);
}

function beginNext(before: RecoveryRun, nowMs: number): RecoveryRun {
  let run = before;
  // A step that is skipped settles what comes after it.
  for (const [index, step] of before.steps.entries()) {
    if (step.state !== "waiting" || !step.after.every((at) => isSettled(run.steps[at]))) continue;
    const isPart = step.what.only === undefined || step.what.only === run.mode;
    run = withStep(
      run,
      index,
      isPart
        ? { state: "running", startedAtMs: nowMs, endedAtMs: undefined, detail: "" }
        : { state: "skipped", detail: `not part of ${run.mode} runs` },
    );
  }
  return run.steps.every(isSettled) ? { ...run, state: "completed", endedAtMs: nowMs } : run;
}

function isSettled(step: RunStep | undefined): boolean {
  if (step === undefined) return true;
  if (step.state === "failed") return step.what.onFailure === "continue";
  return step.state === "done" || step.state === "skipped";
}

/** One after another, what was done last first. */
function undoNext(run: RecoveryRun, nowMs: number): RecoveryRun {
  if (run.steps.some(({ state }) => state === "undoing")) return run;
  const [next] = run.steps
    .map((step, index) => ({ step, index }))
    .filter(({ step }) => isLeftToUndo(step))
    .toSorted((a, b) => (b.step.endedAtMs ?? 0) - (a.step.endedAtMs ?? 0) || b.index - a.index);
  if (next === undefined) return { ...run, state: "rolled-back", endedAtMs: nowMs };
  return withStep(run, next.index, {
    ...{ state: "undoing", startedAtMs: nowMs, detail: "", tries: 0 },
  });
}

/** Of a step that failed or was cut off nobody knows how far it came; of a ramp it is known. */
function isLeftToUndo(step: RunStep): boolean {
  const { state, memo } = step;
  const hasBegun = memo[RAMP] !== undefined || memo[HANDOVER] !== undefined;
  const isPartly = hasBegun && memo[UNDO_FAILED] === undefined;
  const mayHaveDone =
    state === "done" ||
    (state === "failed" && (isPartly || !isMoving(step))) ||
    (state === "skipped" && isPartly);
  return mayHaveDone && isUndoable(step);
}
