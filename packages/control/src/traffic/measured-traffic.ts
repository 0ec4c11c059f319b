// SPDX-License-Identifier: Apache-2.0

// Where clients were really sent, as the edges of this control count it: told each second, kept for some seconds.
//
// Of an endpoint that is drained it is remembered when an answer last named it. The time is when control heard of it, so it is never
// too early; of an edge that came after the drain began nobody here knows what it answered before, so it counts as if it had until it came.

import type { KeyedCount, TrafficCounts, World } from "@meridian/snapshot";
import { member } from "../documents/document-key.ts";
import { MeasuredDemand } from "./measured-demand.ts";

/** Seconds of which shares are told. */
export const WINDOW_SECONDS = 10;
/** Policies, pools and endpoints that are remembered: those longest silent go. */
const KEYS_MAX = 20_000;
/** An edge that says nothing for longer is forgotten. */
const EDGE_MS_MAX = 3_600_000;

/** What the edges of one control answer of a drain. Times are Unix milliseconds. */
export interface DrainTally {
  /** Id of the shift. */
  readonly shift: string;
  /** Answers of the last seconds (`WINDOW_SECONDS`) that name an endpoint of its target. */
  readonly answers: number;
  /** Queries of those seconds that a policy or pool decided which leads there. */
  readonly asked: number;
  /** When an answer last named one; undefined where none was heard of since the drain began. */
  readonly lastAnswerMs?: number;
  /** Since when none can have: not before this was counted here. */
  readonly quietSinceMs: number;
}

/** What a drain is about, by keys. */
export interface DrainReach {
  /** Keys of the policies and pools whose answers may name an endpoint of the target. */
  readonly asked: ReadonlySet<bigint>;
  readonly isReached: (endpoint: bigint) => boolean;
}

export function isDrainTally(raw: unknown): raw is DrainTally {
  const lastMs = member(raw, "lastAnswerMs");
  return (
    typeof member(raw, "shift") === "string" &&
    ["answers", "asked", "quietSinceMs"].every((name) => Number.isFinite(member(raw, name))) &&
    (lastMs === undefined || Number.isFinite(lastMs))
  );
}

/** What was counted in more than this is of an edge that was cut off: edges tell each second. */
const BACKLOG_MS = 5000;

/** Counts of the last seconds, one bucket each. */
class RecentCount {
  readonly #buckets = new Float64Array(WINDOW_SECONDS);
  #second = 0;
  /** Unix milliseconds. */
  lastMs = 0;

  add(count: number, nowMs: number): void {
    const second = this.#move(nowMs);
    const at = second % WINDOW_SECONDS;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + count;
    this.lastMs = nowMs;
  }

  /** Of the last seconds, without the one in which `sinceMs` lies and those before. */
  sum(nowMs: number, sinceMs: number): number {
    const now = this.#move(nowMs);
    const oldest = Math.max(now - WINDOW_SECONDS, Math.floor(sinceMs / 1000)) + 1;
    let sum = 0;
    for (let second = oldest; second <= now; second++)
      sum += this.#buckets[second % WINDOW_SECONDS] ?? 0;
    return sum;
  }

  #move(nowMs: number): number {
    const second = Math.max(this.#second, Math.floor(nowMs / 1000));
    const passed = Math.min(WINDOW_SECONDS, second - this.#second);
    for (let back = 0; back < passed; back++) this.#buckets[(second - back) % WINDOW_SECONDS] = 0;
    this.#second = second;
    return second;
  }
}

export class MeasuredTraffic {
  readonly #edges = new Map<string, { readonly sinceMs: number; heardMs: number }>();
  /** By key of a policy or pool. */
  readonly #asked = new Map<bigint, RecentCount>();
  /** By key of an endpoint. */
  readonly #named = new Map<bigint, RecentCount>();

  /** How much is asked for. */
  readonly demand: MeasuredDemand = new MeasuredDemand();

  /** What an edge has counted since it last said so; the edge of this process is called "". `world` is that of its revision, where it is known. */
  take(edge: string, counts: Omit<TrafficCounts, "epoch">, nowMs: number, world?: World): void {
    this.demand.take(counts, world, nowMs);
    const known = this.#edges.get(edge);
    if (known === undefined) this.#edges.set(edge, { sinceMs: nowMs, heardMs: nowMs });
    else known.heardMs = nowMs;
    for (const [name, { heardMs }] of this.#edges)
      if (nowMs - heardMs > EDGE_MS_MAX) this.#edges.delete(name);
    // When in all that time it was answered nobody knows: the last answer counts as one of now, and none counts as of the last seconds.
    const isBacklog = counts.elapsedMs > BACKLOG_MS;
    addAll(this.#asked, counts.policies, isBacklog, nowMs);
    addAll(this.#asked, counts.pools, isBacklog, nowMs);
    addAll(this.#named, counts.endpoints, isBacklog, nowMs);
  }

  /** What is known here of a drain that began at `startedMs`; undefined where no edge has said anything here. */
  tally(
    shift: string,
    { asked, isReached }: DrainReach,
    startedMs: number,
    nowMs: number,
  ): DrainTally | undefined {
    if (this.#edges.size === 0) return undefined;
    const named = [...this.#named]
      .filter(([key, { lastMs }]) => lastMs >= startedMs && isReached(key))
      .map(([, recent]) => recent);
    const lastAnswerMs = Math.max(...named.map(({ lastMs }) => lastMs));
    const came = this.#edges.values().map(({ sinceMs }) => sinceMs);
    return {
      shift,
      answers: sumOf(named, nowMs, startedMs),
      asked: sumOf(
        [...asked].flatMap((key) => this.#asked.get(key) ?? []),
        nowMs,
        startedMs,
      ),
      ...(named.length === 0 ? {} : { lastAnswerMs }),
      quietSinceMs: Math.max(startedMs, lastAnswerMs, ...came),
    };
  }
}

function addAll(
  known: Map<bigint, RecentCount>,
  counts: readonly KeyedCount[],
  isBacklog: boolean,
  nowMs: number,
): void {
  for (const { key, count } of counts) {
    const recent = known.get(key) ?? new RecentCount();
    recent.add(isBacklog ? 0 : count, nowMs);
    // The last one is the newest.
    known.delete(key);
    known.set(key, recent);
  }
  for (const key of known.keys()) {
    if (known.size <= KEYS_MAX) return;
    known.delete(key);
  }
}

function sumOf(recents: readonly RecentCount[], nowMs: number, sinceMs: number): number {
  return recents.reduce((sum, recent) => sum + recent.sum(nowMs, sinceMs), 0);
}
