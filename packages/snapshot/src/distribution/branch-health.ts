// SPDX-License-Identifier: Apache-2.0
import { BRANCH_DIAL_MASK, CAPACITY_SHIFT, PER_MILLE } from "../overlay.ts";
import {
  BranchFlag,
  BranchTarget,
  BranchWord,
  NodeKind,
  NodeWord,
  OnAllUnhealthy,
} from "../policies/policies-format.ts";
import { Mode } from "../pools/candidates.ts";
import { EndpointWord, healthyNeeded } from "../pools/pools-format.ts";
import { candidateMembers, type Question } from "./members.ts";

function isHealthy(question: Question, branch: number): boolean {
  const policies = question.world.policies;
  const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
  const target = policies.branchWord(branch, BranchWord.target);
  if (kind === BranchTarget.name) return true;
  if (kind === BranchTarget.pool)
    return candidateMembers(question, policies.poolOfLink[target] ?? -1, Mode.verdict).length > 0;
  const action = (policies.nodeWord(target, NodeWord.settings) >>> 8) & 0xff;
  return (
    action !== OnAllUnhealthy.parent ||
    (healthyCount(question, target) > 0 &&
      healthyCount(question, target) >= neededCount(question, target))
  );
}

/** How verdicts of a branch's target are taken: as healthy where `evaluateHealth: false` and none is. */
export function takenMode(question: Question, branch: number, mode: number): number {
  const settings = question.world.policies.branchWord(branch, BranchWord.settings);
  const evaluates = ((settings >>> 8) & BranchFlag.evaluateHealth) !== 0;
  return !evaluates && mode === Mode.verdict && !isHealthy(question, branch) ? Mode.open : mode;
}

/** Per mille that a branch keeps of what is routed to it. */
export function branchDial({ world, slots, ignoresDials }: Question, branch: number): number {
  if (ignoresDials) return PER_MILLE;
  return ((slots[world.branchSlots + branch] ?? 0) >>> 20) & BRANCH_DIAL_MASK;
}

/** Branches that are healthy (under `weighted` with a minimum: their weight). */
export function healthyCount(question: Question, node: number): number {
  return shareOf(question, node, (branch) => {
    const evaluates =
      ((question.world.policies.branchWord(branch, BranchWord.settings) >>> 8) &
        BranchFlag.evaluateHealth) !==
      0;
    return !evaluates || isHealthy(question, branch);
  });
}

/** What `minHealthy` of a node asks for, in the same measure. */
export function neededCount(question: Question, node: number): number {
  return healthyNeeded(
    question.world.policies.nodeWord(node, NodeWord.minHealthy),
    shareOf(question, node, () => true),
  );
}

function shareOf(question: Question, node: number, counts: (branch: number) => boolean): number {
  const { world, slots } = question;
  const first = world.policies.nodeWord(node, NodeWord.branchStart);
  const isWeighted =
    world.policies.kindOf(node) === NodeKind.weighted &&
    world.policies.nodeWord(node, NodeWord.minHealthy) !== 0;
  let share = 0;
  for (
    let branch = first;
    branch < first + world.policies.nodeWord(node, NodeWord.branchCount);
    branch++
  ) {
    if (counts(branch))
      share += isWeighted ? (slots[world.branchSlots + branch] ?? 0) & 0xf_ffff : 1;
  }
  return share;
}

/** What a branch has left: Σ capacity × capacity factor of its candidates, 1 for a name. */
export function capacityOf(question: Question, branch: number, mode: number): number {
  const { world, slots } = question;
  const kind = world.policies.branchWord(branch, BranchWord.settings) & 0xff;
  const target = world.policies.branchWord(branch, BranchWord.target);
  if (kind === BranchTarget.name) return 1;
  if (kind === BranchTarget.pool) {
    const pool = world.policies.poolOfLink[target] ?? -1;
    return pool < 0
      ? 0
      : candidateMembers(question, pool, mode === Mode.open ? Mode.open : Mode.verdict).reduce(
          (sum, { endpoint }) =>
            sum +
            (Math.max(1, world.pools.endpointWord(endpoint, EndpointWord.capacity)) *
              (((slots[endpoint] ?? 0) >>> CAPACITY_SHIFT) & 0x3ff)) /
              PER_MILLE,
          0,
        );
  }
  const first = world.policies.nodeWord(target, NodeWord.branchStart);
  let total = 0;
  for (
    let inner = first;
    inner < first + world.policies.nodeWord(target, NodeWord.branchCount);
    inner++
  )
    total += capacityOf(question, inner, mode);
  return total;
}
