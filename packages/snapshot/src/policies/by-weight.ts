// SPDX-License-Identifier: Apache-2.0
import { drawBelow } from "../draw.ts";
import { Mode } from "../pools/candidates.ts";
import type { Selector } from "../selector.ts";
import { Status } from "../trace.ts";
import { CANDIDATES_MAX, NodeWord } from "./policies-format.ts";

/** Weight of a branch in this decision, ≥ 0. */
export type BranchWeight = (selector: Selector, branch: number, mode: number) => number;

const TRIED = -1;

/**
 * Picks among `count` branches from `first` in proportion to weight: choose, try, drop what fails, renormalise, choose again. Because
 * each choice is made among what is left, a branch that is in keeps w ÷ Σw over those that are in. Zero weights are tried, alike, only
 * after every non-zero one failed; in `open` only where no branch has a weight (Route 53's last resort stays in the non-zero set).
 */
export function selectByWeight(
  selector: Selector,
  node: number,
  first: number,
  count: number,
  mode: number,
  weightOf: BranchWeight,
): number {
  const weights = selector.weights;
  const base = selector.depth * CANDIDATES_MAX;
  let weighty = 0;
  let total = 0;
  for (let index = 0; index < count; index++) {
    const weight = weightOf(selector, first + index, mode);
    weights[base + index] = weight;
    if (weight > 0) {
      weighty++;
      total += weight;
    }
  }
  const salt = selector.world.policies.nodeWord(node, NodeWord.salt) | 0;
  let usable = weighty > 0 && mode === Mode.open ? weighty : count;
  let result: number = Status.unhealthy;
  for (let step = 0; usable > 0; step++, usable--) {
    if (weighty === 0) total = usable;
    else if (step > 0) total = totalWeight(weights, base, count);
    const picked = pick(
      weights,
      base,
      count,
      weighty > 0,
      drawBelow(selector.draw, salt, step, total),
    );
    const weight = weights[base + picked]!;
    weights[base + picked] = TRIED;
    if (weight > 0) weighty--;
    const status = selector.branch(
      first + picked,
      mode,
      -1,
      weighty >= 0 && weight > 0 ? weight : 1,
      total,
    );
    if (status === Status.ok || status === Status.stopped) return status;
    if (status === Status.dialed) result = Status.dialed;
  }
  return result;
}

function totalWeight(weights: Float64Array, base: number, count: number): number {
  let total = 0;
  for (let index = 0; index < count; index++) {
    const weight = weights[base + index]!;
    if (weight > 0) total += weight;
  }
  return total;
}

/** The branch at `target` of the cumulative weights (or, among zero weights, of their count). The last usable one catches rounding. */
function pick(
  weights: Float64Array,
  base: number,
  count: number,
  byWeight: boolean,
  target: number,
): number {
  let left = target;
  let picked = 0;
  for (let index = 0; index < count; index++) {
    const weight = weights[base + index]!;
    if (byWeight ? weight <= 0 : weight === TRIED) continue;
    picked = index;
    left -= byWeight ? weight : 1;
    if (left < 0) break;
  }
  return picked;
}

/** The weight in a branch's overlay slot. */
export function slotWeight(selector: Selector, branch: number): number {
  return selector.slots[selector.world.branchSlots + branch]! & 0xf_ffff;
}
