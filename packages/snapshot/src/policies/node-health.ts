// SPDX-License-Identifier: Apache-2.0
import { Mode } from "../pools/candidates.ts";
import { healthyNeeded } from "../pools/pools-format.ts";
import type { Selector } from "../selector.ts";
import { slotWeight } from "./by-weight.ts";
import {
  BranchFlag,
  BranchTarget,
  BranchWord,
  DEPTH_MAX,
  NodeKind,
  NodeWord,
  OnAllUnhealthy,
} from "./policies-format.ts";

/** True where the target of a branch could be answered with verdicts as they are, whoever the client is. */
export function isBranchHealthy(
  selector: Selector,
  kind: number,
  index: number,
  depth: number,
): boolean {
  const policies = selector.world.policies;
  if (kind === BranchTarget.name) return true;
  if (kind === BranchTarget.pool) {
    const pool = policies.poolOfLink[index]!;
    return pool >= 0 && selector.candidates(Mode.verdict).count(pool, selector.slots) > 0;
  }
  const action = (policies.nodeWord(index, NodeWord.settings) >>> 8) & 0xff;
  if (action !== OnAllUnhealthy.parent) return true;
  return (
    depth < DEPTH_MAX &&
    healthyShare(selector, index, depth + 1) > 0 &&
    meetsMinimum(selector, index, depth + 1)
  );
}

/**
 * True where a node has as many healthy branches as its `minHealthy` asks for: a count or percent of its branches, under `weighted` of
 * their configured weight.
 */
export function meetsMinimum(
  selector: Selector,
  node: number,
  depth: number = selector.depth,
): boolean {
  const policies = selector.world.policies;
  const encoded = policies.nodeWord(node, NodeWord.minHealthy);
  if (encoded === 0) return true;
  const configured = configuredShare(selector, node);
  return healthyShare(selector, node, depth) >= healthyNeeded(encoded, configured);
}

function configuredShare(selector: Selector, node: number): number {
  const policies = selector.world.policies;
  const start = policies.nodeWord(node, NodeWord.branchStart);
  const count = policies.nodeWord(node, NodeWord.branchCount);
  if (policies.kindOf(node) !== NodeKind.weighted) return count;
  let total = 0;
  for (let branch = start; branch < start + count; branch++) total += slotWeight(selector, branch);
  return total;
}

function healthyShare(selector: Selector, node: number, depth: number): number {
  const policies = selector.world.policies;
  const start = policies.nodeWord(node, NodeWord.branchStart);
  const count = policies.nodeWord(node, NodeWord.branchCount);
  const isWeighted =
    policies.kindOf(node) === NodeKind.weighted &&
    policies.nodeWord(node, NodeWord.minHealthy) !== 0;
  let share = 0;
  for (let branch = start; branch < start + count; branch++) {
    const settings = policies.branchWord(branch, BranchWord.settings);
    const evaluates = ((settings >>> 8) & BranchFlag.evaluateHealth) !== 0;
    const target = policies.branchWord(branch, BranchWord.target);
    if (evaluates && !isBranchHealthy(selector, settings & 0xff, target, depth)) continue;
    share += isWeighted ? slotWeight(selector, branch) : 1;
  }
  return share;
}
