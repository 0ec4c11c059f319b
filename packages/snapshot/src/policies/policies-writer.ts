// SPDX-License-Identifier: Apache-2.0
import { assert, hash32, key64, keyHigh, keyLow, WordList } from "@meridian/core";
import { KeyList } from "../key-list.ts";
import { encodeMinHealthy, type MinHealthy } from "../pools/pools-format.ts";
import { compareText, indexOfName, patchSteps, TextCopy, wireNameEnd } from "../section-patch.ts";
import { changeEntries, type EntryChange } from "../section-rows.ts";
import { SectionKind, SharedTable, type Section } from "../section.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { SpareCopy } from "../spare-copy.ts";
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

/** Of those that are added: most changes have few. */
const ENTRIES_EXPECTED = 64;
/** Of so many links each is looked for among all that are there, 20 µs of 30,000. */
const SOUGHT_MAX = 64;
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
 * to be removed may be of no policy. `spare` may have a copy of `before`.
 */
export function patchPolicies(
  before: Section,
  set: readonly PolicyInput[],
  removed: readonly string[],
  spare: SpareCopy = new SpareCopy(),
): WrittenSection {
  const nameAt = (index: number): string => {
    const text = index + nodeStartOf(before, index);
    const at = before.wordBase(PoliciesTable.texts) + text * 2;
    return before.text(before.words[at]!, before.words[at + 1]!);
  };
  const count = before.count(PoliciesTable.policies);
  if (removed.length === 0) {
    const changes = set.map((policy) =>
      policyChange(before, indexOfName(count, nameAt, policy.name), policy),
    );
    const changed = changes.every((change) => change !== undefined)
      ? changeEntries(before, changes, spare)
      : undefined;
    if (changed !== undefined) return changed;
  }
  const writer = new PoliciesWriter(before, set, true);
  for (const step of patchSteps(count, nameAt, set, removed)) {
    if ("input" in step) writer.add(step.input);
    else writer.copy(step.start, step.end);
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
  const node = nodeStartOf(before, index);
  const [was, is] = [new PoliciesWriter(before), new PoliciesWriter()];
  was.copy(index, index + 1);
  is.add(policy);
  return {
    was: was.finish(),
    is: is.finish(),
    rows: [
      { table: PoliciesTable.nodes, first: node, plain: PLAIN_NODE_WORDS },
      {
        table: PoliciesTable.branches,
        first: branchStartOf(before, node),
        plain: PLAIN_BRANCH_WORDS,
      },
    ],
  };
}

class PoliciesWriter {
  readonly #section = new SectionWriter(SectionKind.policies, key64("section/policies"));
  readonly #policies: WordList;
  readonly #policyKeys: KeyList;
  readonly #nodes: WordList;
  readonly #latchKeys: KeyList;
  readonly #branches: WordList;
  readonly #branchKeys: KeyList;
  readonly #texts: WordList;
  readonly #before: Section | undefined;
  readonly #copied: TextCopy | undefined;
  /** By link of the section before: link here + 1. */
  readonly #links: Uint32Array = new Uint32Array(0);
  /** Links that are written are looked for in the section before, so that those that are copied need not be looked for: of 30,000 that is 2 ms. */
  readonly #isSought: boolean;

  /** `isWhole`: most of `before` will be copied. */
  constructor(before?: Section, set: readonly PolicyInput[] = [], isWhole = false) {
    const count = (table: number): number =>
      before === undefined || !isWhole ? ENTRIES_EXPECTED : before.count(table) + ENTRIES_EXPECTED;
    this.#policies = new WordList(count(PoliciesTable.policies) * POLICY_WORDS);
    this.#policyKeys = new KeyList(count(PoliciesTable.policies));
    this.#nodes = new WordList(count(PoliciesTable.nodes) * NODE_WORDS);
    this.#latchKeys = new KeyList(count(PoliciesTable.nodes));
    this.#branches = new WordList(count(PoliciesTable.branches) * BRANCH_WORDS);
    this.#branchKeys = new KeyList(count(PoliciesTable.branches));
    this.#texts = new WordList(count(PoliciesTable.texts) * 2);
    this.#before = before;
    this.#isSought = isWhole && linkCountOf(set) <= SOUGHT_MAX;
    if (before === undefined) return;
    const texts = set.flatMap(({ name, nodes }) => [name, ...nodes.map((node) => node.name)]);
    this.#copied = new TextCopy(this.#section, before, { others: texts, isWhole });
    this.#links = new Uint32Array(before.count(SharedTable.links));
    if (!isWhole) return;
    this.#section.expect(before);
    if (!this.#isSought) this.#section.expectLinks(before.count(SharedTable.links));
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

  /** Copies the policies from `start` up to `end` of the section before: their rows at once, then what in them is elsewhere now. */
  copy(start: number, end: number): void {
    const before = this.#before;
    assert(before !== undefined, "there is a section to copy from");
    const nodes = rowRange(before, PoliciesTable.policies, PoliciesTable.nodes, start, end);
    const branches = rowRange(before, PoliciesTable.nodes, PoliciesTable.branches, ...nodes);
    const shifts = {
      policy: this.#policyKeys.count - start,
      node: this.#latchKeys.count - nodes[0],
      branch: this.#branchKeys.count - branches[0],
    };
    const rows = {
      policies: appendRows(this.#policies, before, PoliciesTable.policies, start, end),
      nodes: appendRows(this.#nodes, before, PoliciesTable.nodes, ...nodes),
      branches: appendRows(this.#branches, before, PoliciesTable.branches, ...branches),
    };
    this.#policyKeys.copy(before, PoliciesTable.policyKeys, start, end);
    this.#latchKeys.copy(before, PoliciesTable.latchKeys, ...nodes);
    this.#branchKeys.copy(before, PoliciesTable.branchKeys, ...branches);
    // Texts, links and names in the order in which a policy after the other gives them.
    let [node, branch] = [nodes[0], branches[0]];
    const own = this.#policies.words;
    for (let policy = start; policy < end; policy++) {
      const row = rows.policies + (policy - start) * POLICY_WORDS;
      own[row + PolicyWord.root] = own[row + PolicyWord.root]! + shifts.node;
      own[row + PolicyWord.nodeStart] = own[row + PolicyWord.nodeStart]! + shifts.node;
      this.#copyText(before, policy + node);
      for (const last = node + own[row + PolicyWord.nodeCount]!; node < last; node++) {
        const next = node + 1 < nodes[1] ? branchStartOf(before, node + 1) : branches[1];
        this.#moveNode(before, rows.nodes + (node - nodes[0]) * NODE_WORDS, shifts);
        this.#copyText(before, policy + 1 + node);
        for (; branch < next; branch++)
          this.#moveBranch(before, rows.branches + (branch - branches[0]) * BRANCH_WORDS, shifts);
      }
    }
  }

  /** Has the copied row of a node name what is where it is now. */
  #moveNode(before: Section, row: number, { policy, branch }: RowShifts): void {
    const own = this.#nodes.words;
    own[row + NodeWord.branchStart] = own[row + NodeWord.branchStart]! + branch;
    own[row + NodeWord.policy] = own[row + NodeWord.policy]! + policy;
    const classifier = own[row + NodeWord.classifier]!;
    if (classifier !== NO_LINK) own[row + NodeWord.classifier] = this.#copyLink(before, classifier);
  }

  /** The same of a branch. */
  #moveBranch(before: Section, row: number, { node }: RowShifts): void {
    const own = this.#branches.words;
    const kind = own[row + BranchWord.settings]! & 0xff;
    const target = own[row + BranchWord.target]!;
    if (kind === BranchTarget.pool) own[row + BranchWord.target] = this.#copyLink(before, target);
    else if (kind === BranchTarget.name) {
      const start = before.table(SharedTable.heap).offset + target;
      const end = wireNameEnd(before.bytes, start);
      own[row + BranchWord.target] = this.#section.heapFrom(before.bytes, start, end);
    } else if (target !== NO_LINK) own[row + BranchWord.target] = target + node;
  }

  #copyLink(before: Section, link: number): number {
    const known = this.#links[link]!;
    if (known > 0) return known - 1;
    const section = this.#section;
    const own = this.#isSought ? section.appendLink(before, link) : section.copyLink(before, link);
    this.#links[link] = own + 1;
    return own;
  }

  #link(key: bigint): number {
    const before = this.#isSought ? this.#before : undefined;
    const there = before === undefined ? -1 : linkIn(before, key);
    return before === undefined || there < 0
      ? this.#section.link(key)
      : this.#copyLink(before, there);
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
      node.classifier === undefined ? NO_LINK : this.#link(node.classifier);
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
      return { kind: BranchTarget.pool, index: this.#link(key64(`pool/${target.pool}`)) };
    return { kind: BranchTarget.name, index: this.#section.heap(target.name) };
  }

  #text(text: string): void {
    const { offset, length } = this.#section.text(text);
    this.#texts.push(offset);
    this.#texts.push(length);
  }
}

/** By how much rows of a run lie further on than in the section before. */
interface RowShifts {
  readonly policy: number;
  readonly node: number;
  readonly branch: number;
}

/** The rows of `table` that the entries from `start` up to `end` of `parents` have: entries take them one after the other. */
function rowRange(
  before: Section,
  parents: typeof PoliciesTable.policies | typeof PoliciesTable.nodes,
  table: number,
  start: number,
  end: number,
): [number, number] {
  const firstOf = (parent: number): number => {
    if (parent >= before.count(parents)) return before.count(table);
    return parents === PoliciesTable.policies
      ? nodeStartOf(before, parent)
      : branchStartOf(before, parent);
  };
  return [firstOf(start), firstOf(end)];
}

/** As many links as policies can have at most. */
function linkCountOf(policies: readonly PolicyInput[]): number {
  // Of a node: a classifier, what its branches lead to, and a fallback.
  const ofNode = ({ branches }: NodeInput): number => branches.length + 2;
  return policies.flatMap(({ nodes }) => nodes).reduce((sum, node) => sum + ofNode(node), 0);
}

/** The number of a link of a section, −1 where it has none of that key. */
function linkIn(section: Section, key: bigint): number {
  const [low, high] = [keyLow(key), keyHigh(key)];
  const { words } = section;
  const base = section.wordBase(SharedTable.links);
  const count = section.count(SharedTable.links);
  for (let link = 0, at = base; link < count; link++, at += 2)
    if (words[at] === low && words[at + 1] === high) return link;
  return -1;
}

function nodeStartOf(section: Section, policy: number): number {
  const row = section.wordBase(PoliciesTable.policies) + policy * POLICY_WORDS;
  return section.words[row + PolicyWord.nodeStart]!;
}

function branchStartOf(section: Section, node: number): number {
  const row = section.wordBase(PoliciesTable.nodes) + node * NODE_WORDS;
  return section.words[row + NodeWord.branchStart]!;
}

/** Returns the word at which they begin. */
function appendRows(
  to: WordList,
  from: Section,
  table: number,
  start: number,
  end: number,
): number {
  const words = from.table(table).stride / 4;
  const base = from.wordBase(table);
  return to.append(from.words, base + start * words, base + end * words);
}

function wordsOf({ words, length }: WordList): Uint32Array {
  return words.subarray(0, length);
}

function saltOf(policy: string, name: string): number {
  const bytes = Buffer.from(`${policy}/${name}`, "utf8");
  return hash32(bytes, 0, bytes.length, 0x5a17);
}
