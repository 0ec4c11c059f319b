// SPDX-License-Identifier: Apache-2.0

// What people do to a run that is under way: pure, as the run itself.

import {
  UNDO_FAILED,
  withEvent,
  withStep,
  isOver,
  type RecoveryRun,
  type RunStep,
} from "./run-state.ts";

export const runOrders = [
  "pause",
  "resume",
  "skip",
  "cancel",
  "rollback",
  "approve",
  "decline",
  "graceful",
  "ungraceful",
] as const;

export type RunOrder = (typeof runOrders)[number];

export interface Order {
  readonly order: RunOrder;
  /** For `skip`, `approve` and `decline`, where more than one step comes into question. */
  readonly step?: string | undefined;
  readonly actor: string;
  readonly reason: string;
}

/** The run as it is then, or why it is not done. */
export function orderRun(
  run: RecoveryRun,
  order: Order,
  nowMs: number,
): { readonly run: RecoveryRun } | { readonly refusal: string } {
  const isBack = order.order === "rollback";
  const isEnded = isBack ? run.state === "rolled-back" : isOver(run);
  if (isEnded) return { refusal: `it is ${run.state}` };
  const changed = changes[order.order](run, order, nowMs);
  if (typeof changed === "string") return { refusal: changed };
  const { actor, reason, step } = order;
  return { run: withEvent(changed, { atMs: nowMs, actor, what: order.order, step, reason }) };
}

/** Of the answer to what oneself has begun, as approvals have it. */
const OWN = "it is your own, expected somebody else";

type Change = (run: RecoveryRun, order: Order, nowMs: number) => RecoveryRun | string;

const changes: Readonly<Record<RunOrder, Change>> = {
  pause: (run) => (run.state === "paused" ? "it is paused already" : { ...run, state: "paused" }),
  resume: (run) => {
    if (run.state !== "paused") return "it is not paused";
    // What was undone in part is undone again by itself.
    const isAgain = (step: RunStep): boolean => isHolding(step) && !run.isRollingBack;
    const steps = run.steps.map((step): RunStep =>
      isAgain(step) ? { ...step, state: "waiting", tries: 0 } : step,
    );
    return { ...run, steps, state: "running" };
  },
  skip: (run, order, nowMs) => {
    const isWanted = (step: RunStep): boolean =>
      run.isRollingBack ? isUndoFailed(step) : isHolding(step) || step.state === "running";
    const found = pick(run, order, isWanted);
    if (typeof found === "string") return found;
    if (run.isRollingBack) {
      const left = { state: "skipped", detail: "left as it is: undoing it failed" } as const;
      return { ...withStep(run, found, left), state: "running" };
    }
    // To go on without asking is to say yes.
    if (run.steps[found]?.what.approval !== undefined && order.actor === run.actor) return OWN;
    const was = run.steps[found]?.state;
    const detail = was === "failed" ? "skipped after it failed" : "skipped";
    const skipped = withStep(run, found, { state: "skipped", detail, endedAtMs: nowMs });
    // It was what the run waited for.
    const isFree = was === "failed" && !skipped.steps.some(isHolding);
    return isFree ? { ...skipped, state: "running" } : skipped;
  },
  cancel: (run, _, nowMs) => {
    const steps = run.steps.map((step): RunStep => {
      if (step.state === "waiting") return { ...step, state: "skipped", detail: "canceled" };
      const isCut = step.state === "running" || step.state === "undoing";
      return isCut
        ? { ...step, state: "failed", detail: "canceled while it ran", endedAtMs: nowMs }
        : step;
    });
    return { ...run, steps, state: "canceled", endedAtMs: nowMs };
  },
  rollback: (run, _, nowMs) => {
    const steps = run.steps.map((step): RunStep => {
      if (step.state === "waiting") return { ...step, state: "skipped", detail: "rolled back" };
      return step.state === "running"
        ? { ...step, state: "failed", detail: "rolled back while it ran", endedAtMs: nowMs }
        : step;
    });
    return { ...run, steps, state: "running", isRollingBack: true, endedAtMs: undefined };
  },
  approve: (run, order, nowMs) => {
    const found = pick(run, order, isAsking);
    if (typeof found === "string") return found;
    if (order.actor === run.actor) return OWN;
    const detail = `approved by ${order.actor}`;
    return withStep(run, found, { state: "done", detail, endedAtMs: nowMs });
  },
  decline: (run, order, nowMs) => {
    const found = pick(run, order, isAsking);
    if (typeof found === "string") return found;
    const detail = `declined by ${order.actor}: ${order.reason}`;
    const declined = withStep(run, found, { state: "failed", detail, endedAtMs: nowMs });
    return run.steps[found]?.what.onFailure === "continue"
      ? declined
      : { ...declined, state: "paused" };
  },
  graceful: (run) => (run.mode === "graceful" ? "it is graceful" : { ...run, mode: "graceful" }),
  ungraceful: (run) =>
    run.mode === "ungraceful" ? "it is ungraceful" : { ...run, mode: "ungraceful" },
};

/** A failed step that the run waits for. */
function isHolding({ state, what }: RunStep): boolean {
  return state === "failed" && what.onFailure === "pause";
}

function isAsking({ state, what }: RunStep): boolean {
  return state === "running" && what.approval !== undefined;
}

/** A step that a roll-back could not undo, and stands at. */
function isUndoFailed({ state, memo }: RunStep): boolean {
  return state === "done" && memo[UNDO_FAILED] !== undefined;
}

/** Whether an order leaves a step behind that asks for approval. */
export function skipsApproval(before: RecoveryRun, after: RecoveryRun): boolean {
  return after.steps.some(
    ({ state, what }, index) =>
      what.approval !== undefined &&
      state === "skipped" &&
      before.steps[index]?.state !== "skipped",
  );
}

/** The index of the step that is named, or of the only one that comes into question. */
function pick(
  { steps }: RecoveryRun,
  { step: wanted, order }: Order,
  isWanted: (step: RunStep) => boolean,
): number | string {
  const found = steps.flatMap((step, index) =>
    isWanted(step) || (wanted !== undefined && order === "skip" && step.state === "waiting")
      ? [{ name: step.name, index }]
      : [],
  );
  const names = found.map(({ name }) => name).join(", ");
  if (wanted !== undefined)
    return (
      found.find(({ name }) => name === wanted)?.index ??
      `step "${wanted}" does not come into question, expected ${names === "" ? "none" : `one of ${names}`}`
    );
  const [first, second] = found;
  if (first === undefined) return "no step comes into question";
  return second === undefined ? first.index : `name one of the steps ${names}`;
}
