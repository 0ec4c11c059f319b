// SPDX-License-Identifier: Apache-2.0
import { hash32 } from "@meridian/core";
import { formatName } from "@meridian/dns";
import { KeyIndex } from "../key-index.ts";
import { keyRuns, type KeyRun } from "../key-runs.ts";
import { SharedTable, type Section } from "../section.ts";
import { AliasAddresses, type AliasLinks } from "./alias-addresses.ts";
import {
  BRANCH_WORDS,
  BranchWord,
  NODE_WORDS,
  NodeKind,
  NodeWord,
  POLICY_WORDS,
  PoliciesTable,
  PolicyWord,
} from "./policies-format.ts";

/** The policies section opened for reading, its links to pools resolved to pool indices (−1: no such pool in this snapshot). */
export class PolicyTable {
  readonly policyCount: number;
  readonly nodeCount: number;
  readonly branchCount: number;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly policyBase: number;
  readonly nodeBase: number;
  readonly branchBase: number;
  readonly heap: number;
  readonly section: Section;
  /** Pool index by link index; links that name classifiers are −1 here. */
  readonly poolOfLink: Int32Array;
  /** What the names of branches resolved to. */
  readonly resolved: AliasAddresses;
  readonly #policyKeys: KeyIndex;

  /** `aliases` as `resolveAliases()` makes them of `addresses`, `poolOfLink` as `poolsOfLinks()` does. */
  constructor(
    section: Section,
    poolOfLink: Int32Array,
    addresses: Section | undefined,
    aliases: AliasLinks,
  ) {
    this.section = section;
    this.words = section.words;
    this.bytes = section.bytes;
    this.policyCount = section.count(PoliciesTable.policies);
    this.nodeCount = section.count(PoliciesTable.nodes);
    this.branchCount = section.count(PoliciesTable.branches);
    this.policyBase = section.wordBase(PoliciesTable.policies);
    this.nodeBase = section.wordBase(PoliciesTable.nodes);
    this.branchBase = section.wordBase(PoliciesTable.branches);
    this.heap = section.table(SharedTable.heap).offset;
    this.resolved = new AliasAddresses(addresses, section, aliases);
    this.#policyKeys = new KeyIndex(section, PoliciesTable.policyKeys);
    this.poolOfLink = poolOfLink;
  }

  policyIndexOf(key: bigint): number {
    return this.#policyKeys.findKey(key);
  }

  /** Index of the policy with the key of these halves, or −1. */
  policyAt(low: number, high: number): number {
    return this.#policyKeys.find(low, high);
  }

  rootOf(policy: number): number {
    return this.words[this.policyBase + policy * POLICY_WORDS + PolicyWord.root]!;
  }

  nodeWord(node: number, word: number): number {
    return this.words[this.nodeBase + node * NODE_WORDS + word]!;
  }

  branchWord(branch: number, word: number): number {
    return this.words[this.branchBase + branch * BRANCH_WORDS + word]!;
  }

  kindOf(node: number): number {
    return this.nodeWord(node, NodeWord.settings) & 0xff;
  }

  isFailover(node: number): boolean {
    return this.kindOf(node) === NodeKind.failover;
  }

  tierOf(branch: number): number {
    return this.branchWord(branch, BranchWord.settings) >>> 16;
  }

  policyName(policy: number): string {
    const start = this.words[this.policyBase + policy * POLICY_WORDS + PolicyWord.nodeStart]!;
    return this.#text(start + policy);
  }

  /** Index of the policy that a node belongs to. */
  policyOf(node: number): number {
    return this.nodeWord(node, NodeWord.policy);
  }

  nodeName(node: number): string {
    return this.#text(node + this.nodeWord(node, NodeWord.policy) + 1);
  }

  /** Hash of the wire name at a heap offset, as a branch's target has it. */
  nameHash(offset: number): number {
    let end = this.heap + offset;
    while (this.bytes[end]! !== 0) end += this.bytes[end]! + 1;
    return hash32(this.bytes, this.heap + offset, end, 0);
  }

  /** Presentation form of the wire name at a heap offset, as a branch's target has it. */
  nameAt(offset: number): string {
    return formatName(this.bytes, this.heap + offset);
  }

  /** The same for an offset into `bytes`, as the selector's alias has it. */
  nameAtByte(offset: number): string {
    return formatName(this.bytes, offset);
  }

  branchKeyAt(branch: number): bigint {
    return this.section.keyAt(PoliciesTable.branchKeys, branch);
  }

  latchKeyAt(node: number): bigint {
    return this.section.keyAt(PoliciesTable.latchKeys, node);
  }

  #text(index: number): string {
    const base = this.section.wordBase(PoliciesTable.texts) + index * 2;
    return this.section.text(this.words[base]!, this.words[base + 1]!);
  }
}

/** Of a link that is not looked up yet. */
const UNKNOWN_POOL = -2;

/** What links of the policies section led to in the snapshot before. */
export interface PoolsBefore {
  readonly section: Section;
  readonly poolOfLink: Int32Array;
  /** Where its pools are now; undefined where all are where they were and there are no others. */
  readonly moves: Int32Array | undefined;
}

/** Pool index by link index of a policies section, −1 where the link names no pool. In shared memory. `poolAt` finds a key by halves. */
export function poolsOfLinks(
  section: Section,
  poolAt: (low: number, high: number) => number,
  before?: PoolsBefore,
): Int32Array {
  const { words } = section;
  const pools = new Int32Array(new SharedArrayBuffer(section.count(SharedTable.links) * 4));
  pools.fill(UNKNOWN_POOL);
  // In runs: 50,000 links take next to no time instead of 1.2 ms, and 2 instead of 6 before V8 has compiled this.
  if (before !== undefined)
    for (const run of keyRuns(before.section, section, SharedTable.links))
      carryPools(before, run, pools);
  // By halves: with a bigint a key, loading 30,000 pools and 500,000 names took 21.0 ms, not 17.1 (least of 12, median of 5 runs).
  const keys = section.wordBase(SharedTable.links);
  for (let link = pools.indexOf(UNKNOWN_POOL); link >= 0;) {
    pools[link] = poolAt(words[keys + link * 2]!, words[keys + link * 2 + 1]!);
    link = pools.indexOf(UNKNOWN_POOL, link + 1);
  }
  return pools;
}

/** Fills in where the pools are that links of before led to; a link that led to none may lead to one now. */
function carryPools(
  { poolOfLink, moves }: PoolsBefore,
  { from, to, length }: KeyRun,
  pools: Int32Array,
): void {
  if (moves === undefined) {
    pools.set(poolOfLink.subarray(from, from + length), to);
    return;
  }
  for (let at = 0; at < length; at++) {
    const pool = poolOfLink[from + at]!;
    if (pool >= 0) pools[to + at] = moves[pool]!;
  }
}
