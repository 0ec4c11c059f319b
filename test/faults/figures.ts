// SPDX-License-Identifier: Apache-2.0

// What a run with faults comes to: its judgement, and figures to go with it. All that was seen can be kept in a folder, and judged again.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findingsOf } from "../consistency/checkers.ts";
import type { History, Operation } from "../consistency/operation.ts";
import { judge, type Bounds, type Observed } from "./judgement.ts";
import { stallsOf, type Load } from "./load.ts";
import type { Replay } from "./replays.ts";
import type { Span } from "./span.ts";
import type { Age } from "./staleness.ts";

export interface Seen extends Observed {
  /** How often each fault happened. */
  readonly counts: Readonly<Record<string, number>>;
  readonly history: History;
}

export interface FaultRunFigures {
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly refused: number;
  readonly unknown: number;
  /** Of those of which nobody knew: how many were done after all. */
  readonly doneUnknown: number;
  /** Reads and writes that the checkers of consistency looked at. */
  readonly operations: number;
  readonly answers: number;
  /** Of answers whose age is promised. */
  readonly ages: { readonly calm: Ages; readonly takeover: Ages };
  readonly outages: number;
  readonly resolutions: number;
  /** Answers that were asked for again; see `Replay`. */
  readonly replays: { readonly sample: Outcomes; readonly suspects: Outcomes };
  /** Load by processor, and how long nothing ran at all. */
  readonly busy: { readonly mean: number; readonly max: number; readonly stalledSeconds: number };
  readonly complaints: readonly string[];
}

type Outcomes = Readonly<Partial<Record<Replay["outcome"], number>>>;

interface Ages {
  readonly judged: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export function figuresOf(seen: Seen, bounds: Bounds): FaultRunFigures {
  const { writes, commits, sightings, sendings, resolutions, outages, history, loads, replays } =
    seen;
  const { complaints, ages } = judge(seen, bounds);
  const operations = withRevisions(history, commits);
  const kept = new Set(commits.map(({ value }) => value));
  const withOutcome = (wanted: string): Observed["writes"] =>
    writes.filter(({ outcome }) => outcome === wanted);
  return {
    faults: seen.counts,
    acknowledged: withOutcome("acknowledged").length,
    refused: withOutcome("refused").length,
    unknown: withOutcome("unknown").length,
    doneUnknown: withOutcome("unknown").filter(({ value }) => kept.has(value)).length,
    operations: operations.length,
    answers: sightings.length + sendings.length,
    ages: {
      calm: spread(ages.filter(({ isTakeover }) => !isTakeover)),
      takeover: spread(ages.filter(({ isTakeover }) => isTakeover)),
    },
    outages: outages.length,
    resolutions: resolutions.length,
    replays: {
      sample: outcomesOf(replays.filter(({ answer }) => answer === undefined)),
      suspects: outcomesOf(replays.filter(({ answer }) => answer !== undefined)),
    },
    busy: busyness(loads),
    complaints: [
      ...complaints,
      ...findingsOf(operations).map(({ model, text }) => `${model}: ${text}`),
    ],
  };
}

/**
 * Of a write that nobody answered the store's history says whether it was done, and when: without it a refusal because of such a write has no
 * cause that anybody saw, and the search for one among hundreds is given up. It is only where the checker looks first: an order is found good by what
 * clients saw of it, as always.
 */
function withRevisions(history: History, commits: Observed["commits"]): History {
  const revisions = new Map(commits.map(({ value, revision }) => [String(value), revision]));
  return history.map((each) => {
    if (each.kind !== "write" || each.outcome !== "unknown") return each;
    const revision = revisions.get(each.values[0]?.[1] ?? "");
    return revision === undefined ? each : { ...each, revision };
  });
}

const parts = [
  "writes",
  "commits",
  "sightings",
  "hindrances",
  "takeovers",
  "loads",
  "resolutions",
  "sendings",
  "outages",
  "replays",
  "counts",
  "history",
] as const satisfies readonly (keyof Seen)[];

export function keepSeen(folder: string, seen: Seen): void {
  mkdirSync(folder, { recursive: true });
  for (const part of parts) writeFileSync(join(folder, `${part}.json`), JSON.stringify(seen[part]));
}

export function readSeen(folder: string): Seen {
  const read = (part: string): unknown =>
    JSON.parse(readFileSync(join(folder, `${part}.json`), "utf8"));
  const seen = Object.fromEntries(parts.map((part) => [part, read(part)])) as unknown as Seen;
  // JSON has no infinity: a write without an answer.
  const history = seen.history.map((each): Operation => ({
    ...each,
    completed: each.completed ?? Infinity,
  }));
  return { ...seen, history };
}

function outcomesOf(replays: readonly Replay[]): Outcomes {
  const counts: Partial<Record<Replay["outcome"], number>> = {};
  for (const { outcome } of replays) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

function spread(ages: readonly Age[]): Ages {
  const sorted = ages.map(({ ageMs }) => ageMs).toSorted((one, other) => one - other);
  const part = (share: number): number =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { judged: ages.length, p50Ms: part(0.5), p99Ms: part(0.99), maxMs: part(1) };
}

function busyness(loads: readonly Load[]): FaultRunFigures["busy"] {
  const factors = loads.map(({ factor }) => factor);
  const mean = factors.reduce((sum, factor) => sum + factor, 0) / factors.length;
  const lengthOf = ({ fromMs, untilMs }: Span): number => untilMs - fromMs;
  const stalledMs = stallsOf(loads).reduce((sum, stall) => sum + lengthOf(stall), 0);
  const rounded = (value: number): number => Math.round(value * 10) / 10;
  return {
    mean: rounded(mean),
    max: rounded(Math.max(...factors)),
    stalledSeconds: Math.round(stalledMs / 1000),
  };
}
