// SPDX-License-Identifier: Apache-2.0

// From load readings to the capacity factor of the `capacity` policy: share ∝ weight × capacity × factor. Pure.
//
//   reading ──► per factor ──► EWMA ──► watermarks ──► at most maxStep a time ──► factor in 1/1000
//
//   factor 1000 ┤■■■■■■■■■╲
//               │          ╲
//             0 ┤           ╲■■■■■
//               └────────┬───┬────►  load      low 0 and high 1 give 1 − load
//                       low high
//
// The load follows the factor, a TTL later: at 95 % full, a factor that goes where the load of a moment points lets places take turns at being
// full, and the more so the fuller they are. So what is smoothed is *pressure*, load for each unit of factor, and the factor goes to where it
// would rest under it: f = (high − pressure × f) ÷ (high − low). Under a load that does not follow, it comes to rest at the same place,
// slowly. From the high watermark on that would be too slow: one that is full at two readings running goes down by up to three quarters each
// half-life as far as the smoothed load points, and from a hundredth to nothing.
//
// One that comes back after it was out was idle only because nobody came: it begins with little, and has twice as much each half-life.

/** How load becomes a factor. */
export interface CapacityRule {
  /** A reading this old counts half as much as a new one; 0 for no smoothing. */
  readonly halfLifeMs: number;
  /** Load up to which an endpoint gets its full share. */
  readonly lowWatermark: number;
  /** Load from which it gets nothing, > lowWatermark. */
  readonly highWatermark: number;
  /** The most that the factor moves at one input, 1 to 1000. */
  readonly maxStep: number;
  /** When nothing was read for staleAfterMs: keep the factor, go to 1000 (ignore load), or go to 0. */
  readonly onNoData: "hold" | "neutral" | "drain";
  readonly staleAfterMs: number;
}

/** 1 − load, smoothed over ten seconds, moving at most a fifth at a time. */
export const defaultCapacityRule: CapacityRule = {
  halfLifeMs: 10_000,
  lowWatermark: 0,
  highWatermark: 1,
  maxStep: 200,
  onNoData: "hold",
  staleAfterMs: 60_000,
};

/** What is remembered of one endpoint. Times are monotonic milliseconds. */
export interface CapacityState {
  /** Share of the configured capacity that is left, an integer from 0 to 1000. */
  readonly factor: number;
  /** Smoothed load; undefined before the first reading. */
  readonly load: number | undefined;
  /** Smoothed load for each unit of factor. */
  readonly pressure: number;
  /** The last reading was one from which on nothing is to come. */
  readonly isFull: boolean;
  /** Time of the last reading, or of the start. */
  readonly readAtMs: number;
  readonly isStale: boolean;
}

/** A reading, or just time that passed (at any cadence; once an interval is meant). */
export type CapacityInput =
  | { readonly kind: "reading"; readonly load: number; readonly atMs: number }
  | { readonly kind: "time"; readonly atMs: number };

/** Full capacity until something is read, or what was left before a restart. */
export function initialCapacity(atMs: number, factor: number = 1000): CapacityState {
  return {
    factor,
    load: undefined,
    pressure: 0,
    isFull: false,
    readAtMs: atMs,
    isStale: false,
  };
}

/** Of one that is out, until it comes back: what it shows meanwhile says nothing of what it will. */
export function awayCapacity(atMs: number): CapacityState {
  return {
    factor: RETURN_FACTOR,
    load: 0,
    pressure: 0,
    isFull: false,
    readAtMs: atMs,
    isStale: false,
  };
}

/** What one that comes back begins with, from having been out or from nothing. */
const RETURN_FACTOR = 10;
/** Least share of the way to where a load that does not follow would leave it, at each reading. */
const PROGRESS = 0.01;
/** Most of it that one which stays full loses in a half-life, and at one reading: all but this. */
const SHED = 0.25;

/** One step. */
export function stepCapacity(
  rule: CapacityRule,
  state: CapacityState,
  input: CapacityInput,
): CapacityState {
  if (input.kind === "reading") return takeReading(rule, state, input.load, input.atMs);
  const isStale = input.atMs - state.readAtMs >= rule.staleAfterMs;
  if (!isStale) return state.isStale ? { ...state, isStale } : state;
  switch (rule.onNoData) {
    case "hold":
      return { ...state, isStale };
    case "neutral":
      return { ...state, isStale, factor: approach(state.factor, 1000, rule.maxStep) };
    case "drain":
      return { ...state, isStale, factor: approach(state.factor, 0, rule.maxStep) };
  }
}

/** Where the factor goes under a steady load: 1000 up to the low watermark, 0 from the high one, straight between. */
export function targetFactor(rule: CapacityRule, load: number): number {
  const part = (rule.highWatermark - load) / (rule.highWatermark - rule.lowWatermark);
  return Math.round(1000 * Math.min(1, Math.max(0, part)));
}

function takeReading(
  rule: CapacityRule,
  state: CapacityState,
  reading: number,
  atMs: number,
): CapacityState {
  if (!Number.isFinite(reading) || reading < 0) return state;
  const isFirst = state.load === undefined;
  // What was true before a gap says nothing: begin anew.
  const isStale = atMs - state.readAtMs >= rule.staleAfterMs;
  const elapsedMs = atMs - state.readAtMs;
  const load =
    state.load === undefined || isStale
      ? reading
      : smooth(state.load, reading, elapsedMs, rule.halfLifeMs);
  const target = targetFactor(rule, load);
  const isFull = reading >= rule.highWatermark;
  const read = { load, isFull, readAtMs: atMs, isStale: false };
  // The first reading is believed at once: the full capacity before it was a guess.
  if (isFirst) return { ...read, factor: target, pressure: reading / unit(target) };
  const own = reading / unit(state.factor);
  const pressure = isStale ? own : smooth(state.pressure, own, elapsedMs, rule.halfLifeMs);
  const goals = { rest: restingFactor(rule, pressure), target };
  const next = isFull && state.isFull ? fullFactor : nextFactor;
  const factor = next(rule, state.factor, goals, elapsedMs);
  // Where nothing comes, load does not follow: what is read then is there anyway.
  return { ...read, factor, pressure: factor === 0 ? load : pressure };
}

/** Where the factor rests under a pressure, 0 to 1000: where it is what the load that it brings makes of it. */
function restingFactor({ highWatermark, lowWatermark }: CapacityRule, pressure: number): number {
  return Math.min(1000, (1000 * highWatermark) / (highWatermark - lowWatermark + pressure));
}

/** Where a factor goes: where it rests with the load that it brings, and where a load points that does not follow. */
interface Goals {
  readonly rest: number;
  readonly target: number;
}

/** Of one that stays full: to the lower of both, though by `target` to no less than a quarter at once; and from little to nothing. */
function fullFactor(
  { maxStep, halfLifeMs }: CapacityRule,
  before: number,
  { rest, target }: Goals,
  elapsedMs: number,
): number {
  const kept = before * (halfLifeMs <= 0 ? SHED : Math.max(SHED, SHED ** (elapsedMs / halfLifeMs)));
  const isLittle = Math.max(kept, target) <= RETURN_FACTOR;
  const wanted = isLittle ? 0 : Math.min(before, rest, Math.max(kept, target));
  return approach(before, Math.floor(wanted), maxStep);
}

/** Towards where it rests; a little at least towards `target`; up by twice a half-life at most, from nothing to little, and down to 1. */
function nextFactor(
  { maxStep, halfLifeMs }: CapacityRule,
  before: number,
  { rest, target }: Goals,
  elapsedMs: number,
): number {
  if (before === 0) return approach(0, Math.min(target, RETURN_FACTOR), maxStep);
  const way = rest - before;
  const least = (target - before) * PROGRESS;
  const isLittle = Math.sign(way) === Math.sign(least) && Math.abs(way) < Math.abs(least);
  const wanted = before + (isLittle ? least : way);
  const most = halfLifeMs <= 0 ? 1000 : Math.max(1, before) * 2 ** (elapsedMs / halfLifeMs);
  const next = Math.min(approach(before, wanted, maxStep), Math.max(before + 1, Math.round(most)));
  const moved = next === before ? before + Math.sign(target - before) : next;
  return Math.max(1, moved);
}

/** As a share, and never nothing. */
function unit(factor: number): number {
  return Math.max(1, factor) / 1000;
}

/** A moving average with a reading more. */
export function smooth(
  previous: number,
  reading: number,
  elapsedMs: number,
  halfLifeMs: number,
): number {
  if (halfLifeMs <= 0) return reading;
  const keep = 2 ** (-Math.max(0, elapsedMs) / halfLifeMs);
  return keep * previous + (1 - keep) * reading;
}

function approach(from: number, to: number, maxStep: number): number {
  return Math.round(from + Math.min(maxStep, Math.max(-maxStep, to - from)));
}
