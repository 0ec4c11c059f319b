// SPDX-License-Identifier: Apache-2.0

// What a rollout is: where it stands, what was measured, and what becomes of it. Pure steps, after Argo Rollouts: whoever drives them keeps
// the run, asks for what is due and gives branches their weights.
//
//   start ─► progressing ─┬─► succeeded      each wave takes all steps; after the last one the canary has all traffic
//              ▲    ▲     ├─► waiting        for somebody: a pause without end, or values that are neither good nor bad
//        resume│    └─────┘  promote
//            paused           and from any of them ─► aborted: a failed analysis, or by hand; weights are the documents' again

import { parseDuration } from "@meridian/core";
import type { RolloutAnalysis, RolloutSpec, ValueCondition } from "@meridian/model";

export type RolloutPhase = "progressing" | "waiting" | "paused" | "succeeded" | "aborted";

/** What was measured of an analysis so far. */
export interface Tally {
  readonly successes: number;
  readonly failures: number;
  readonly inconclusives: number;
  /** In a row. */
  readonly errors: number;
  /** Times that there was no data. */
  readonly empty: number;
  /** Unix milliseconds. */
  readonly lastMs: number;
  /** What was found last, in words. */
  readonly last: string;
}

/** A rollout that was started. */
export interface RolloutRun {
  /** Of the document: another one of the same name is not this one. */
  readonly uid: string;
  readonly phase: RolloutPhase;
  /** Index of the wave that takes steps; the number of waves when all have. */
  readonly wave: number;
  /** Index of the step that is being done. */
  readonly step: number;
  /** Percent that the canary of the current wave has. */
  readonly weight: number;
  /** When it gave weights that edges have yet to say they answer with: what comes next begins when they have. */
  readonly movedAtMs?: number | undefined;
  readonly stepSinceMs: number;
  /** When a canary had a weight first; 0 before. */
  readonly watchSinceMs: number;
  /** Since when it is paused by hand; 0 unless it is. */
  readonly pausedAtMs: number;
  /** What it waits for: a step that is a pause, or a step's or a watched analysis. */
  readonly waitsFor: "pause" | "step" | "watch" | "nothing";
  /** By name; of watched analyses by `watch/NAME`. */
  readonly tallies: Readonly<Record<string, Tally>>;
  /** Who did the last thing that was done by hand. */
  readonly actor: string;
  /** Why it is in this phase, in words. */
  readonly reason: string;
  readonly startedAtMs: number;
  readonly changedAtMs: number;
}

/** What one question about a service came to. */
export type Measurement =
  | { readonly kind: "value"; readonly value: number }
  | { readonly kind: "noData" | "error"; readonly reason: string };

/** What somebody wants of a rollout. */
export interface Order {
  readonly verb: "promote" | "pause" | "resume" | "abort";
  /** Of `promote`: without the steps that are left. */
  readonly isFull: boolean;
  readonly actor: string;
  readonly reason: string;
}

const empty: Tally = {
  ...{ successes: 0, failures: 0, inconclusives: 0, errors: 0, empty: 0 },
  ...{ lastMs: 0, last: "" },
};

/** A run that has just begun: no traffic was moved. */
export function begun(
  uid: string,
  { actor, reason }: Pick<Order, "actor" | "reason">,
  nowMs: number,
): RolloutRun {
  return {
    ...{ uid, phase: "progressing", wave: 0, step: 0, weight: 0, stepSinceMs: nowMs },
    ...{ watchSinceMs: 0, pausedAtMs: 0, waitsFor: "nothing", tallies: {} },
    ...{ actor, reason, startedAtMs: nowMs, changedAtMs: nowMs },
  };
}

/** Whether it goes on, by itself or when somebody lets it. */
export function isActive({ phase }: Pick<RolloutRun, "phase">): boolean {
  return phase !== "succeeded" && phase !== "aborted";
}

/** Does every step that is done by now. */
export function advance(spec: RolloutSpec, run: RolloutRun, nowMs: number): RolloutRun {
  let at = run;
  while (at.phase === "progressing") {
    const next = stepOnce(spec, at, nowMs);
    if (next === undefined) break;
    at = next;
  }
  return at;
}

/** The next state of a run that progresses; undefined where it has to wait for time or measurements. */
function stepOnce(spec: RolloutSpec, run: RolloutRun, nowMs: number): RolloutRun | undefined {
  if (run.movedAtMs !== undefined) return undefined;
  const step = spec.steps[run.step];
  if (step === undefined) return waveDone(spec, run, nowMs);
  if (step.setWeight !== undefined) {
    const watchSinceMs = run.watchSinceMs === 0 && step.setWeight > 0 ? nowMs : run.watchSinceMs;
    const movedAtMs = step.setWeight === run.weight ? undefined : nowMs;
    const next = nextStep({ ...run, weight: step.setWeight, watchSinceMs }, nowMs);
    return { ...next, movedAtMs };
  }
  if (step.pause !== undefined) {
    if (step.pause.for === undefined) return waiting(run, "pause", "waits to be promoted", nowMs);
    const endsMs = run.stepSinceMs + (parseDuration(step.pause.for) ?? 0);
    return nowMs < endsMs ? undefined : nextStep(run, nowMs);
  }
  const isDone = (step.analysis ?? []).every(
    (name) => (run.tallies[name] ?? empty).successes >= (spec.analyses[name]?.count ?? 0),
  );
  return isDone ? nextStep(run, nowMs) : undefined;
}

function nextStep(run: RolloutRun, nowMs: number): RolloutRun {
  const kept = Object.entries(run.tallies).filter(([key]) => key.startsWith(WATCH));
  const tallies = Object.fromEntries(kept);
  const times = { stepSinceMs: nowMs, changedAtMs: nowMs, movedAtMs: undefined };
  const at = { step: run.step + 1, ...times };
  return { ...run, ...at, tallies, waitsFor: "nothing", reason: "" };
}

/** Whether its step begins only when edges have said that they answer with its weights. */
export function isMoving({ phase, movedAtMs }: Pick<RolloutRun, "phase" | "movedAtMs">): boolean {
  return phase === "progressing" && movedAtMs !== undefined;
}

/** Edges answer with its weights: the step begins. What is watched was measured meanwhile, as some of them did before others. */
export function served(run: RolloutRun, nowMs: number): RolloutRun {
  return isMoving(run) ? { ...run, movedAtMs: undefined, stepSinceMs: nowMs } : run;
}

function waveDone(spec: RolloutSpec, run: RolloutRun, nowMs: number): RolloutRun {
  const wave = run.wave + 1;
  const watchSinceMs = run.watchSinceMs === 0 ? nowMs : run.watchSinceMs;
  const times = { stepSinceMs: nowMs, changedAtMs: nowMs, watchSinceMs };
  const movedAtMs = run.weight === 100 ? undefined : nowMs;
  if (wave < spec.waves.length) return { ...run, ...times, wave, step: 0, weight: 0, movedAtMs };
  return { ...run, ...times, wave, weight: 100, phase: "succeeded", reason: "every step is done" };
}

function waiting(
  run: RolloutRun,
  waitsFor: RolloutRun["waitsFor"],
  reason: string,
  nowMs: number,
): RolloutRun {
  return { ...run, phase: "waiting", waitsFor, reason, changedAtMs: nowMs };
}

/** Who does what nobody has ordered. */
export const CONTROL = "control";

/** Ends it, with the documents' weights. */
export function aborted(
  run: RolloutRun,
  reason: string,
  nowMs: number,
  actor: string = CONTROL,
): RolloutRun {
  const ended = { phase: "aborted", waitsFor: "nothing", movedAtMs: undefined } as const;
  return { ...run, ...ended, reason, actor, changedAtMs: nowMs };
}

/** Keys of tallies of watched analyses begin with it. */
const WATCH = "watch/";

/** An analysis that is made now or later. */
export interface Due {
  /** Of its tally. */
  readonly key: string;
  readonly analysis: RolloutAnalysis;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** What is to be measured, and when. */
export function dues(spec: RolloutSpec, run: RolloutRun): Due[] {
  if (!isActive(run)) return [];
  const isStep = run.phase === "progressing" && run.movedAtMs === undefined;
  const named = isStep ? (spec.steps[run.step]?.analysis ?? []) : [];
  const watched = run.watchSinceMs === 0 ? [] : spec.watch;
  const due = (key: string, name: string, sinceMs: number): Due[] => {
    const analysis = spec.analyses[name];
    if (analysis === undefined) return [];
    const tally = run.tallies[key];
    const delayMs = parseDuration(analysis.initialDelay) ?? 0;
    const intervalMs = parseDuration(analysis.interval) ?? 0;
    const atMs = tally === undefined ? sinceMs + delayMs : tally.lastMs + intervalMs;
    const isDone = !key.startsWith(WATCH) && (tally?.successes ?? 0) >= analysis.count;
    return isDone ? [] : [{ key, analysis, atMs }];
  };
  return [
    ...named.flatMap((name) => due(name, name, run.stepSinceMs)),
    ...watched.flatMap((name) => due(WATCH + name, name, run.watchSinceMs)),
  ];
}

/** When something is to be done next by itself; undefined where nothing is. */
export function nextMs(spec: RolloutSpec, run: RolloutRun): number | undefined {
  const times = dues(spec, run).map(({ atMs }) => atMs);
  const isStep = run.phase === "progressing" && run.movedAtMs === undefined;
  const pause = isStep ? spec.steps[run.step]?.pause?.for : undefined;
  if (pause !== undefined) times.push(run.stepSinceMs + (parseDuration(pause) ?? 0));
  return times.length === 0 ? undefined : Math.min(...times);
}

/** Counts a measurement of what is due: it may end the run, or have it wait. */
export function measured(
  run: RolloutRun,
  { key, analysis }: Pick<Due, "key" | "analysis">,
  measurement: Measurement,
  nowMs: number,
): RolloutRun {
  if (!isActive(run)) return run;
  const before = run.tallies[key] ?? empty;
  const { verdict, words } = judged(analysis, measurement);
  const after: Tally = {
    successes: before.successes + Number(verdict === "success"),
    failures: before.failures + Number(verdict === "failure"),
    inconclusives: before.inconclusives + Number(verdict === "inconclusive"),
    errors: verdict === "error" ? before.errors + 1 : 0,
    empty: before.empty + Number(measurement.kind === "noData"),
    ...{ lastMs: nowMs, last: words },
  };
  const counted = { ...run, tallies: { ...run.tallies, [key]: after } };
  const name = key.startsWith(WATCH) ? key.slice(WATCH.length) : key;
  if (after.failures > analysis.failureLimit)
    return aborted(counted, `analysis ${name} failed: ${words}`, nowMs);
  if (after.errors > analysis.errorLimit)
    return aborted(counted, `analysis ${name} could not be made: ${words}`, nowMs);
  if (after.inconclusives <= analysis.inconclusiveLimit || run.phase !== "progressing")
    return counted;
  const waitsFor = key.startsWith(WATCH) ? "watch" : "step";
  return waiting(counted, waitsFor, `analysis ${name} is inconclusive: ${words}`, nowMs);
}

type Verdict = "success" | "failure" | "inconclusive" | "error" | "nothing";

function judged(
  { success, failure, onNoData }: RolloutAnalysis,
  measurement: Measurement,
): { readonly verdict: Verdict; readonly words: string } {
  if (measurement.kind === "error") return { verdict: "error", words: measurement.reason };
  if (measurement.kind !== "value") {
    const verdict = ({ hold: "nothing", pass: "success", fail: "failure" } as const)[onNoData];
    return { verdict, words: `no data (onNoData: ${onNoData}): ${measurement.reason}` };
  }
  const { value } = measurement;
  const isGood = success === undefined ? undefined : meets(value, success);
  const isBad = failure === undefined ? isGood === false : meets(value, failure);
  if (isBad)
    return {
      verdict: "failure",
      words:
        failure === undefined
          ? `${value} is not ${conditionText(success ?? {})}`
          : `${value} is ${conditionText(failure)}`,
    };
  if (isGood === false)
    return { verdict: "inconclusive", words: `${value} is neither good nor bad` };
  return { verdict: "success", words: `${value}` };
}

function meets(value: number, { above, atLeast, below, atMost }: ValueCondition): boolean {
  return (
    (above === undefined || value > above) &&
    (atLeast === undefined || value >= atLeast) &&
    (below === undefined || value < below) &&
    (atMost === undefined || value <= atMost)
  );
}

function conditionText(condition: ValueCondition): string {
  const words = { above: "above", atLeast: "at least", below: "below", atMost: "at most" };
  return Object.entries(condition)
    .flatMap(([name, bound]) =>
      bound === undefined
        ? []
        : [`${Object.entries(words).find(([key]) => key === name)?.[1]} ${bound}`],
    )
    .join(" and ");
}

/** What becomes of a run when somebody wants something of it; a text says why that cannot be. */
export function ordered(
  spec: RolloutSpec,
  run: RolloutRun,
  { verb, isFull, actor, reason }: Order,
  nowMs: number,
): RolloutRun | string {
  const { phase } = run;
  const own = { ...run, actor };
  if (verb === "abort")
    return phase === "aborted" ? "it is aborted already" : aborted(own, reason, nowMs, actor);
  if (!isActive(run)) return `it has ${phase === "succeeded" ? "succeeded" : "been aborted"}`;
  if (verb === "pause") {
    if (phase === "paused") return "it is paused already";
    return { ...own, phase: "paused", pausedAtMs: nowMs, reason, changedAtMs: nowMs };
  }
  if (verb === "resume") return phase === "paused" ? resumed(own, nowMs) : "it is not paused";
  const going: RolloutRun = { ...own, phase: "progressing", pausedAtMs: 0, waitsFor: "nothing" };
  if (isFull) return promotedFully(spec, going, nowMs);
  if (phase !== "waiting" || run.waitsFor !== "watch")
    return advance(spec, nextStep(going, nowMs), nowMs);
  // What is watched goes on to be, from nothing; the step is not skipped.
  const kept = Object.entries(run.tallies).filter(([key]) => !key.startsWith(WATCH));
  const tallies = Object.fromEntries(kept);
  return advance(spec, { ...going, tallies, reason: "", changedAtMs: nowMs }, nowMs);
}

/** Time stood still meanwhile. What it waited for before it waits for again. */
function resumed(run: RolloutRun, nowMs: number): RolloutRun {
  const stepSinceMs = run.stepSinceMs + Math.max(0, nowMs - run.pausedAtMs);
  const phase = run.waitsFor === "nothing" ? "progressing" : "waiting";
  return { ...run, phase, pausedAtMs: 0, stepSinceMs, reason: "", changedAtMs: nowMs };
}

function promotedFully(spec: RolloutSpec, run: RolloutRun, nowMs: number): RolloutRun {
  const wave = spec.waves.length;
  const times = { stepSinceMs: nowMs, changedAtMs: nowMs, movedAtMs: undefined };
  const reason = "promoted without the steps that were left";
  return {
    ...run,
    ...times,
    wave,
    step: spec.steps.length,
    weight: 100,
    phase: "succeeded",
    reason,
  };
}

/** Percent of a wave that its canary has; undefined where the document's weights count. */
export function canaryPercent(run: RolloutRun, wave: number): number | undefined {
  if (run.phase === "aborted") return undefined;
  if (wave < run.wave) return 100;
  return wave === run.wave ? run.weight : 0;
}
