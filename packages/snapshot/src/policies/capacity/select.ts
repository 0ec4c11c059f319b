// SPDX-License-Identifier: Apache-2.0
import { Mode } from "../../pools/candidates.ts";
import type { Selector } from "../../selector.ts";
import { selectByWeight, slotWeight } from "../by-weight.ts";
import { BranchTarget, BranchWord, DEPTH_MAX, NodeWord } from "../policies-format.ts";

/** `capacity`: share ∝ weight × capacity × (1 − load), the last factor being what the overlay says of each endpoint. */
export function selectCapacity(selector: Selector, node: number, mode: number): number {
  const policies = selector.world.policies;
  selector.defaultAnswers = 1;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  return selectByWeight(
    selector,
    node,
    first,
    policies.nodeWord(node, NodeWord.branchCount),
    mode,
    capacityWeight,
  );
}

/** Weight × what the branch's eligible endpoints have left. `open` trusts no measurement. */
export function capacityWeight(selector: Selector, branch: number, mode: number): number {
  return slotWeight(selector, branch) * capacityOf(selector, branch, mode, selector.depth);
}

function capacityOf(selector: Selector, branch: number, mode: number, depth: number): number {
  const policies = selector.world.policies;
  const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
  const target = policies.branchWord(branch, BranchWord.target);
  if (kind === BranchTarget.name) return 1;
  if (kind === BranchTarget.pool) {
    const pool = policies.poolOfLink[target]!;
    const table = selector.candidates(mode === Mode.open ? Mode.open : Mode.verdict);
    return pool >= 0 && table.count(pool, selector.slots) > 0 ? table.capacity() : 0;
  }
  if (depth >= DEPTH_MAX) return 0;
  const start = policies.nodeWord(target, NodeWord.branchStart);
  const end = start + policies.nodeWord(target, NodeWord.branchCount);
  let total = 0;
  for (let inner = start; inner < end; inner++)
    total += capacityOf(selector, inner, mode, depth + 1);
  return total;
}
