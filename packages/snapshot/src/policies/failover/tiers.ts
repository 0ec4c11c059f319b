// SPDX-License-Identifier: Apache-2.0
import { Verdict } from "../../overlay.ts";
import { isConfigured } from "../../pools/candidates.ts";
import { EndpointFlag, EndpointWord, Serve } from "../../pools/pools-format.ts";
import type { Selector } from "../../selector.ts";
import { isBranchHealthy } from "../node-health.ts";
import { BranchFlag, BranchTarget, BranchWord, DEPTH_MAX, NodeWord } from "../policies-format.ts";

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

/**
 * True where an endpoint that `tier` (from 0) leads to has not been judged yet, as after a start without a stored overlay: the tier is
 * then not known to have failed, so nothing may latch away from it.
 */
export function isTierUnjudged(
  selector: Selector,
  node: number,
  tier: number,
  slots: Uint32Array,
): boolean {
  const policies = selector.world.policies;
  const start = policies.nodeWord(node, NodeWord.branchStart);
  const end = start + policies.nodeWord(node, NodeWord.branchCount);
  for (let branch = start; branch < end; branch++) {
    if (policies.tierOf(branch) === tier && isBranchUnjudged(selector, branch, slots, 1))
      return true;
  }
  return false;
}

function isBranchUnjudged(
  selector: Selector,
  branch: number,
  slots: Uint32Array,
  depth: number,
): boolean {
  const policies = selector.world.policies;
  const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
  const target = policies.branchWord(branch, BranchWord.target);
  if (kind === BranchTarget.pool)
    return isPoolUnjudged(selector, policies.poolOfLink[target]!, slots);
  if (kind === BranchTarget.name || depth >= DEPTH_MAX) return false;
  const start = policies.nodeWord(target, NodeWord.branchStart);
  const end = start + policies.nodeWord(target, NodeWord.branchCount);
  for (let inner = start; inner < end; inner++) {
    if (isBranchUnjudged(selector, inner, slots, depth + 1)) return true;
  }
  return false;
}

function isPoolUnjudged(selector: Selector, pool: number, slots: Uint32Array): boolean {
  if (pool < 0) return false;
  const pools = selector.world.pools;
  const start = pools.memberStart(pool);
  for (let endpoint = start; endpoint < start + pools.memberCount(pool); endpoint++) {
    const serve = (pools.endpointWord(endpoint, EndpointWord.weight) >>> 27) & 3;
    const slot = slots[endpoint]!;
    if (
      serve === Serve.auto &&
      (pools.flags(endpoint) & EndpointFlag.checked) !== 0 &&
      isConfigured(serve, slot) &&
      (slot & 3) === Verdict.unknown
    )
      return true;
  }
  return false;
}
