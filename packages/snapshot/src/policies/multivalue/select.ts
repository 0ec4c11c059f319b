// SPDX-License-Identifier: Apache-2.0
import { Mode } from "../../pools/candidates.ts";
import { pickSpread } from "../../pools/pick.ts";
import type { Selector } from "../../selector.ts";
import { Status, WithheldEde } from "../../trace.ts";
import {
  BranchFlag,
  BranchTarget,
  BranchWord,
  CANDIDATES_MAX,
  NodeWord,
} from "../policies-format.ts";

/** Answers of a `multivalue` node that states no number (Route 53 gives eight). */
const MULTIVALUE_ANSWERS = 8;

/**
 * `multivalue`: up to N endpoints out of all eligible ones of its pools, spread over failure domains; branches that are no pools add
 * their own choice while there is room. Where all pools together have nothing, a fenced one of them withholds the answer.
 */
export function selectMultivalue(selector: Selector, node: number, mode: number): number {
  const policies = selector.world.policies;
  const wanted = selector.answers > 0 ? selector.answers : MULTIVALUE_ANSWERS;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  const end = first + policies.nodeWord(node, NodeWord.branchCount);
  let gathered = 0;
  let none: number = Status.unhealthy;
  for (let branch = first; branch < end; branch++) {
    if ((policies.branchWord(branch, BranchWord.settings) & 0xff) !== BranchTarget.pool) continue;
    const length = gather(selector, branch, mode, gathered);
    if (length >= 0) gathered = length;
    else if (none !== Status.dialed) none = -length;
  }
  const salt = policies.nodeWord(node, NodeWord.salt) | 0;
  if (selector.variantBits !== 0) selector.beginPicks(wanted, salt);
  const status = gathered > 0 ? pickSpread(selector, gathered, wanted, salt) : none;
  if (status === Status.stopped) {
    selector.ede = WithheldEde.prohibited;
    return status;
  }
  return selectOthers(selector, first, end, mode, wanted, status);
}

/** Asks the branches that are no pools, in order, while there is room. `status` is what the pools came to. */
function selectOthers(
  selector: Selector,
  first: number,
  end: number,
  mode: number,
  wanted: number,
  status: number,
): number {
  const policies = selector.world.policies;
  let result = status;
  for (let branch = first; branch < end && selector.chosenCount < wanted; branch++) {
    const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
    if (kind === BranchTarget.pool || (kind === BranchTarget.name && selector.chosenCount > 0))
      continue;
    const own = selector.branch(branch, mode, -1, 0, 0);
    if (own === Status.stopped) return selector.chosenCount > 0 ? Status.ok : own;
    if (own === Status.ok || (own === Status.dialed && result === Status.unhealthy)) result = own;
    if (selector.aliasOffset >= 0) return Status.ok;
  }
  return result;
}

/**
 * Appends a pool's candidates to the scratch list and returns its new length, or the negative status of a branch that gives nothing for
 * another reason than health.
 */
function gather(selector: Selector, branch: number, mode: number, length: number): number {
  const policies = selector.world.policies;
  const settings = policies.branchWord(branch, BranchWord.settings);
  const flags = (settings >>> 8) & 0xff;
  const target = policies.branchWord(branch, BranchWord.target);
  const pool = policies.poolOfLink[target]!;
  const depth = selector.depth;
  if (selector.trace !== null)
    selector.trace.add({ kind: "branch", depth, branch, order: -1, weight: 0, total: 0 });
  if (selector.isDialedAway(branch)) return without(selector, branch, Status.dialed);
  const isFence = (flags & BranchFlag.fence) !== 0;
  if (pool < 0) return isFence ? without(selector, branch, Status.stopped) : length;
  let taken = selector.takenMode(flags, BranchTarget.pool, target, mode);
  if (isFence && selector.candidates(taken).count(pool, selector.slots) === 0) taken = Mode.open;
  const table = selector.candidates(taken);
  const count = table.count(pool, selector.slots);
  const isDialed = count > 0 && selector.isPoolDialedAway(pool);
  const status = isDialed ? Status.dialed : count > 0 ? Status.ok : Status.unhealthy;
  if (selector.trace !== null) selector.tracePool(pool, taken, table, count, status);
  if (isDialed) return without(selector, branch, Status.dialed);
  selector.changeLog2 = Math.min(selector.changeLog2, table.changeLog2());
  if (count === 0 && isFence) return without(selector, branch, Status.stopped);
  let total = length;
  for (let index = 0; index < count && total < CANDIDATES_MAX; index++, total++) {
    selector.scratch[total] = table.endpoint(index);
    selector.scratchWeights[total] = table.weight(index);
  }
  return total;
}

function without(selector: Selector, branch: number, status: number): number {
  if (selector.trace !== null)
    selector.trace.add({ kind: "branchEnd", depth: selector.depth, branch, status });
  return -status;
}
