// SPDX-License-Identifier: Apache-2.0
import { assert, hash32, key64, WordList } from "@meridian/core";
import { KeyList } from "../key-list.ts";
import { encodeMinHealthy, type MinHealthy } from "../pools/pools-format.ts";
import { compareText, indexOfName, patchSteps, TextCopy, wireNameEnd } from "../section-patch.ts";
import { changeEntries, type EntryChange } from "../section-rows.ts";
import { SectionKind, SharedTable, type Section } from "../section.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import {
  BRANCH_WORDS,
  BranchFlag,
  BranchTarget,
  BranchWord,
  NODE_WORDS,
  NO_LINK,
  NodeKind,
  NodeWord,
  OnAllUnhealthy,
  POLICY_WORDS,
  PoliciesTable,
  PolicyWord,
} from "./policies-format.ts";

export interface BranchInput {
  /** Exactly one: a node of the policy, `NAMESPACE/POOL`, or an uncompressed wire name. */
  readonly target:
    | { readonly node: string }
    | { readonly pool: string }
    | { readonly name: Uint8Array };
  readonly weight: number;
  readonly dial: number;
  readonly tier: number;
  readonly isFence: boolean;
  readonly evaluateHealth: boolean;
}

export interface NodeInput {
  readonly name: string;
  readonly kind: keyof typeof NodeKind;
  readonly branches: readonly BranchInput[];
  readonly onAllUnhealthy: keyof typeof OnAllUnhealthy;
  readonly fallback?: BranchInput;
  readonly answers: number;
  readonly minHealthy: MinHealthy | undefined;
  /** Key of the classifier section, for kinds that look at the client. */
  readonly classifier?: bigint;
  readonly salt?: string;
  readonly stickyPrefix?: { readonly ipv4: number; readonly ipv6: number };
}

export interface PolicyInput {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly root: string;
  readonly nodes: readonly NodeInput[];
}

const PLAIN_NODE_WORDS = [
  [NodeWord.settings, 0],
  [NodeWord.minHealthy, 0],
  [NodeWord.salt, 0],
  [NodeWord.extra, 0],
] as const;
/** A target of another kind is found elsewhere. */
const PLAIN_BRANCH_WORDS = [
  [BranchWord.settings, 0xff],
  [BranchWord.weight, 0],
  [BranchWord.dial, 0],
] as const;

/** Writes the policies section: policies sorted by name, nodes by name with the root first. */
export function writePolicies(policies: readonly PolicyInput[]): WrittenSection {
  const writer = new PoliciesWriter();
  for (const policy of [...policies].sort((a, b) => compareText(a.name, b.name)))
    writer.add(policy);
  return writer.finish();
}

/**
 * The section that `writePolicies` would write with some policies set or removed: those of `before` are copied as words. Names that are
 * to be removed may be of no policy.
 */
export function patchPolicies(
  before: Section,
  set: readonly PolicyInput[],
  removed: readonly string[],
): WrittenSection {
  const nodeStart = (index: number): number =>
    before.words[
      before.wordBase(PoliciesTable.policies) + index * POLICY_WORDS + PolicyWord.nodeStart
    ]!;
  const nameAt = (index: number): string => {
    const at = before.wordBase(PoliciesTable.texts) + (index + nodeStart(index)) * 2;
    return before.text(before.words[at]!, before.words[at + 1]!);
  };
  const count = before.count(PoliciesTable.policies);
  if (removed.length === 0) {
    const changes = set.map((policy) =>
      policyChange(before, indexOfName(count, nameAt, policy.name), policy),
    );
    const changed = changes.every((change) => change !== undefined)
      ? changeEntries(before, changes)
      : undefined;
    if (changed !== undefined) return changed;
  }
  const writer = new PoliciesWriter(before, set);
  for (const step of patchSteps(count, nameAt, set, removed)) {
    if ("input" in step) writer.add(step.input);
    else for (let index = step.start; index < step.end; index++) writer.copy(index);
  }
  return writer.finish();
}

/** A policy alone, as it is at `index` of the section before and as it is to be. */
function policyChange(
  before: Section,
  index: number | undefined,
  policy: PolicyInput,
): EntryChange | undefined {
  if (index === undefined) return undefined;
  const row = before.wordBase(PoliciesTable.policies) + index * POLICY_WORDS;
  const node = before.words[row + PolicyWord.nodeStart]!;
  const [was, is] = [new PoliciesWriter(before), new PoliciesWriter()];
  was.copy(index);
  is.add(policy);
  const at = before.wordBase(PoliciesTable.nodes) + node * NODE_WORDS;
  return {
    was: was.finish(),
    is: is.finish(),
    rows: [
      { table: PoliciesTable.nodes, first: node, plain: PLAIN_NODE_WORDS },
      {
        table: PoliciesTable.branches,
        first: before.words[at + NodeWord.branchStart]!,
        plain: PLAIN_BRANCH_WORDS,
      },
    ],
  };
}

class PoliciesWriter {
  readonly #section = new SectionWriter(SectionKind.policies, key64("section/policies"));
  readonly #policies = new WordList();
  readonly #policyKeys = new KeyList();
  readonly #nodes = new WordList();
  readonly #latchKeys = new KeyList();
  readonly #branches = new WordList();
  readonly #branchKeys = new KeyList();
  readonly #texts = new WordList();
  readonly #before: Section | undefined;
  readonly #copied: TextCopy | undefined;
  /** By link of the section before: link here + 1. */
  readonly #links: Uint32Array = new Uint32Array(0);

  constructor(before?: Section, set: readonly PolicyInput[] = []) {
    this.#before = before;
    if (before === undefined) return;
    const texts = set.flatMap(({ name, nodes }) => [name, ...nodes.map((node) => node.name)]);
    this.#copied = new TextCopy(this.#section, before, texts);
    this.#links = new Uint32Array(before.count(SharedTable.links));
  }

  add(policy: PolicyInput): void {
    const index = this.#policyKeys.count;
    const nodeStart = this.#latchKeys.count;
    const ordered = [...policy.nodes].sort((a, b) =>
      a.name === policy.root ? -1 : b.name === policy.root ? 1 : compareText(a.name, b.name),
    );
    const indexOf = new Map(ordered.map((node, offset) => [node.name, nodeStart + offset]));
    for (const word of [nodeStart, nodeStart, ordered.length, 0]) this.#policies.push(word);
    this.#policyKeys.add(key64(`policy/${policy.name}`));
    this.#text(policy.name);
    for (const node of ordered) this.#node(policy.name, index, node, indexOf);
  }

  finish(): WrittenSection {
    const section = this.#section;
    const isPatch = this.#before !== undefined;
    section.table(PoliciesTable.policies, POLICY_WORDS * 4, wordsOf(this.#policies));
    section.table(PoliciesTable.policyKeys, 8, this.#policyKeys.finish("policy", isPatch));
    section.table(PoliciesTable.nodes, NODE_WORDS * 4, wordsOf(this.#nodes));
    section.table(PoliciesTable.latchKeys, 8, this.#latchKeys.finish("node", isPatch));
    section.table(PoliciesTable.branches, BRANCH_WORDS * 4, wordsOf(this.#branches));
    section.table(PoliciesTable.branchKeys, 8, this.#branchKeys.finish("branch", isPatch));
    // Texts: one (offset, length) pair a policy and then a node, in the order they were added.
    section.table(PoliciesTable.texts, 8, wordsOf(this.#texts));
    return section.finish();
  }

  /** Copies policy `from` of the section before. */
  copy(from: number): void {
    const before = this.#before;
    assert(before !== undefined, "there is a section to copy from");
    const { words } = before;
    const row = before.wordBase(PoliciesTable.policies) + from * POLICY_WORDS;
    const first = words[row + PolicyWord.nodeStart]!;
    const count = words[row + PolicyWord.nodeCount]!;
    const index = this.#policyKeys.count;
    const nodeStart = this.#latchKeys.count;
    this.#policies.push(nodeStart + words[row + PolicyWord.root]! - first);
    this.#policies.push(nodeStart);
    this.#policies.push(count);
    this.#policies.push(words[row + PolicyWord.clientLocation]!);
    this.#policyKeys.copy(before, PoliciesTable.policyKeys, from);
    this.#copyText(before, from + first);
    for (let node = first; node < first + count; node++) {
      this.#copyNode(before, node, index);
      this.#copyText(before, from + 1 + node);
      this.#copyBranches(before, node, nodeStart - first);
    }
  }

  #copyNode(before: Section, node: number, policy: number): void {
    const { words } = before;
    const from = before.wordBase(PoliciesTable.nodes) + node * NODE_WORDS;
    const to = this.#nodes.zeros(NODE_WORDS);
    const own = this.#nodes.words;
    for (let word = 0; word < NODE_WORDS; word++) own[to + word] = words[from + word]!;
    own[to + NodeWord.branchStart] = this.#branchKeys.count;
    own[to + NodeWord.policy] = policy;
    const classifier = words[from + NodeWord.classifier]!;
    if (classifier !== NO_LINK) own[to + NodeWord.classifier] = this.#copyLink(before, classifier);
    this.#latchKeys.copy(before, PoliciesTable.latchKeys, node);
  }

  /** `shift` is added to the indices of nodes. */
  #copyBranches(before: Section, node: number, shift: number): void {
    const { words } = before;
    const row = before.wordBase(PoliciesTable.nodes) + node * NODE_WORDS;
    const isLast = node + 1 === before.count(PoliciesTable.nodes);
    const end = isLast
      ? before.count(PoliciesTable.branches)
      : words[row + NODE_WORDS + NodeWord.branchStart]!;
    for (let branch = words[row + NodeWord.branchStart]!; branch < end; branch++)
      this.#copyBranch(before, branch, shift);
  }

  #copyBranch(before: Section, branch: number, shift: number): void {
    const { words, bytes } = before;
    const from = before.wordBase(PoliciesTable.branches) + branch * BRANCH_WORDS;
    const settings = words[from + BranchWord.settings]!;
    let target = words[from + BranchWord.target]!;
    if ((settings & 0xff) === BranchTarget.pool) target = this.#copyLink(before, target);
    else if ((settings & 0xff) === BranchTarget.name) {
      const start = before.table(SharedTable.heap).offset + target;
      target = this.#section.heapFrom(bytes, start, wireNameEnd(bytes, start));
    } else if (target !== NO_LINK) target += shift;
    this.#branches.push(settings);
    this.#branches.push(target);
    this.#branches.push(words[from + BranchWord.weight]!);
    this.#branches.push(words[from + BranchWord.dial]!);
    this.#branchKeys.copy(before, PoliciesTable.branchKeys, branch);
  }

  #copyLink(before: Section, link: number): number {
    const known = this.#links[link]!;
    if (known > 0) return known - 1;
    const own = this.#section.copyLink(before, link);
    this.#links[link] = own + 1;
    return own;
  }

  #copyText(before: Section, index: number): void {
    assert(this.#copied !== undefined, "there is a section to copy from");
    const at = before.wordBase(PoliciesTable.texts) + index * 2;
    const length = before.words[at + 1]!;
    this.#texts.push(this.#copied.copy(before.words[at]!, length));
    this.#texts.push(length);
  }

  #node(
    policy: string,
    policyIndex: number,
    node: NodeInput,
    indexOf: ReadonlyMap<string, number>,
  ): void {
    const branchStart = this.#branchKeys.count;
    const prefix = node.stickyPrefix ?? { ipv4: 24, ipv6: 56 };
    const tiers = node.branches.reduce((most, branch) => Math.max(most, branch.tier + 1), 0);
    const words = new Array<number>(NODE_WORDS).fill(0);
    words[NodeWord.settings] =
      (NodeKind[node.kind] | (OnAllUnhealthy[node.onAllUnhealthy] << 8) | (node.answers << 16)) >>>
      0;
    words[NodeWord.branchStart] = branchStart;
    words[NodeWord.branchCount] = node.branches.length;
    words[NodeWord.classifier] =
      node.classifier === undefined ? NO_LINK : this.#section.link(node.classifier);
    words[NodeWord.minHealthy] = encodeMinHealthy(node.minHealthy);
    words[NodeWord.salt] = saltOf(policy, node.salt ?? (node.kind === "sticky" ? "" : node.name));
    words[NodeWord.extra] = node.kind === "failover" ? tiers : prefix.ipv4 | (prefix.ipv6 << 8);
    words[NodeWord.policy] = policyIndex;
    for (const word of words) this.#nodes.push(word);
    this.#latchKeys.add(key64(`latch/${policy}/${node.name}`));
    this.#text(node.name);
    node.branches.forEach((branch, index) =>
      this.#branch(`branch/${policy}/${node.name}/${index}`, branch, indexOf),
    );
    if (node.fallback !== undefined)
      this.#branch(`branch/${policy}/${node.name}/fallback`, node.fallback, indexOf);
  }

  #branch(key: string, branch: BranchInput, indexOf: ReadonlyMap<string, number>): void {
    const flags =
      (branch.isFence ? BranchFlag.fence : 0) |
      (branch.evaluateHealth ? BranchFlag.evaluateHealth : 0);
    const target = this.#target(branch, indexOf);
    this.#branches.push((target.kind | (flags << 8) | (branch.tier << 16)) >>> 0);
    this.#branches.push(target.index);
    this.#branches.push(branch.weight);
    this.#branches.push(branch.dial);
    this.#branchKeys.add(key64(key));
  }

  #target(
    branch: BranchInput,
    indexOf: ReadonlyMap<string, number>,
  ): { kind: number; index: number } {
    const target = branch.target;
    if ("node" in target)
      return { kind: BranchTarget.node, index: indexOf.get(target.node) ?? NO_LINK };
    if ("pool" in target)
      return { kind: BranchTarget.pool, index: this.#section.link(key64(`pool/${target.pool}`)) };
    return { kind: BranchTarget.name, index: this.#section.heap(target.name) };
  }

  #text(text: string): void {
    const { offset, length } = this.#section.text(text);
    this.#texts.push(offset);
    this.#texts.push(length);
  }
}

function wordsOf({ words, length }: WordList): Uint32Array {
  return words.subarray(0, length);
}

function saltOf(policy: string, name: string): number {
  const bytes = Buffer.from(`${policy}/${name}`, "utf8");
  return hash32(bytes, 0, bytes.length, 0x5a17);
}
