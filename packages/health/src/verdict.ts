// SPDX-License-Identifier: Apache-2.0

// The verdict machine: a pure step function from (rule, state, input) to (state, transition, wake-up).
//
// Two stages, one after the other:
//
//   results ──► count ──► opinion ──► invert, hold, freeze ──► verdict
//               thresholds   │   ▲    never delays a failure,
//               and memory   ▼   │    except while frozen
//                          quorum (of several vantages, quorum/quorum.ts)
//
// *Count* is gdnsd's (plugins/mon.c): while the opinion is healthy, failures at any spacing add up until `okThreshold` successes
// in a row wipe them out, so an endpoint that fails every other probe does not stay up for ever. While it is unhealthy, only
// successes in a row count. *Hold* delays the way back only: hold-down and damping keep an endpoint out, they never keep
// a broken one in. *Freeze* (self-suspicion, suspicion.ts) is the one thing that keeps an endpoint in, and it ends by itself.

import type { CheckTiming, Verdict } from "./check.ts";
import { EARLIEST_CHANGE_MAX_MS, FLIPS_REMEMBERED_MAX } from "./limits.ts";
import type { ProbeOutcome } from "./probe.ts";

/** Why a verdict is not simply what the last results say. */
export type Condition = "none" | "disabled" | "suspect" | "hold-down" | "damped" | "stale";

/** What several vantages say together: it stands in for the opinion of this one. */
export interface QuorumOpinion {
  /** Before inversion. */
  readonly opinion: Verdict;
  readonly reason: string;
  /** Names of those who said so, with commas. */
  readonly vantages: string;
}

/** Everything the machine remembers of an endpoint. Times are monotonic milliseconds. */
export interface VerdictState {
  readonly verdict: Verdict;
  /** Cause of the present verdict. */
  readonly reason: string;
  readonly sinceMs: number;
  readonly condition: Condition;
  /** What the results alone say, before inversion, hold and freeze; this is what a vantage reports to others. */
  readonly opinion: Verdict;
  /** Undefined where this vantage judges alone. */
  readonly quorum: QuorumOpinion | undefined;
  /** Cause of the last result. */
  readonly lastReason: string;
  /** Failures that count towards unhealthy. */
  readonly failures: number;
  /** Successes in a row. */
  readonly successes: number;
  /** No way back to healthy before this time. */
  readonly heldUntilMs: number;
  readonly heldBy: "none" | "hold-down" | "damped";
  /** No way from healthy before this time. */
  readonly frozenUntilMs: number;
  readonly freezeReason: string;
  readonly flipsAtMs: readonly number[];
  /** Number of transitions so far. */
  readonly sequence: number;
}

/** What can happen to an endpoint. */
export type VerdictInput =
  | {
      readonly kind: "result";
      readonly outcome: ProbeOutcome;
      readonly reason: string;
      readonly atMs: number;
    }
  /** Somebody else has judged (push, calculated): no thresholds. */
  | {
      readonly kind: "decided";
      readonly verdict: Verdict;
      readonly reason: string;
      readonly stale?: boolean;
      readonly atMs: number;
    }
  | {
      readonly kind: "quorum";
      readonly quorum: QuorumOpinion | undefined;
      readonly atMs: number;
    }
  /** The rule is another one: the verdict stays, counting starts again. */
  | { readonly kind: "rule"; readonly atMs: number }
  | {
      readonly kind: "freeze";
      readonly untilMs: number;
      readonly reason: string;
      readonly atMs: number;
    }
  | { readonly kind: "thaw"; readonly atMs: number }
  | { readonly kind: "time"; readonly atMs: number };

/** A changed verdict, as the machine tells it. */
export interface VerdictChange {
  readonly verdict: Verdict;
  readonly previous: Verdict;
  readonly reason: string;
}

/** What a step gives. */
export interface VerdictStep {
  readonly state: VerdictState;
  readonly change: VerdictChange | undefined;
  /** When a `time` input would change something; undefined where none would. */
  readonly wakeAtMs: number | undefined;
}

const disabledReason = "check is disabled";
/** Of nearly all endpoints, so that there is one for them all. */
const NO_FLIPS: readonly number[] = [];

/** The state before any result. */
export function initialState(rule: CheckTiming, atMs: number): VerdictState {
  const opinion = rule.disabled ? "healthy" : rule.initial;
  return {
    verdict: rule.inverted ? opposite(opinion) : opinion,
    reason: rule.disabled ? disabledReason : "not probed yet",
    sinceMs: atMs,
    condition: rule.disabled ? "disabled" : "none",
    opinion,
    quorum: undefined,
    lastReason: rule.disabled ? disabledReason : "not probed yet",
    failures: 0,
    successes: 0,
    heldUntilMs: 0,
    heldBy: "none",
    frozenUntilMs: 0,
    freezeReason: "",
    flipsAtMs: NO_FLIPS,
    sequence: 0,
  };
}

/** A state with a verdict known from before a restart; thresholds count from there. */
export function restoredState(rule: CheckTiming, verdict: Verdict, atMs: number): VerdictState {
  const fresh = initialState(rule, atMs);
  if (rule.disabled || verdict === "unknown") return fresh;
  const opinion = rule.inverted ? opposite(verdict) : verdict;
  const reason = "kept from before the restart";
  return { ...fresh, verdict, opinion, reason, lastReason: reason };
}

/** States to begin with of many endpoints at one time: those under one check share it, until something happens to them. */
export class FirstStates {
  readonly #atMs: number;
  readonly #states = new Map<CheckTiming, Map<Verdict | undefined, VerdictState>>();

  constructor(atMs: number) {
    this.#atMs = atMs;
  }

  /** `restored`: the verdict from before a restart. */
  of(rule: CheckTiming, restored: Verdict | undefined): VerdictState {
    const known = this.#states.get(rule)?.get(restored);
    if (known !== undefined) return known;
    const state =
      restored === undefined
        ? initialState(rule, this.#atMs)
        : restoredState(rule, restored, this.#atMs);
    const ofRule = this.#states.get(rule) ?? new Map<Verdict | undefined, VerdictState>();
    this.#states.set(rule, ofRule.set(restored, state));
    return state;
  }
}

/** One step. Pure: the same arguments give the same result. */
export function step(rule: CheckTiming, state: VerdictState, input: VerdictInput): VerdictStep {
  return settle(rule, count(rule, state, input), input.atMs);
}

/**
 * Time until the verdict could change at the earliest, ≥ 0: interval × results still needed, and no sooner than a hold ends. An
 * answer that relies on this verdict need not be asked for again before.
 */
export function earliestChangeMs(rule: CheckTiming, state: VerdictState, atMs: number): number {
  if (rule.disabled) return EARLIEST_CHANGE_MAX_MS;
  const resultsMs = (resultsNeeded(rule, state) * rule.intervalMs) / (rule.slowdown ?? 1);
  const holdUntilMs = state.verdict === "healthy" ? state.frozenUntilMs : state.heldUntilMs;
  const holdMs = holdUntilMs - atMs;
  return Math.min(EARLIEST_CHANGE_MAX_MS, Math.max(0, resultsMs, holdMs));
}

function resultsNeeded(rule: CheckTiming, state: VerdictState): number {
  if (wanted(rule, state) !== state.verdict) return 0;
  // Who is at odds with the others knows nothing of when they change.
  if (state.quorum !== undefined && state.quorum.opinion !== state.opinion) return 0;
  switch (state.opinion) {
    case "unknown":
      return 1;
    case "healthy":
      // Under failFast the retries after a first failure take no time.
      if (rule.failFast) return state.failures > 0 ? 0 : 1;
      return rule.unhealthyThreshold - state.failures;
    case "unhealthy":
      return rule.healthyThreshold - state.successes;
  }
}

/** First stage: thresholds and memory give the opinion. */
function count(rule: CheckTiming, state: VerdictState, input: VerdictInput): VerdictState {
  switch (input.kind) {
    case "result":
      return countResult(rule, state, input.outcome, input.reason);
    case "decided":
      return decide(state, input.verdict, input.reason, input.stale === true);
    case "quorum":
      return { ...state, quorum: input.quorum };
    case "rule":
      return restart(rule, state);
    case "freeze":
      return { ...state, frozenUntilMs: input.untilMs, freezeReason: input.reason };
    case "thaw":
      return { ...state, frozenUntilMs: 0, freezeReason: "" };
    case "time":
      return state;
  }
}

function countResult(
  rule: CheckTiming,
  state: VerdictState,
  outcome: ProbeOutcome,
  reason: string,
): VerdictState {
  if (outcome === "hold") {
    const opinion = state.opinion === "unknown" ? "healthy" : state.opinion;
    return { ...state, opinion, lastReason: reason };
  }
  if (state.opinion === "unknown") {
    return decide(state, outcome === "pass" ? "healthy" : "unhealthy", reason, false);
  }
  const successes = outcome === "pass" ? state.successes + 1 : 0;
  if (state.opinion === "unhealthy") {
    if (successes >= rule.healthyThreshold) return decide(state, "healthy", reason, false);
    return { ...state, successes, lastReason: reason };
  }
  if (outcome === "fail") {
    const failures = state.failures + 1;
    if (failures >= rule.unhealthyThreshold) return decide(state, "unhealthy", reason, false);
    return { ...state, failures, successes, lastReason: reason };
  }
  // What answers and answers again leaves its state as it is: of 100,000 endpoints that is no garbage ten thousand times a second.
  if (state.failures === 0 && state.successes === 0 && state.lastReason === reason) return state;
  const forgotten = successes >= (rule.okThreshold ?? rule.healthyThreshold);
  return {
    ...state,
    failures: forgotten ? 0 : state.failures,
    successes: forgotten || state.failures === 0 ? 0 : successes,
    lastReason: reason,
  };
}

function decide(
  state: VerdictState,
  opinion: Verdict,
  reason: string,
  stale: boolean,
): VerdictState {
  const condition = stale ? "stale" : "none";
  return { ...state, opinion, condition, lastReason: reason, failures: 0, successes: 0 };
}

function restart(rule: CheckTiming, state: VerdictState): VerdictState {
  const base = { ...state, failures: 0, successes: 0, condition: "none" } as const;
  if (rule.disabled) return { ...base, opinion: "healthy", lastReason: disabledReason };
  const wasDisabled = state.condition === "disabled";
  if (wasDisabled) return { ...base, opinion: rule.initial, lastReason: "check was enabled" };
  return base;
}

/** Second stage: inversion, then whether the verdict may follow the opinion now. */
function settle(rule: CheckTiming, state: VerdictState, atMs: number): VerdictStep {
  const next = wanted(rule, state);
  const calm = calmCondition(rule, state, atMs);
  if (next === state.verdict) {
    const wakeAtMs = calm === "suspect" ? state.frozenUntilMs : undefined;
    return { state: withCondition(state, calm), change: undefined, wakeAtMs };
  }
  if (next === "healthy" && atMs < state.heldUntilMs) {
    const condition = state.heldBy === "damped" ? "damped" : "hold-down";
    const held = withCondition(state, condition);
    return { state: held, change: undefined, wakeAtMs: state.heldUntilMs };
  }
  if (state.verdict === "healthy" && isFrozen(state, atMs)) {
    const held = withCondition(state, "suspect");
    return { state: held, change: undefined, wakeAtMs: state.frozenUntilMs };
  }
  return flip(rule, state, next, calm, atMs);
}

function flip(
  rule: CheckTiming,
  state: VerdictState,
  verdict: Verdict,
  condition: Condition,
  atMs: number,
): VerdictStep {
  const said = state.quorum?.reason ?? state.lastReason;
  const reason = rule.inverted ? `${said} (inverted)` : said;
  const flipsAtMs = rememberFlip(rule, state, atMs);
  const hold = verdict === "unhealthy" ? holdAfter(rule, flipsAtMs, atMs) : noHold;
  const next: VerdictState = {
    ...state,
    ...hold,
    verdict,
    reason,
    condition,
    sinceMs: atMs,
    flipsAtMs,
    sequence: state.sequence + 1,
  };
  return {
    state: next,
    change: { verdict, previous: state.verdict, reason },
    wakeAtMs: undefined,
  };
}

interface Hold {
  readonly heldUntilMs: number;
  readonly heldBy: VerdictState["heldBy"];
}

const noHold: Hold = { heldUntilMs: 0, heldBy: "none" };

function holdAfter(rule: CheckTiming, flipsAtMs: readonly number[], atMs: number): Hold {
  const damping = rule.flapDamping;
  const holdDownUntilMs = atMs + rule.holdDownMs;
  if (damping !== undefined && flipsAtMs.length >= damping.maxFlips) {
    const dampedUntilMs = atMs + damping.holdMs;
    if (dampedUntilMs > holdDownUntilMs) return { heldUntilMs: dampedUntilMs, heldBy: "damped" };
  }
  return rule.holdDownMs > 0 ? { heldUntilMs: holdDownUntilMs, heldBy: "hold-down" } : noHold;
}

/** A first verdict after unknown is no flip. */
function rememberFlip(rule: CheckTiming, state: VerdictState, atMs: number): readonly number[] {
  const damping = rule.flapDamping;
  if (damping === undefined || state.verdict === "unknown") return NO_FLIPS;
  const recent = state.flipsAtMs.filter((flipAtMs) => atMs - flipAtMs < damping.windowMs);
  recent.push(atMs);
  return recent.slice(-Math.min(FLIPS_REMEMBERED_MAX, Math.max(1, damping.maxFlips)));
}

function wanted(rule: CheckTiming, state: VerdictState): Verdict {
  const opinion = rule.disabled ? "healthy" : (state.quorum?.opinion ?? state.opinion);
  return rule.inverted ? opposite(opinion) : opinion;
}

/** Doubts about this machine's network do not concern what others say too. */
function isFrozen(state: VerdictState, atMs: number): boolean {
  return state.quorum === undefined && atMs < state.frozenUntilMs;
}

function calmCondition(rule: CheckTiming, state: VerdictState, atMs: number): Condition {
  if (rule.disabled) return "disabled";
  if (isFrozen(state, atMs)) return "suspect";
  return state.condition === "stale" ? "stale" : "none";
}

function withCondition(state: VerdictState, condition: Condition): VerdictState {
  return state.condition === condition ? state : { ...state, condition };
}

/** The other verdict; unknown has none. */
export function opposite(verdict: Verdict): Verdict {
  if (verdict === "unknown") return verdict;
  return verdict === "healthy" ? "unhealthy" : "healthy";
}
