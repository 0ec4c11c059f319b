// SPDX-License-Identifier: Apache-2.0

// The slow twin of selection: not one draw but the chance of every outcome, by plain recursion over maps. Explain states these
// chances, tests compare them with what the selector does. It follows the words of design §5, not the selector's code.

import { isConfigured, isEligible, Mode } from "./pools/candidates.ts";
import type { Client } from "./client.ts";
import { firstKept } from "./first-kept.ts";
import { CAPACITY_SHIFT, DIAL_SHIFT, PER_MILLE } from "./overlay.ts";
import {
  BranchFlag,
  BranchTarget,
  BranchWord,
  NodeKind,
  NodeWord,
  NO_LINK,
  OnAllUnhealthy,
} from "./policies/policies-format.ts";
import { EndpointFlag, EndpointWord, PoolWord, healthyNeeded } from "./pools/pools-format.ts";
import { TargetKind, type World } from "./world.ts";

/**
 * Chance of each outcome of a decision that gives one answer: keys are `endpoint/…`, `name@OFFSET` for an alias, or one of `unhealthy`,
 * `dialed`, `stopped`, `noMatch`. The chances add up to 1.
 */
export type Distribution = ReadonlyMap<string, number>;

interface Member {
  readonly endpoint: number;
  readonly weight: number;
}

interface Question {
  readonly world: World;
  readonly slots: Uint32Array;
  readonly client: Client;
  readonly family: number;
  readonly ignoresDials: boolean;
}

/** Distribution of the first answer of (target, client). Sticky nodes give no chances: their choice is a function of the client. Dials of a node or endpoint that is reached by several ways are taken as independent. */
export function distribution(
  world: World,
  slots: Uint32Array,
  targetKind: number,
  targetIndex: number,
  client: Client,
  family: number,
): Distribution {
  const run = (mode: number, ignoresDials: boolean): Map<string, number> => {
    const question: Question = { world, slots, client, family, ignoresDials };
    return targetKind === TargetKind.pool
      ? ofPool(question, targetIndex, mode)
      : ofNode(question, world.policies.rootOf(targetIndex), mode);
  };
  let result = run(Mode.verdict, false);
  if (targetKind === TargetKind.pool)
    result = follow(result, "unhealthy", () => run(Mode.open, true));
  return follow(result, "dialed", () => run(Mode.verdict, true));
}

/** Replaces the chance of `outcome` by what `next` gives, in proportion. */
function follow(
  from: Map<string, number>,
  outcome: string,
  next: () => Map<string, number>,
): Map<string, number> {
  const chance = from.get(outcome) ?? 0;
  if (chance === 0) return from;
  from.delete(outcome);
  for (const [key, own] of next()) from.set(key, (from.get(key) ?? 0) + own * chance);
  return from;
}

function certain(outcome: string): Map<string, number> {
  return new Map([[outcome, 1]]);
}

function ofNode(question: Question, node: number, mode: number): Map<string, number> {
  const policies = question.world.policies;
  const settings = policies.nodeWord(node, NodeWord.settings);
  const action = (settings >>> 8) & 0xff;
  const meets =
    mode !== Mode.verdict || healthyCount(question, node) >= neededCount(question, node);
  const first = meets ? ofKind(question, node, settings & 0xff, mode) : certain("unhealthy");
  if (mode !== Mode.verdict || action === OnAllUnhealthy.parent) return first;
  return follow(first, "unhealthy", () => backOut(question, node, settings & 0xff, action));
}

function backOut(
  question: Question,
  node: number,
  kind: number,
  action: number,
): Map<string, number> {
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

function ofKind(question: Question, node: number, kind: number, mode: number): Map<string, number> {
  const policies = question.world.policies;
  const first = policies.nodeWord(node, NodeWord.branchStart);
  const branches = Array.from(
    { length: policies.nodeWord(node, NodeWord.branchCount) },
    (_, index) => first + index,
  );
  if (kind === NodeKind.failover) return inTiers(question, node, branches, mode);
  if (kind === NodeKind.multivalue) return ofMultivalue(question, branches, mode);
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

/** The members of all pools that no dial sends away are one lot; what is no pool comes after them, in order. */
function ofMultivalue(
  question: Question,
  branches: readonly number[],
  mode: number,
): Map<string, number> {
  const policies = question.world.policies;
  const isPool = (branch: number): boolean =>
    (policies.branchWord(branch, BranchWord.settings) & 0xff) === BranchTarget.pool;
  const lots = branches.filter(isPool).map((branch) => {
    const pool = policies.poolOfLink[policies.branchWord(branch, BranchWord.target)] ?? -1;
    const members = pool < 0 ? [] : candidateMembers(question, pool, mode);
    const ownDial = members.length === 0 ? PER_MILLE : poolDial(question, pool);
    return { members, kept: (branchDial(question, branch) / PER_MILLE) * (ownDial / PER_MILLE) };
  });
  const result = new Map<string, number>();
  const gather = (
    index: number,
    reach: number,
    lot: readonly Member[],
    isDialed: boolean,
  ): void => {
    const next = lots[index];
    if (reach > 0 && next !== undefined) {
      gather(index + 1, reach * next.kept, [...lot, ...next.members], isDialed);
      gather(index + 1, reach * (1 - next.kept), lot, true);
    } else if (reach > 0) {
      const own =
        lot.length > 0 ? ofMembers(question, lot) : certain(isDialed ? "dialed" : "unhealthy");
      for (const [key, chance] of own) add(result, key, chance * reach);
    }
  };
  gather(0, 1, [], false);
  const others = branches.filter((branch) => !isPool(branch));
  if (others.length === 0) return result;
  const next = (): Map<string, number> =>
    inOrder(others.map((branch) => () => ofBranch(question, branch, mode)));
  return ["dialed", "unhealthy", "noAddress"].reduce(
    (from, outcome) => follow(from, outcome, next),
    result,
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

function inTiers(
  question: Question,
  node: number,
  branches: number[],
  mode: number,
): Map<string, number> {
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

/** The first that answers; `dialed` wins over `unhealthy` where nothing does. */
function inOrder(choices: readonly (() => Map<string, number>)[]): Map<string, number> {
  const result = new Map<string, number>();
  let reach = 1;
  const tried: Map<string, number>[] = [];
  for (const choice of choices) {
    if (reach === 0) break;
    const own = choice();
    tried.push(own);
    for (const [key, chance] of own) if (!isFailed(key)) add(result, key, chance * reach);
    reach *= failedChance(own);
  }
  return withFailure(result, reach, tried);
}

function isFailed(key: string): boolean {
  return key === "unhealthy" || key === "dialed" || key === "noMatch";
}

function failedChance(outcome: ReadonlyMap<string, number>): number {
  return (
    (outcome.get("unhealthy") ?? 0) + (outcome.get("dialed") ?? 0) + (outcome.get("noMatch") ?? 0)
  );
}

/** What is left of 1 when it did not fail, without the error of a sum that is nearly 1. */
function heldChance(outcome: ReadonlyMap<string, number>): number {
  const failed = failedChance(outcome);
  return failed > 1 - 1e-12 ? 0 : 1 - failed;
}

/**
 * Splits the chance that every tried choice failed: it is `unhealthy` only where none of them was dialed away. Why one failed does not
 * depend on the others, so that share is a product.
 */
function withFailure(
  result: Map<string, number>,
  failed: number,
  tried: readonly ReadonlyMap<string, number>[],
): Map<string, number> {
  if (failed <= 0) return result;
  const undialed = tried.reduce(
    (share, own) => share * (1 - (own.get("dialed") ?? 0) / (failedChance(own) || 1)),
    1,
  );
  if (undialed > 0) add(result, "unhealthy", failed * undialed);
  if (undialed < 1) add(result, "dialed", failed * (1 - undialed));
  return result;
}

/** Chances of the loop "choose by weight, try, drop, renormalise". */
function byWeight(
  question: Question,
  all: readonly { branch: number; weight: number }[],
  mode: number,
): Map<string, number> {
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
  outcomes: ReadonlyMap<number, Map<string, number>>,
): number {
  return entries.reduce(
    (chance, { branch }) => chance * failedChance(outcomes.get(branch) ?? new Map()),
    1,
  );
}

function add(map: Map<string, number>, key: string, chance: number): void {
  map.set(key, (map.get(key) ?? 0) + chance);
}

function ofBranch(question: Question, branch: number, mode: number): Map<string, number> {
  const { world } = question;
  const settings = world.policies.branchWord(branch, BranchWord.settings);
  const flags = (settings >>> 8) & 0xff;
  const evaluates = (flags & BranchFlag.evaluateHealth) !== 0;
  const taken =
    !evaluates && mode === Mode.verdict && !isHealthy(question, branch) ? Mode.open : mode;
  let result = ofTarget(question, branch, taken);
  if ((flags & BranchFlag.fence) !== 0) {
    const stay = (): Map<string, number> => {
      const open = ofTarget(question, branch, Mode.open);
      for (const key of ["unhealthy", "noMatch", "dialed"])
        follow(open, key, () => certain("stopped"));
      return open;
    };
    result = follow(follow(result, "unhealthy", stay), "noMatch", stay);
  }
  return withDial(result, branchDial(question, branch));
}

function branchDial({ world, slots, ignoresDials }: Question, branch: number): number {
  return ignoresDials ? PER_MILLE : (slots[world.branchSlots + branch] ?? 0) >>> 20;
}

function poolDial({ world, ignoresDials }: Question, pool: number): number {
  return ignoresDials ? PER_MILLE : world.pools.poolWord(pool, PoolWord.dial);
}

function withDial(result: Map<string, number>, dial: number): Map<string, number> {
  if (dial >= PER_MILLE) return result;
  const scaled = new Map([...result].map(([key, chance]) => [key, (chance * dial) / PER_MILLE]));
  add(scaled, "dialed", 1 - dial / PER_MILLE);
  return scaled;
}

function ofTarget(question: Question, branch: number, mode: number): Map<string, number> {
  const policies = question.world.policies;
  const kind = policies.branchWord(branch, BranchWord.settings) & 0xff;
  const target = policies.branchWord(branch, BranchWord.target);
  if (kind === BranchTarget.name) return certain(`name@${policies.heap + target}`);
  if (kind === BranchTarget.node) return ofNode(question, target, mode);
  return ofPool(question, policies.poolOfLink[target] ?? -1, mode);
}

/** Members by weight in the serving tier, each with its dial; what is dialed away goes to the other members first. */
function ofPool(question: Question, pool: number, mode: number): Map<string, number> {
  const members = pool < 0 ? [] : candidateMembers(question, pool, mode);
  if (members.length === 0) return certain("unhealthy");
  return withDial(ofMembers(question, members), poolDial(question, pool));
}

/** Members that can be answered for the wanted family, by weight. */
function ofMembers(question: Question, members: readonly Member[]): Map<string, number> {
  const { world, family } = question;
  const usable = members.filter(
    ({ endpoint }) => family === 0 || world.pools.serves(endpoint, family),
  );
  return usable.length === 0 ? certain("noAddress") : amongMembers(question, usable);
}

function amongMembers(question: Question, members: readonly Member[]): Map<string, number> {
  const choices = members.map(({ endpoint, weight }) => ({
    weight,
    holds: question.ignoresDials
      ? 1
      : Math.min(1, (((question.slots[endpoint] ?? 0) >>> DIAL_SHIFT) & 0x3ff) / PER_MILLE),
  }));
  const result = new Map<string, number>();
  firstKept(choices).forEach((chance, index) => {
    if (chance > 0)
      add(result, question.world.endpointName(members[index]?.endpoint ?? -1), chance);
  });
  const dialed = choices.reduce((chance, { holds }) => chance * (1 - holds), 1);
  if (dialed > 0) add(result, "dialed", dialed);
  return result;
}

function candidateMembers(
  question: Question,
  pool: number,
  mode: number,
): { endpoint: number; weight: number }[] {
  const { world, slots } = question;
  const start = world.pools.memberStart(pool);
  const all = Array.from({ length: world.pools.memberCount(pool) }, (_, index) => {
    const endpoint = start + index;
    const packed = world.pools.endpointWord(endpoint, EndpointWord.weight);
    const slot = slots[endpoint] ?? 0;
    const factor = mode === Mode.open ? PER_MILLE : (slot >>> CAPACITY_SHIFT) & 0x3ff;
    const serve = (packed >>> 27) & 3;
    return {
      endpoint,
      flags: world.pools.flags(endpoint),
      configured: isConfigured(serve, slot),
      eligible:
        isConfigured(serve, slot) && isEligible(serve, world.pools.flags(endpoint), slot, mode),
      priority: (packed >>> 20) & 0x7f,
      declared: packed & 0xf_ffff,
      weight: (packed & 0xf_ffff) * factor,
    };
  });
  const eligible = all.filter((member) => member.eligible);
  const minimum = world.pools.poolWord(pool, PoolWord.minHealthy);
  const families = minimum >>> 31 === 1 ? [EndpointFlag.ipv4, EndpointFlag.ipv6] : [0];
  for (const family of families) {
    const configured = all.filter(
      (member) => member.configured && (member.flags & family) === family,
    );
    const healthy = eligible.filter((member) => (member.flags & family) === family);
    if (
      mode === Mode.verdict &&
      configured.length > 0 &&
      healthy.length < healthyNeeded(minimum, configured.length)
    )
      return [];
  }
  const weighty = eligible.filter((member) => member.weight > 0);
  if (weighty.length > 0) {
    const priority = Math.min(...weighty.map((member) => member.priority));
    return weighty.filter((member) => member.priority === priority);
  }
  if (mode === Mode.open && all.some((member) => member.declared > 0)) return [];
  const priority = Math.min(...eligible.map((member) => member.priority));
  return eligible
    .filter((member) => member.priority === priority)
    .map((member) => ({ ...member, weight: 1 }));
}

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

/** Branches that are healthy (under `weighted` with a minimum: their weight). */
function healthyCount(question: Question, node: number): number {
  return shareOf(question, node, (branch) => {
    const evaluates =
      ((question.world.policies.branchWord(branch, BranchWord.settings) >>> 8) &
        BranchFlag.evaluateHealth) !==
      0;
    return !evaluates || isHealthy(question, branch);
  });
}

function neededCount(question: Question, node: number): number {
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

function capacityOf(question: Question, branch: number, mode: number): number {
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
