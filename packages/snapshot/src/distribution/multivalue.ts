// SPDX-License-Identifier: Apache-2.0
import { PER_MILLE } from "../overlay.ts";
import { BranchFlag, BranchTarget, BranchWord } from "../policies/policies-format.ts";
import { Mode } from "../pools/candidates.ts";
import { branchDial, takenMode } from "./branch-health.ts";
import { candidateMembers, ofMembers, poolDial, type Member, type Question } from "./members.ts";
import { add, certain, inOrder, type Outcomes } from "./outcomes.ts";

/** What a pool's branch gives to the lot, the chance that no dial sends it away, and whether it holds the node where it has nothing. */
interface Lot {
  readonly members: readonly Member[];
  readonly kept: number;
  readonly isFence: boolean;
}

/**
 * The members of all pools that no dial sends away are one lot; what is no pool comes after them, in order. Where the lot is empty for
 * want of healthy members, a fenced pool withholds the answer rather than leave the client to others.
 */
export function ofMultivalue(
  question: Question,
  branches: readonly number[],
  mode: number,
  ofBranch: (branch: number) => Outcomes,
): Outcomes {
  const policies = question.world.policies;
  const isPool = (branch: number): boolean =>
    (policies.branchWord(branch, BranchWord.settings) & 0xff) === BranchTarget.pool;
  const result = ofLots(
    question,
    branches.filter(isPool).map((branch) => lotOf(question, branch, mode)),
  );
  const others = branches.filter((branch) => !isPool(branch));
  if (others.length === 0) return result;
  const next = inOrder(others.map((branch) => () => ofBranch(branch)));
  const pending = ["unhealthy", "dialed", "noAddress"].map((outcome) => {
    const chance = result.get(outcome) ?? 0;
    result.delete(outcome);
    return { outcome, chance };
  });
  for (const { outcome, chance } of pending) {
    // Where the others have nothing either, it stays as it was.
    for (const [key, own] of next)
      if (chance > 0) add(result, key === "unhealthy" ? outcome : key, own * chance);
  }
  return result;
}

function lotOf(question: Question, branch: number, mode: number): Lot {
  const policies = question.world.policies;
  const pool = policies.poolOfLink[policies.branchWord(branch, BranchWord.target)] ?? -1;
  const settings = policies.branchWord(branch, BranchWord.settings);
  const isFence = ((settings >>> 8) & BranchFlag.fence) !== 0;
  const membersIn = (taken: number): Member[] =>
    pool < 0 ? [] : candidateMembers(question, pool, taken);
  const own = membersIn(takenMode(question, branch, mode));
  const members = own.length === 0 && isFence ? membersIn(Mode.open) : own;
  const ownDial = members.length === 0 ? PER_MILLE : poolDial(question, pool);
  return {
    members,
    kept: (branchDial(question, branch) / PER_MILLE) * (ownDial / PER_MILLE),
    isFence,
  };
}

/** Chances of the first pick over every way in which dials keep or lose the lots. */
function ofLots(question: Question, lots: readonly Lot[]): Outcomes {
  const result: Outcomes = new Map();
  const gather = (index: number, reach: number, kept: readonly Lot[]): void => {
    const next = lots[index];
    if (reach <= 0) return;
    if (next !== undefined) {
      gather(index + 1, reach * next.kept, [...kept, next]);
      gather(index + 1, reach * (1 - next.kept), kept);
      return;
    }
    const members = kept.flatMap((lot) => lot.members);
    const none =
      kept.length < lots.length
        ? "dialed"
        : kept.some(({ isFence }) => isFence)
          ? "stopped"
          : "unhealthy";
    const own = members.length > 0 ? ofMembers(question, members) : certain(none);
    for (const [key, chance] of own) add(result, key, chance * reach);
  };
  gather(0, 1, []);
  return result;
}
