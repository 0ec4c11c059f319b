// SPDX-License-Identifier: Apache-2.0

// Which vantages probe an endpoint at full pace: rendezvous hashing, so that one that comes or goes moves only what it has. Of each site
// the best one first; sites that have another one give it where there are too few sites.

import { mix32 } from "@meridian/core";
import type { VantagePlace } from "@meridian/snapshot";
import { hashOf } from "./target-order.ts";

/** Vantages that probe an endpoint at full pace. */
export const VANTAGES_CHOSEN = 3;

/** A vantage that may be chosen. */
export interface Candidate extends VantagePlace {
  readonly hash: number;
}

export function candidateOf({ name, site }: VantagePlace): Candidate {
  // One that tells no site is a site of its own.
  return { name, site: site === "" ? `\n${name}` : site, hash: hashOf(name) };
}

/** How a check limits the choice. */
export interface ChoiceRule {
  readonly vantages?: readonly string[];
  readonly minVantages?: number;
}

/** Indices of those chosen for the target with this hash, best first. */
export function chooseVantages(
  candidates: readonly Candidate[],
  targetHash: number,
  { vantages, minVantages = 0 }: ChoiceRule,
): number[] {
  const count = Math.max(VANTAGES_CHOSEN, minVantages);
  const best: Scored[] = [];
  const others: Scored[] = [];
  for (const [index, { name, site, hash }] of candidates.entries()) {
    if (vantages !== undefined && !vantages.includes(name)) continue;
    const scored = { index, site, score: mix32(targetHash ^ hash) };
    const same = best.findIndex((each) => each.site === site);
    if (same < 0) insert(best, scored, count, others);
    else if (isBetter(scored, best[same])) others.push(...best.splice(same, 1, scored));
    else others.push(scored);
    best.sort(byScore);
  }
  const missing = count - best.length;
  const more = missing > 0 ? others.sort(byScore).slice(0, missing) : [];
  return [...best, ...more].map(({ index }) => index);
}

interface Scored {
  readonly index: number;
  readonly site: string;
  readonly score: number;
}

function insert(best: Scored[], scored: Scored, count: number, others: Scored[]): void {
  best.push(scored);
  if (best.length > count) others.push(...best.sort(byScore).splice(count));
}

function isBetter(a: Scored, b: Scored | undefined): boolean {
  return b === undefined || byScore(a, b) < 0;
}

/** Of equal scores the first one wins, everywhere: candidates come in the order of their names. */
function byScore(a: Scored, b: Scored): number {
  return b.score - a.score || a.index - b.index;
}
