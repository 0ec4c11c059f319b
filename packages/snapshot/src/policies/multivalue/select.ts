// SPDX-License-Identifier: Apache-2.0
import { pickSpread } from "../../pools/pick.ts";
import type { Selector } from "../../selector.ts";
import { Status } from "../../trace.ts";
import { BranchTarget, BranchWord, CANDIDATES_MAX, NodeWord } from "../policies-format.ts";

/** Answers of a `multivalue` node that states no number (Route 53 gives eight). */
const MULTIVALUE_ANSWERS = 8;
/** The dial of a branch or its pool sends this draw elsewhere. */
const DIALED = -1;

/**
 * `multivalue`: up to N endpoints out of all eligible ones of its pools, spread over failure domains; branches that are nodes add their
 * own choice while there is room.
 */
export function selectMultivalue(selector: Selector, node: number, mode: number): number {
  const policies = selector.world.policies;
  const wanted = selector.answers > 0 ? selector.answers : MULTIVALUE_ANSWERS;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  const end = first + policies.nodeWord(node, NodeWord.branchCount);
  let gathered = 0;
  let isDialed = false;
  for (let branch = first; branch < end; branch++) {
    if ((policies.branchWord(branch, BranchWord.settings) & 0xff) !== BranchTarget.pool) continue;
    const length = gather(selector, branch, mode, gathered);
    if (length === DIALED) isDialed = true;
    else gathered = length;
  }
  const salt = policies.nodeWord(node, NodeWord.salt) | 0;
  const none = isDialed ? Status.dialed : Status.unhealthy;
  let status: number = gathered > 0 ? pickSpread(selector, gathered, wanted, salt) : none;
  for (let branch = first; branch < end && selector.chosenCount < wanted; branch++) {
    const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
    if (kind === BranchTarget.pool || (kind === BranchTarget.name && selector.chosenCount > 0))
      continue;
    const own = selector.branch(branch, mode, -1, 0, 0);
    if (own === Status.ok || status === Status.unhealthy) status = own;
    if (selector.aliasOffset >= 0) return Status.ok;
  }
  return status;
}

/** Appends a pool's candidates to the scratch list; returns its new length, or DIALED. */
function gather(selector: Selector, branch: number, mode: number, length: number): number {
  const pool =
    selector.world.policies.poolOfLink[
      selector.world.policies.branchWord(branch, BranchWord.target)
    ]!;
  if (selector.isDialedAway(branch)) return DIALED;
  if (pool < 0) return length;
  const table = selector.candidates(mode);
  const count = table.count(pool, selector.slots);
  if (count > 0 && selector.isPoolDialedAway(pool)) return DIALED;
  selector.changeLog2 = Math.min(selector.changeLog2, table.changeLog2(pool));
  const start = selector.world.pools.memberStart(pool);
  let total = length;
  for (let index = 0; index < count && total < CANDIDATES_MAX; index++, total++) {
    selector.scratch[total] = table.endpoints[start + index]!;
    selector.scratchWeights[total] =
      table.cumulative[start + index]! - (index === 0 ? 0 : table.cumulative[start + index - 1]!);
  }
  if (selector.trace !== null)
    selector.trace.add({
      kind: "branch",
      depth: selector.depth,
      branch,
      order: -1,
      weight: count,
      total: 0,
    });
  return total;
}
