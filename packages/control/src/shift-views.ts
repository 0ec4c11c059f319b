// SPDX-License-Identifier: Apache-2.0

// Shifts as they are shown: who decides, from when on TTLs are low, and what clients really do.
//
//   announced ──start──► answered ──no answer names it──► draining ──one TTL later──► drained        returning, once it has expired
//
// What has moved is told of what edges answered, not of what they were told to answer; and where a site reports its load, that says what
// clients do who ask no more.

import { key64 } from "@meridian/core";
import type { Embedded } from "./embedded.ts";
import { loweredAtMs } from "./shift-course.ts";
import { shiftReaches, type Shift } from "./shift-effects.ts";
import { precedenceOf, rankedShifts } from "./shift-precedence.ts";
import { WINDOW_SECONDS, type DrainTally } from "./traffic/measured-traffic.ts";

/** Endpoints whose load is asked for, of each shift. */
const REPORTED_MAX = 1000;
/** Edges tell each second what they have answered. */
const ANSWERED_MS = 3000;
/** A load that was read longer ago says nothing of now. */
const LOAD_AGE_MS_MAX = 60_000;

/** How far clients have followed a shift. */
export type DrainState = "announced" | "answered" | "draining" | "drained" | "returning";

/** What endpoints report of themselves. */
export interface ReportedTraffic {
  /** Endpoints of the target whose load is read. */
  readonly endpoints: number;
  /** Their load, 0 idle to 1 full, by capacity where each states one. */
  readonly load: number;
  /** Load times capacity, in the unit of the capacities; absent where one states none. */
  readonly traffic?: number;
}

/** What clients do about a shift. */
export interface DrainProgress {
  readonly state: DrainState;
  /** Share of the answers of the last seconds, for names that may lead there, that still name it: 0 to 1; absent where nobody asked. */
  readonly share?: number;
  /** Answers of those seconds that name it, and how many seconds these are. */
  readonly answers: number;
  readonly windowSeconds: number;
  /** When an answer last named it, since it began to move. */
  readonly lastAnswerMs?: number;
  /** Earliest moment at which caches that keep to TTLs have nothing of before. */
  readonly emptyAtMs?: number;
  readonly reported?: ReportedTraffic;
  /** Edges that are not heard of: what they answer is not counted. */
  readonly silentEdges: number;
}

/** A shift as it is shown. */
export interface ShiftView extends Shift {
  /** Share that it moves away now. */
  readonly moves: number;
  /** The shift of the same target that decides instead. */
  readonly overruledBy?: string;
  /** From when on TTLs are the least, before one that is still to start. */
  readonly ttlLoweredAtMs?: number;
  /** Absent where no edge has said anything. */
  readonly progress?: DrainProgress;
}

/** What others than this process know. */
export interface DrainWitnesses {
  /** Of all controls of the store. */
  readonly tallies: readonly DrainTally[];
  readonly silentEdges: number;
}

/** Shifts as they are shown: with who decides where several name one target. */
export async function shiftViews(
  embedded: Embedded,
  { tallies, silentEdges }: DrainWitnesses,
): Promise<ShiftView[]> {
  const nowMs = Date.now();
  const views: ShiftView[] = [];
  for (const { shift, percent, overruledBy } of rankedShifts(embedded.shifts(), nowMs)) {
    const own = tallies.filter((tally) => tally.shift === shift.id);
    const reported = startOf(shift) > nowMs ? undefined : await reportedOf(embedded, shift);
    const progress = progressOf(embedded, shift, { own, nowMs, silentEdges, reported });
    views.push({
      ...shift,
      precedence: precedenceOf(shift),
      moves: overruledBy === undefined ? percent : 0,
      ...(overruledBy === undefined ? {} : { overruledBy }),
      ...loweringOf(embedded, shift),
      ...(progress === undefined ? {} : { progress }),
    });
  }
  return views;
}

/** When TTLs are lowered before a shift starts; nothing for one that has started. */
export function loweringOf(
  embedded: Pick<Embedded, "shiftReach">,
  shift: Pick<Shift, "target" | "createdAtMs" | "startsAtMs" | "expiresAtMs" | "percent">,
): { readonly ttlLoweredAtMs?: number } {
  if ((shift.startsAtMs ?? 0) <= Date.now()) return {};
  const leadMs = embedded.shiftReach(shift.target)?.leadMs ?? 0;
  const sinceMs = leadMs === 0 ? undefined : loweredAtMs(shift, leadMs);
  return sinceMs === undefined ? {} : { ttlLoweredAtMs: sinceMs };
}

/** What the edges of this control answer of each shift that has begun. */
export function drainTallies(embedded: Embedded, nowMs: number): DrainTally[] {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return [];
  return embedded.shifts().flatMap((shift) => {
    if (startOf(shift) > nowMs) return [];
    const asked = embedded.shiftReach(shift.target)?.asked ?? new Set();
    const isReached = (key: bigint): boolean => {
      const endpoint = world.pools.endpointIndexOf(key);
      return endpoint >= 0 && shiftReaches(model, world, shift.target, endpoint);
    };
    return embedded.traffic.tally(shift.id, { asked, isReached }, startOf(shift), nowMs) ?? [];
  });
}

function startOf({ createdAtMs, startsAtMs = createdAtMs }: Shift): number {
  return startsAtMs;
}

function progressOf(
  embedded: Embedded,
  shift: Shift,
  {
    own,
    nowMs,
    silentEdges,
    reported,
  }: {
    readonly own: readonly DrainTally[];
    readonly nowMs: number;
    readonly silentEdges: number;
    readonly reported: ReportedTraffic | undefined;
  },
): DrainProgress | undefined {
  const window = { answers: 0, windowSeconds: WINDOW_SECONDS, silentEdges };
  if (startOf(shift) > nowMs) return { state: "announced", ...window };
  if (own.length === 0) return undefined;
  const sum = (of: "answers" | "asked"): number => own.reduce((all, each) => all + each[of], 0);
  const [answers, asked] = [sum("answers"), sum("asked")];
  const lastAnswerMs = Math.max(...own.map((each) => each.lastAnswerMs ?? 0));
  // Of a share alone answers go on; what was kept of before has run out one TTL after the start.
  const quietSinceMs =
    shift.percent < 100 ? startOf(shift) : Math.max(...own.map((each) => each.quietSinceMs));
  const emptyAtMs = quietSinceMs + (embedded.shiftReach(shift.target)?.ttlMs ?? 0);
  const isAnswered = shift.percent >= 100 && nowMs - lastAnswerMs < ANSWERED_MS;
  const state: DrainState =
    nowMs >= shift.expiresAtMs
      ? "returning"
      : isAnswered
        ? "answered"
        : nowMs < emptyAtMs
          ? "draining"
          : "drained";
  return {
    state,
    ...(asked === 0 ? {} : { share: Math.min(1, answers / asked) }),
    ...{ ...window, answers },
    ...(lastAnswerMs === 0 ? {} : { lastAnswerMs }),
    emptyAtMs,
    ...(reported === undefined ? {} : { reported }),
  };
}

/** What the endpoints that a shift reaches say of their load, where they are asked for it. */
async function reportedOf(
  embedded: Embedded,
  { target }: Shift,
): Promise<ReportedTraffic | undefined> {
  const { model, world } = embedded;
  if (model === undefined || world === undefined) return undefined;
  const capacities = new Map<string, number | undefined>();
  for (const pool of model.pools.values()) {
    if (pool.document.spec.load === undefined) continue;
    for (const member of pool.members.values()) {
      const endpoint = world.pools.endpointIndexOf(key64(member.key));
      if (endpoint < 0 || !shiftReaches(model, world, target, endpoint)) continue;
      if (capacities.size < REPORTED_MAX) capacities.set(member.key, member.spec.capacity);
    }
  }
  if (capacities.size === 0) return undefined;
  const states = await embedded.verdicts.states([...capacities.keys()]);
  const read = states.filter(({ loadAgeMs = Infinity }) => loadAgeMs <= LOAD_AGE_MS_MAX);
  if (read.length === 0) return undefined;
  const areStated = read.every(({ key }) => capacities.get(key) !== undefined);
  const weightOf = (key: string): number => (areStated ? (capacities.get(key) ?? 0) : 1);
  const traffic = read.reduce((sum, { key, load = 0 }) => sum + load * weightOf(key), 0);
  const capacity = read.reduce((sum, { key }) => sum + weightOf(key), 0);
  return {
    endpoints: read.length,
    load: capacity === 0 ? 0 : traffic / capacity,
    ...(areStated ? { traffic } : {}),
  };
}
