// SPDX-License-Identifier: Apache-2.0
import type { Selector } from "../../selector.ts";
import { Status } from "../../trace.ts";
import { selectByWeight, slotWeight } from "../by-weight.ts";
import { NodeWord } from "../policies-format.ts";

/**
 * `failover`: the first tier that can answer. The latch slot, where set, names the tier (counted from 1) that a past failover moved to
 * and that `failback: hold | manual` has not left yet: tiers before it are the last choice, not the first.
 */
export function selectFailover(selector: Selector, node: number, mode: number): number {
  const policies = selector.world.policies;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  const end = first + policies.nodeWord(node, NodeWord.branchCount);
  const latch = selector.slots[selector.world.latchSlots + node]!;
  const latched = latch === 0 ? first : tierStart(selector, first, end, latch - 1);
  let status = selectTiers(selector, node, latched, end, mode);
  if (status === Status.ok || status === Status.stopped || latched === first) return status;
  const dialed = status === Status.dialed;
  status = selectTiers(selector, node, first, latched, mode);
  return dialed && status === Status.unhealthy ? Status.dialed : status;
}

function selectTiers(
  selector: Selector,
  node: number,
  from: number,
  end: number,
  mode: number,
): number {
  const policies = selector.world.policies;
  const outerDefault = selector.defaultAnswers;
  let result: number = Status.unhealthy;
  for (let branch = from; branch < end;) {
    const tier = policies.tierOf(branch);
    let next = branch + 1;
    while (next < end && policies.tierOf(next) === tier) next++;
    // Between branches it is chosen by weight, so one answer; a tier of one is as its pool was alone, whatever tier failed before it.
    const isWeighted = next - branch > 1;
    selector.defaultAnswers = isWeighted ? 1 : outerDefault;
    const status = isWeighted
      ? selectByWeight(selector, node, branch, next - branch, mode, slotWeight)
      : selector.branch(branch, mode, tier, 0, 0);
    if (status === Status.ok || status === Status.stopped) return status;
    if (status === Status.dialed) result = Status.dialed;
    branch = next;
  }
  selector.defaultAnswers = outerDefault;
  return result;
}

/** First branch of `tier`, or `first` where there is no such tier any more. */
function tierStart(selector: Selector, first: number, end: number, tier: number): number {
  for (let branch = first; branch < end; branch++) {
    if (selector.world.policies.tierOf(branch) === tier) return branch;
  }
  return first;
}
