// SPDX-License-Identifier: Apache-2.0

// How old answers were, where something is promised of it.
//
// The age of an answer is the time since the first acknowledgement of what it does not show yet. It is promised where nothing has hindered its edge for as
// long as the bound, so that none of that age is owed to a fault:
//
//     hindered  ├──── fault ────┼─ recovery ─┤
//     judged                                  ├ bound ┼──────────────►

import type { Answer, Bounds, Observed } from "./judgement.ts";
import { stallsOf, type Load } from "./load.ts";
import { overlaps } from "./span.ts";

/** An answer of which the age is promised. */
export interface Age {
  readonly answer: Answer;
  readonly value: number;
  /** 0 where it shows all that had been acknowledged when it was asked. */
  readonly ageMs: number;
  readonly boundMs: number;
  /** Whether somebody may have had to take over meanwhile. */
  readonly isTakeover: boolean;
}

/** `revisions`: those of values. */
export function ages(
  observed: Observed,
  revisions: ReadonlyMap<number, number>,
  { stalenessMs, takeoverMs }: Pick<Bounds, "stalenessMs" | "takeoverMs">,
): Age[] {
  const { sightings, hindrances, takeovers, loads } = observed;
  const newer = acknowledgedAfter(observed);
  const ofEdge = Map.groupBy(hindrances, ({ edge }) => edge);
  const factorAt = factorsOf(loads);
  const stalls = stallsOf(loads);
  return sightings.flatMap((answer) => {
    const { edge, askedMs, value } = answer;
    const revision = revisions.get(value);
    if (revision === undefined) return [];
    const factor = factorAt(askedMs);
    const calmMs = stalenessMs * factor;
    const isTakeover = overlaps(takeovers, askedMs - calmMs, askedMs);
    const boundMs = isTakeover ? takeoverMs * factor : calmMs;
    if (overlaps(ofEdge.get(edge) ?? [], askedMs - boundMs, askedMs)) return [];
    if (overlaps(stalls, askedMs - boundMs, askedMs)) return [];
    const ageMs = Math.max(0, askedMs - newer(revision));
    return [{ answer, value, ageMs, boundMs, isTakeover }];
  });
}

/** When something later than a revision was acknowledged for the first time; Infinity for the newest. */
function acknowledgedAfter({ writes }: Observed): (revision: number) => number {
  const acknowledged = writes
    .flatMap(({ revision, endMs }) => (revision === undefined ? [] : [{ revision, endMs }]))
    .toSorted((one, other) => one.revision - other.revision);
  let earliestMs = Infinity;
  const firstMs = acknowledged
    .toReversed()
    .map(({ endMs }) => (earliestMs = Math.min(earliestMs, endMs)))
    .toReversed();
  const sorted = acknowledged.map(({ revision }) => revision);
  return (revision) => firstMs[countUntil(sorted, revision)] ?? Infinity;
}

function factorsOf(loads: readonly Load[]): (atMs: number) => number {
  const times = loads.map(({ atMs }) => atMs);
  return (atMs) => loads[countUntil(times, atMs) - 1]?.factor ?? 1;
}

/** How many of the rising numbers are at most `limit`. */
function countUntil(rising: readonly number[], limit: number): number {
  let [low, high] = [0, rising.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rising[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
