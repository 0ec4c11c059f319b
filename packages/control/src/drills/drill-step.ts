// SPDX-License-Identifier: Apache-2.0

// What becomes of a drill: one pure step, from what is recorded of it and what is seen now. The leader of the controls takes it and records each
// before it is done, so that another leader goes on where it stopped; a shift that is begun twice is one, as its id is recorded first.
//
//   idle ─► begun (id recorded) ─► shifted ─► ending (outcome recorded) ─► idle, with one run more in the past

import { parseDuration } from "@meridian/core";
import type { DrillDocument } from "@meridian/model";

export type DrillOutcome = "succeeded" | "failed" | "interrupted" | "capacity check failed";

export interface DrillRun {
  /** Of its shift, too. */
  readonly id: string;
  /** `schedule`, or who asked for it. */
  readonly by: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly outcome?: DrillOutcome;
  readonly reason?: string;
}

/** What is kept of a drill. */
export interface DrillRecord {
  /** Of the document: another of the same name begins anew. */
  readonly uid: string;
  /** What the schedule counts from. */
  readonly sinceMs: number;
  readonly current?: DrillRun & { readonly stage: "begun" | "shifted" | "ending" };
  /** Who wants one now. */
  readonly wanted?: { readonly by: string; readonly atMs: number };
  /** Who wants it ended, and why. */
  readonly canceled?: { readonly by: string; readonly reason: string };
  /** Why none has begun though it is due. */
  readonly waits?: string;
  /** Newest first. */
  readonly past: readonly DrillRun[];
}

/** What an alarm says. One that cannot be asked, or has no data, is not green. */
export interface AlarmState {
  readonly name: string;
  readonly isRed: boolean;
  readonly reason: string;
}

/** What is seen when a step is taken. */
export interface DrillSight {
  readonly nowMs: number;
  readonly blocking: readonly AlarmState[];
  readonly outcome: readonly AlarmState[];
  /** Why the windows are closed. */
  readonly closed: string | undefined;
  /** Another shift of the same target that stands above a drill. */
  readonly above: string | undefined;
  /** What would be lacking. */
  readonly lacks: readonly string[];
  /** Whether its shift is running. */
  readonly isShifted: boolean;
  /** For a run that begins. */
  readonly newId: string;
}

/** What is to be done once the record is kept. */
export type DrillDeed = "shift" | "unshift" | undefined;

export interface DrillStep {
  readonly record: DrillRecord;
  readonly deed: DrillDeed;
}

const PAST_MAX = 20;

/** The same record where nothing is to be done. */
export function stepDrill(
  { spec }: Pick<DrillDocument, "spec">,
  record: DrillRecord,
  sight: DrillSight,
): DrillStep {
  const { current } = record;
  if (current === undefined) return idle(spec, record, sight);
  if (current.stage === "ending")
    return sight.isShifted
      ? { record, deed: "unshift" }
      : { record: past(record), deed: undefined };
  if (current.stage === "begun" && sight.isShifted)
    return { record: { ...record, current: { ...current, stage: "shifted" } }, deed: undefined };
  const isBegun = current.stage === "begun";
  const over = isBegun ? notBegun(spec, record, sight) : outcomeOf(spec, record, sight);
  if (over === undefined) return { record, deed: isBegun ? "shift" : undefined };
  const [outcome, reason] = over;
  const { canceled: _canceled, ...kept } = record;
  const ended = { ...current, stage: "ending" as const, outcome, reason, endedAtMs: sight.nowMs };
  return { record: { ...kept, current: ended }, deed: sight.isShifted ? "unshift" : undefined };
}

/** The record of a drill whose document is gone, or another: its run ends. */
export function abandoned(record: DrillRecord, nowMs: number): DrillRecord {
  const { current } = record;
  if (current === undefined || current.stage === "ending") return record;
  const how = { outcome: "interrupted" as const, reason: "the drill was deleted or made anew" };
  return { ...record, current: { ...current, ...how, stage: "ending", endedAtMs: nowMs } };
}

type Spec = DrillDocument["spec"];

function idle(spec: Spec, record: DrillRecord, sight: DrillSight): DrillStep {
  const { nowMs, newId } = sight;
  const { wanted, waits: _waits, canceled: _canceled, ...kept } = record;
  const isDue = !spec.paused && nowMs >= record.sinceMs + (parseDuration(spec.every) ?? 0);
  const still = (changed: DrillRecord): DrillStep => ({
    record: JSON.stringify(changed) === JSON.stringify(record) ? record : changed,
    deed: undefined,
  });
  if (wanted === undefined && !isDue) return still(kept);
  const run: DrillRun = { id: newId, by: wanted?.by ?? "schedule", startedAtMs: nowMs };
  const waits = hindrance(sight, wanted !== undefined);
  // Who asks now is told that it does not begin; the schedule tries again.
  if (waits !== undefined) return still({ ...kept, waits });
  if (sight.lacks.length > 0) {
    const reason = sight.lacks.join("; ");
    const ended = { ...run, endedAtMs: nowMs, outcome: "capacity check failed" as const, reason };
    return still({ ...kept, sinceMs: nowMs, past: [ended, ...kept.past].slice(0, PAST_MAX) });
  }
  return {
    record: { ...kept, sinceMs: nowMs, current: { ...run, stage: "begun" } },
    deed: "shift",
  };
}

/** Why none may begin now. Who asks for one is not bound to windows: they are for when nobody watches. */
export function hindrance(sight: DrillSight, isWanted: boolean): string | undefined {
  if (sight.above !== undefined) return `shift ${sight.above} of the same target is running`;
  const red = sight.blocking.find(({ isRed }) => isRed);
  if (red !== undefined) return `blocking alarm ${red.name} is red: ${red.reason}`;
  const before = sight.outcome.find(({ isRed }) => isRed);
  if (before !== undefined) return `outcome alarm ${before.name} is red: ${before.reason}`;
  return isWanted ? undefined : sight.closed;
}

/** Why a run ends whose shift could not be begun so far. */
function notBegun(
  spec: Spec,
  { current, canceled }: DrillRecord,
  { nowMs }: DrillSight,
): readonly [outcome: DrillOutcome, reason: string] | undefined {
  if (canceled !== undefined) return ["interrupted", `${canceled.by}: ${canceled.reason}`];
  return nowMs >= endsAtMs(spec, current)
    ? ["interrupted", "its shift could not be begun"]
    : undefined;
}

function endsAtMs({ lasts }: Spec, current: DrillRecord["current"]): number {
  return (current?.startedAtMs ?? 0) + (parseDuration(lasts) ?? 0);
}

function outcomeOf(
  spec: Spec,
  { current, canceled }: DrillRecord,
  { nowMs, blocking, outcome, above, isShifted }: DrillSight,
): readonly [outcome: DrillOutcome, reason: string] | undefined {
  if (canceled !== undefined) return ["interrupted", `${canceled.by}: ${canceled.reason}`];
  if (above !== undefined) return ["interrupted", `shift ${above} of the same target began`];
  const failed = outcome.find(({ isRed }) => isRed);
  if (failed !== undefined) return ["failed", `alarm ${failed.name} is red: ${failed.reason}`];
  const blocked = blocking.find(({ isRed }) => isRed);
  if (blocked !== undefined)
    return ["interrupted", `blocking alarm ${blocked.name} is red: ${blocked.reason}`];
  if (nowMs >= endsAtMs(spec, current)) return ["succeeded", "no alarm was red"];
  return isShifted ? undefined : ["interrupted", "its shift was ended"];
}

function past({ current, ...record }: DrillRecord): DrillRecord {
  if (current === undefined) return record;
  const { stage: _stage, ...run } = current;
  return { ...record, past: [run, ...record.past].slice(0, PAST_MAX) };
}
