// SPDX-License-Identifier: Apache-2.0

// One run of a RecoveryPlan as the store keeps it: the steps as the plan had them when it began, what became of each, and what was measured.
// Whoever leads reads it, and goes on from there.

import { limits, recoveryStepSchema, type RecoveryStep } from "@meridian/model";
import * as z from "zod";

export type RunMode = "graceful" | "ungraceful";

/** `paused` also where a step has failed; the last three are ends. */
export type RunState = "running" | "paused" | "completed" | "canceled" | "rolled-back";

/** `waiting` for its turn; `undoing` and `undone` by a roll-back. */
export type StepState =
  | "waiting"
  | "running"
  | "done"
  | "failed"
  | "skipped"
  | "undoing"
  | "undone";

/** What a step was found to change, so that it can be undone and is not done twice. JSON text by word. */
export type StepMemo = Readonly<Record<string, string>>;

/** What is remembered of a step that a roll-back could not undo: why. */
export const UNDO_FAILED = "undoFailed";

/** Under which a step that changes weights remembers how far its ramp is. */
export const RAMP = "ramp";
/** Memo of a step that has turned routing controls: in which state, and the panel whose fenced hand-over it waits for. */
export const HANDOVER = "handover";

export interface RunStep {
  /** Unique in the run: `STEP`, or `STEP/INNER` of a child plan. */
  readonly name: string;
  readonly what: RecoveryStep;
  /** Indices of the steps that have to be settled before. */
  readonly after: readonly number[];
  readonly state: StepState;
  /** Unix milliseconds. */
  readonly startedAtMs?: number | undefined;
  readonly endedAtMs?: number | undefined;
  /** How often it was begun or tried. */
  readonly tries: number;
  /** What it waits for, has done, or why it has failed. */
  readonly detail: string;
  readonly memo: StepMemo;
}

/** What people and triggers did to a run. */
export interface RunEvent {
  readonly atMs: number;
  readonly actor: string;
  /** As in `pause`; `failed` of a step. */
  readonly what: string;
  readonly step?: string | undefined;
  readonly reason: string;
}

export interface RecoveryRun {
  /** 8 hexadecimal digits. */
  readonly id: string;
  readonly namespace: string;
  readonly plan: string;
  readonly mode: RunMode;
  readonly state: RunState;
  readonly isRollingBack: boolean;
  readonly actor: string;
  readonly reason: string;
  /** The trigger that began it. */
  readonly trigger?: string | undefined;
  /** Unix milliseconds. */
  readonly createdAtMs: number;
  /** When what it recovers from began, as far as is known. */
  readonly sinceMs: number;
  /** When it was known that it had to run. */
  readonly detectedAtMs: number;
  readonly endedAtMs?: number | undefined;
  /** When the last step that moves traffic was committed. */
  readonly movedAtMs?: number | undefined;
  /** How long resolvers may keep an answer of before, from then on; undefined until it is known. */
  readonly drainMs?: number | undefined;
  /** Since when, after the move, everything that clients are sent to is healthy. */
  readonly greenAtMs?: number | undefined;
  /** Whether all of it is measured. */
  readonly isMeasured: boolean;
  readonly objectiveMs?: number | undefined;
  readonly names: readonly string[];
  /** What it moves, for the rule that no two runs move the same. */
  readonly touches: readonly string[];
  readonly steps: readonly RunStep[];
  readonly events: readonly RunEvent[];
}

/** Events that a run keeps, the newest. */
export const runEventsMax = 200;

const text = z.string();
const ms = z.number();
const stepSchema: z.ZodType<RunStep> = z.object({
  name: text,
  what: recoveryStepSchema,
  after: z.array(z.int().min(0)),
  state: z.enum(["waiting", "running", "done", "failed", "skipped", "undoing", "undone"]),
  startedAtMs: ms.optional(),
  endedAtMs: ms.optional(),
  tries: z.int(),
  detail: text,
  memo: z.record(text, text),
});
const runSchema: z.ZodType<RecoveryRun> = z.object({
  id: text,
  namespace: text,
  plan: text,
  mode: z.enum(["graceful", "ungraceful"]),
  state: z.enum(["running", "paused", "completed", "canceled", "rolled-back"]),
  isRollingBack: z.boolean(),
  actor: text,
  reason: text,
  trigger: text.optional(),
  createdAtMs: ms,
  sinceMs: ms,
  detectedAtMs: ms,
  endedAtMs: ms.optional(),
  movedAtMs: ms.optional(),
  drainMs: ms.optional(),
  greenAtMs: ms.optional(),
  isMeasured: z.boolean(),
  objectiveMs: ms.optional(),
  names: z.array(text),
  touches: z.array(text),
  steps: z.array(stepSchema).max(limits.runStepsMax),
  events: z.array(
    z.object({ atMs: ms, actor: text, what: text, step: text.optional(), reason: text }),
  ),
});

/** Reads a run; undefined for something else. */
export function parseRun(json: string): RecoveryRun | undefined {
  const result = runSchema.safeParse(JSON.parse(json));
  return result.success ? result.data : undefined;
}

/** Its name among state documents. */
export function runName({ namespace, plan, id }: RecoveryRun): string {
  return `${namespace}/${plan}/${id}`;
}

export function isOver({ state }: RecoveryRun): boolean {
  return state === "completed" || state === "canceled" || state === "rolled-back";
}

/** The run with another step in the place of one. */
export function withStep(run: RecoveryRun, index: number, change: Partial<RunStep>): RecoveryRun {
  const steps = run.steps.map((step, at) => (at === index ? { ...step, ...change } : step));
  return { ...run, steps };
}

/** The run with one more event. */
export function withEvent(run: RecoveryRun, event: RunEvent): RecoveryRun {
  return { ...run, events: [...run.events, event].slice(-runEventsMax) };
}
