// SPDX-License-Identifier: Apache-2.0

// Chances of outcomes and how they combine; nothing here knows of worlds or overlays.

import { PER_MILLE } from "../overlay.ts";

/** Chance by outcome, adding up to 1; the keys are those of `Distribution`. */
export type Outcomes = Map<string, number>;

/** The outcome that is sure. */
export function certain(outcome: string): Outcomes {
  return new Map([[outcome, 1]]);
}

/** Adds `chance` to that of `key`. */
export function add(map: Outcomes, key: string, chance: number): void {
  map.set(key, (map.get(key) ?? 0) + chance);
}

/** Replaces the chance of `outcome` by what `next` gives, in proportion. */
export function follow(from: Outcomes, outcome: string, next: () => Outcomes): Outcomes {
  const chance = from.get(outcome) ?? 0;
  if (chance === 0) return from;
  from.delete(outcome);
  for (const [key, own] of next()) from.set(key, (from.get(key) ?? 0) + own * chance);
  return from;
}

/** Sends what a dial (0 to 1,000 per mille kept) does not keep to `dialed`. */
export function withDial(result: Outcomes, dial: number): Outcomes {
  if (dial >= PER_MILLE) return result;
  const scaled = new Map([...result].map(([key, chance]) => [key, (chance * dial) / PER_MILLE]));
  add(scaled, "dialed", 1 - dial / PER_MILLE);
  return scaled;
}

/** The first that answers; `dialed` wins over `unhealthy` where nothing does. */
export function inOrder(choices: readonly (() => Outcomes)[]): Outcomes {
  const result = new Map<string, number>();
  let reach = 1;
  const tried: Outcomes[] = [];
  for (const choice of choices) {
    if (reach === 0) break;
    const own = choice();
    tried.push(own);
    for (const [key, chance] of own) if (!isFailed(key)) add(result, key, chance * reach);
    reach *= failedChance(own);
  }
  return withFailure(result, reach, tried);
}

/**
 * Splits the chance that every tried choice failed: it is `unhealthy` only where none of them was dialed away. Why one failed does not
 * depend on the others, so that share is a product.
 */
export function withFailure(
  result: Outcomes,
  failed: number,
  tried: readonly ReadonlyMap<string, number>[],
): Outcomes {
  if (failed <= 0) return result;
  const undialed = tried.reduce(
    (share, own) => share * (1 - (own.get("dialed") ?? 0) / (failedChance(own) || 1)),
    1,
  );
  if (undialed > 0) add(result, "unhealthy", failed * undialed);
  if (undialed < 1) add(result, "dialed", failed * (1 - undialed));
  return result;
}

/** True for the outcomes after which the next choice is tried. */
export function isFailed(key: string): boolean {
  return key === "unhealthy" || key === "dialed" || key === "noMatch";
}

/** Chance that the next choice is tried. */
export function failedChance(outcome: ReadonlyMap<string, number>): number {
  return (
    (outcome.get("unhealthy") ?? 0) + (outcome.get("dialed") ?? 0) + (outcome.get("noMatch") ?? 0)
  );
}

/** What is left of 1 when it did not fail, without the error of a sum that is nearly 1. */
export function heldChance(outcome: ReadonlyMap<string, number>): number {
  const failed = failedChance(outcome);
  return failed > 1 - 1e-12 ? 0 : 1 - failed;
}
