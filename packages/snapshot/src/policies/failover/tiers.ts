// SPDX-License-Identifier: Apache-2.0
import type { Selector } from "../../selector.ts";
import { isBranchHealthy } from "../node-health.ts";
import { BranchFlag, BranchWord, NodeWord } from "../policies-format.ts";

/** Which tiers of a failover node could answer with verdicts as they are, in order; the control plane latches by it. */
export function healthyTiers(selector: Selector, node: number, slots: Uint32Array): boolean[] {
  const policies = selector.world.policies;
  selector.slots = slots;
  const tiers: boolean[] = [];
  const start = policies.nodeWord(node, NodeWord.branchStart);
  const end = start + policies.nodeWord(node, NodeWord.branchCount);
  for (let branch = start; branch < end; branch++) {
    const settings = policies.branchWord(branch, BranchWord.settings);
    const isTaken = ((settings >>> 8) & BranchFlag.evaluateHealth) === 0;
    const target = policies.branchWord(branch, BranchWord.target);
    const isHealthy = isTaken || isBranchHealthy(selector, settings & 0xff, target, 1);
    const tier = policies.tierOf(branch);
    tiers[tier] = (tiers[tier] ?? false) || isHealthy;
  }
  return tiers;
}
