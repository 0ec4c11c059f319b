// SPDX-License-Identifier: Apache-2.0
import { SharedTable, type Section } from "../section.ts";
import { isNameInHeap, strideError } from "../section-check.ts";
import {
  ANSWERS_MAX,
  BRANCH_WORDS,
  BranchTarget,
  BranchWord,
  CANDIDATES_MAX,
  DEPTH_MAX,
  NODE_WORDS,
  NO_LINK,
  NodeKind,
  NodeWord,
  OnAllUnhealthy,
  POLICY_WORDS,
  PoliciesTable,
  PolicyWord,
} from "./policies-format.ts";

const knownKinds: ReadonlySet<number> = new Set(Object.values(NodeKind));

/** Why the policies section cannot be served, or undefined. */
export function policiesError(section: Section): string | undefined {
  const strides = strideError(section, "Policies", {
    [PoliciesTable.policies]: POLICY_WORDS * 4,
    [PoliciesTable.policyKeys]: 8,
    [PoliciesTable.nodes]: NODE_WORDS * 4,
    [PoliciesTable.latchKeys]: 8,
    [PoliciesTable.branches]: BRANCH_WORDS * 4,
    [PoliciesTable.branchKeys]: 8,
    [PoliciesTable.texts]: 8,
  });
  return strides ?? new PoliciesCheck(section).error();
}

class PoliciesCheck {
  readonly #section: Section;
  readonly #policies: number;
  readonly #nodes: number;
  readonly #branches: number;
  /** Nodes below and including each, 0 while it is not known. */
  readonly #depths: Uint8Array;
  // Where tables begin: looked up for each word they are half of the whole check.
  readonly #words: Uint32Array;
  readonly #nodeBase: number;
  readonly #branchBase: number;

  constructor(section: Section) {
    this.#section = section;
    this.#words = section.words;
    this.#nodeBase = section.wordBase(PoliciesTable.nodes);
    this.#branchBase = section.wordBase(PoliciesTable.branches);
    this.#policies = section.count(PoliciesTable.policies);
    this.#nodes = section.count(PoliciesTable.nodes);
    this.#branches = section.count(PoliciesTable.branches);
    this.#depths = new Uint8Array(this.#nodes);
  }

  error(): string | undefined {
    for (const [table, wanted] of [
      [PoliciesTable.policyKeys, this.#policies],
      [PoliciesTable.latchKeys, this.#nodes],
      [PoliciesTable.branchKeys, this.#branches],
      [PoliciesTable.texts, this.#policies + this.#nodes],
    ] as const) {
      const found = this.#section.count(table);
      if (found !== wanted)
        return `Policies section has ${found} entries in table ${table}, expected ${wanted}`;
    }
    return this.#policyError() ?? this.#nodeError() ?? this.#branchError() ?? this.#depthError();
  }

  #policyError(): string | undefined {
    const base = this.#section.wordBase(PoliciesTable.policies);
    for (let policy = 0; policy < this.#policies; policy++) {
      const at = base + policy * POLICY_WORDS;
      const root = this.#section.words[at + PolicyWord.root] ?? 0;
      const start = this.#section.words[at + PolicyWord.nodeStart] ?? 0;
      if (root >= this.#nodes || start >= this.#nodes)
        return `Policy ${policy} has root ${root} of nodes from ${start}, expected below ${this.#nodes}`;
    }
    return undefined;
  }

  #nodeError(): string | undefined {
    const links = this.#section.count(SharedTable.links);
    for (let node = 0; node < this.#nodes; node++) {
      const settings = this.#nodeWord(node, NodeWord.settings);
      if (!knownKinds.has(settings & 0xff))
        return `Node ${node} is of kind ${settings & 0xff}, expected one that is known`;
      const answers = (settings >>> 16) & 0xff;
      if (answers > ANSWERS_MAX)
        return `Node ${node} has ${answers} answers, expected at most ${ANSWERS_MAX}`;
      const start = this.#nodeWord(node, NodeWord.branchStart);
      const count = this.#nodeWord(node, NodeWord.branchCount);
      const hasFallback = ((settings >>> 8) & 0xff) === OnAllUnhealthy.fallback;
      if (count > CANDIDATES_MAX || start + count + (hasFallback ? 1 : 0) > this.#branches)
        return `Node ${node} has ${count} branches from ${start}, expected at most ${CANDIDATES_MAX} of ${this.#branches}`;
      const link = this.#nodeWord(node, NodeWord.classifier);
      const policy = this.#nodeWord(node, NodeWord.policy);
      if ((link !== NO_LINK && link >= links) || policy >= this.#policies)
        return `Node ${node} is of policy ${policy} with link ${link}, expected below ${this.#policies} and ${links}`;
    }
    return undefined;
  }

  #branchError(): string | undefined {
    const links = this.#section.count(SharedTable.links);
    for (let branch = 0; branch < this.#branches; branch++) {
      const target = this.#branchWord(branch, BranchWord.target);
      const kind = this.#branchWord(branch, BranchWord.settings) & 0xff;
      const isKnown =
        kind === BranchTarget.node
          ? target < this.#nodes
          : kind === BranchTarget.pool
            ? target < links
            : kind === BranchTarget.name && isNameInHeap(this.#section, target);
      if (!isKnown)
        return `Branch ${branch} leads to ${target} of kind ${kind}, expected what the section holds`;
    }
    return undefined;
  }

  /** Selection goes down without looking back: no circle, and no deeper than its scratch space. */
  #depthError(): string | undefined {
    for (let node = 0; node < this.#nodes; node++) {
      if (this.#depthOf(node, 1) > DEPTH_MAX)
        return `Node ${node} is nested deeper than ${DEPTH_MAX}, or in itself`;
    }
    return undefined;
  }

  #depthOf(node: number, level: number): number {
    const known = this.#depths[node] ?? 0;
    if (known > 0) return known;
    if (level > DEPTH_MAX) return DEPTH_MAX + 1;
    let depth = 1;
    const start = this.#nodeWord(node, NodeWord.branchStart);
    const action = (this.#nodeWord(node, NodeWord.settings) >>> 8) & 0xff;
    const count =
      this.#nodeWord(node, NodeWord.branchCount) + (action === OnAllUnhealthy.fallback ? 1 : 0);
    for (let branch = start; branch < start + count && depth <= DEPTH_MAX; branch++) {
      if ((this.#branchWord(branch, BranchWord.settings) & 0xff) !== BranchTarget.node) continue;
      const below = this.#depthOf(this.#branchWord(branch, BranchWord.target), level + 1);
      depth = Math.max(depth, below + 1);
    }
    if (depth <= DEPTH_MAX) this.#depths[node] = depth;
    return depth;
  }

  #nodeWord(node: number, word: number): number {
    return this.#words[this.#nodeBase + node * NODE_WORDS + word] ?? 0;
  }

  #branchWord(branch: number, word: number): number {
    return this.#words[this.#branchBase + branch * BRANCH_WORDS + word] ?? 0;
  }
}
