// SPDX-License-Identifier: Apache-2.0

// The slow twin of selection: not one draw but the chance of every outcome, by plain recursion over maps. Explain states these
// chances, tests compare them with what the selector does. It follows the words of design §5, not the selector's code.

import type { Client } from "./client.ts";
import {
  branchDial,
  capacityOf,
  healthyCount,
  neededCount,
  takenMode,
} from "./distribution/branch-health.ts";
import { memberDial, ofPool, type Question } from "./distribution/members.ts";
import { ofMultivalue } from "./distribution/multivalue.ts";
import {
  add,
  certain,
  failedChance,
  follow,
  heldChance,
  inOrder,
  isFailed,
  withDial,
  withFailure,
  type Outcomes,
} from "./distribution/outcomes.ts";
import { firstKept } from "./first-kept.ts";
import { PER_MILLE } from "./overlay.ts";
import {
  BranchFlag,
  BranchTarget,
  BranchWord,
  NodeKind,
  NodeWord,
  NO_LINK,
  OnAllUnhealthy,
} from "./policies/policies-format.ts";
import { Mode } from "./pools/candidates.ts";
import { TargetKind, type World } from "./world.ts";

/**
 * Chance of each outcome of a decision that gives one answer: keys are `endpoint/…`, `name@OFFSET` for an alias, or one of `unhealthy`,
 * `dialed`, `stopped`, `noMatch`. The chances add up to 1.
 */
export type Distribution = ReadonlyMap<string, number>;

/**
 * Distribution of the first answer of (target, client). Sticky nodes give no chances: their choice is a function of the client. Dials of a
 * branch or pool that is reached by several ways are taken as independent; those of members are one draw of the decision.
 */
export function distribution(
  world: World,
  slots: Uint32Array,
  targetKind: number,
  targetIndex: number,
  client: Client,
  family: number,
): Distribution {
  const result: Outcomes = new Map();
  let from = 0;
  for (const to of [...memberDials(world, slots), PER_MILLE]) {
    const question = { world, slots, client, family, dialed: from };
    for (const [key, chance] of ofTargetAt(question, targetKind, targetIndex))
      add(result, key, (chance * (to - from)) / PER_MILLE);
    from = to;
  }
  return result;
}

/** Dials of members at which chances change, ascending. */
function memberDials(world: World, slots: Uint32Array): number[] {
  const found = new Set<number>();
  for (let endpoint = 0; endpoint < world.pools.endpointCount; endpoint++)
    found.add(memberDial({ slots }, endpoint));
  return [...found].filter((dial) => dial > 0 && dial < PER_MILLE).sort((a, b) => a - b);
}

function ofTargetAt(
  asked: Omit<Question, "ignoresDials">,
  targetKind: number,
  targetIndex: number,
): Outcomes {
  const run = (mode: number, ignoresDials: boolean): Outcomes => {
    const question: Question = { ...asked, ignoresDials };
    return targetKind === TargetKind.pool
      ? ofPool(question, targetIndex, mode)
      : ofNode(question, asked.world.policies.rootOf(targetIndex), mode);
  };
  let result = run(Mode.verdict, false);
  if (targetKind === TargetKind.pool)
    result = follow(result, "unhealthy", () => run(Mode.open, true));
  return follow(result, "dialed", () => run(Mode.verdict, true));
}

function ofNode(question: Question, node: number, mode: number): Outcomes {
  const policies = question.world.policies;
  const settings = policies.nodeWord(node, NodeWord.settings);
  const action = (settings >>> 8) & 0xff;
  const meets =
    mode !== Mode.verdict || healthyCount(question, node) >= neededCount(question, node);
  const first = meets ? ofKind(question, node, settings & 0xff, mode) : certain("unhealthy");
  if (mode !== Mode.verdict || action === OnAllUnhealthy.parent) return first;
  return follow(first, "unhealthy", () => backOut(question, node, settings & 0xff, action));
}

function backOut(question: Question, node: number, kind: number, action: number): Outcomes {
  const policies = question.world.policies;
  if (action === OnAllUnhealthy.closed) return certain("stopped");
  if (action === OnAllUnhealthy.open) return ofKind(question, node, kind, Mode.open);
  if (action === OnAllUnhealthy.lastKnown) {
    return follow(ofKind(question, node, kind, Mode.lastKnown), "unhealthy", () =>
      ofKind(question, node, kind, Mode.open),
    );
  }
  const branch =
    policies.nodeWord(node, NodeWord.branchStart) + policies.nodeWord(node, NodeWord.branchCount);
  return follow(ofBranch(question, branch, Mode.verdict), "unhealthy", () =>
    ofBranch(question, branch, Mode.open),
  );
}

function ofKind(question: Question, node: number, kind: number, mode: number): Outcomes {
  const policies = question.world.policies;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  const branches = Array.from(
    { length: policies.nodeWord(node, NodeWord.branchCount) },
    (_, index) => first + index,
  );
  if (kind === NodeKind.failover) return inTiers(question, node, branches, mode);
  if (kind === NodeKind.multivalue)
    return ofMultivalue(question, branches, mode, (branch) => ofBranch(question, branch, mode));
  if (policies.nodeWord(node, NodeWord.classifier) !== NO_LINK) {
    const ranked = rankedBranches(question, node, first);
    return ranked.length === 0
      ? certain("noMatch")
      : inOrder(ranked.map((branch) => () => ofBranch(question, branch, mode)));
  }
  const weightOf = (branch: number): number => {
    if (kind === NodeKind.roundRobin) return 1;
    const weight = (question.slots[question.world.branchSlots + branch] ?? 0) & 0xf_ffff;
    return kind === NodeKind.capacity ? weight * capacityOf(question, branch, mode) : weight;
  };
  return byWeight(
    question,
    branches.map((branch) => ({ branch, weight: weightOf(branch) })),
    mode,
  );
}

function rankedBranches(question: Question, node: number, first: number): number[] {
  const { world, client } = question;
  const classifier =
    world.classifiers[
      world.classifierOfLink[world.policies.nodeWord(node, NodeWord.classifier)] ?? -1
    ];
  if (classifier === undefined) return [];
  const audience = classifier.classify(client);
  const start = classifier.orderStart(audience);
  return [...classifier.orders.subarray(start, start + classifier.orderCount(audience))].map(
    (index) => first + index,
  );
}

function inTiers(question: Question, node: number, branches: number[], mode: number): Outcomes {
  const policies = question.world.policies;
  const tiers = [...new Set(branches.map((branch) => policies.tierOf(branch)))];
  const latch = question.slots[question.world.latchSlots + node] ?? 0;
  const at = latch === 0 ? 0 : Math.max(0, tiers.indexOf(latch - 1));
  const ordered = [...tiers.slice(at), ...tiers.slice(0, at)];
  return inOrder(
    ordered.map((tier) => () => {
      const members = branches.filter((branch) => policies.tierOf(branch) === tier);
      const weights = members.map((branch) => ({
        branch,
        weight: (question.slots[question.world.branchSlots + branch] ?? 0) & 0xf_ffff,
      }));
      return members.length === 1
        ? ofBranch(question, members[0] ?? 0, mode)
        : byWeight(question, weights, mode);
    }),
  );
}

/** Chances of the loop "choose by weight, try, drop, renormalise". */
function byWeight(
  question: Question,
  all: readonly { branch: number; weight: number }[],
  mode: number,
): Outcomes {
  const weighty = all.filter(({ weight }) => weight > 0);
  const zero = all.filter(({ weight }) => weight <= 0).map(({ branch }) => ({ branch, weight: 1 }));
  const outcomes = new Map(all.map(({ branch }) => [branch, ofBranch(question, branch, mode)]));
  const result = new Map<string, number>();
  const chooseAmong = (
    choices: readonly { branch: number; weight: number }[],
    reach: number,
  ): void => {
    const holds = choices.map(({ branch }) => heldChance(outcomes.get(branch) ?? new Map()));
    firstKept(choices.map(({ weight }, index) => ({ weight, holds: holds[index] ?? 0 }))).forEach(
      (taken, index) => {
        if (taken === 0) return;
        const own = outcomes.get(choices[index]?.branch ?? -1) ?? new Map<string, number>();
        for (const [key, chance] of own)
          if (!isFailed(key)) add(result, key, (reach * taken * chance) / (holds[index] ?? 1));
      },
    );
  };
  const useZero = weighty.length === 0 || mode !== Mode.open;
  chooseAmong(weighty, 1);
  const failWeighty = product(weighty, outcomes);
  if (useZero) chooseAmong(zero, failWeighty);
  const tried = useZero ? all : weighty;
  return withFailure(
    result,
    product(tried, outcomes),
    tried.map(({ branch }) => outcomes.get(branch) ?? new Map()),
  );
}

function product(
  entries: readonly { branch: number }[],
  outcomes: ReadonlyMap<number, Outcomes>,
): number {
  return entries.reduce(
    (chance, { branch }) => chance * failedChance(outcomes.get(branch) ?? new Map()),
    1,
  );
}

function ofBranch(question: Question, branch: number, mode: number): Outcomes {
  const { world } = question;
  const settings = world.policies.branchWord(branch, BranchWord.settings);
  const flags = (settings >>> 8) & 0xff;
  let result = ofTarget(question, branch, takenMode(question, branch, mode));
  if ((flags & BranchFlag.fence) !== 0) {
    const stay = (): Outcomes => {
      const open = ofTarget(question, branch, Mode.open);
      for (const key of ["unhealthy", "noMatch", "dialed"])
        follow(open, key, () => certain("stopped"));
      return open;
    };
    result = follow(follow(result, "unhealthy", stay), "noMatch", stay);
  }
  return withDial(result, branchDial(question, branch));
}

function ofTarget(question: Question, branch: number, mode: number): Outcomes {
  const policies = question.world.policies;
  const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
  const target = policies.branchWord(branch, BranchWord.target);
  if (kind === BranchTarget.name) return certain(`name@${policies.heap + target}`);
  if (kind === BranchTarget.node) return ofNode(question, target, mode);
  return ofPool(question, policies.poolOfLink[target] ?? -1, mode);
}
