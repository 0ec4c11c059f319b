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

/** 1 for each kind of node that is known. */
const KNOWN_KINDS: Uint8Array = new Uint8Array(256);
for (const kind of Object.values(NodeKind)) KNOWN_KINDS[kind] = 1;

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
  if (strides !== undefined) return strides;
  const rows = rowsOf(section);
  return (
    countError(section, rows) ??
    policyError(section, rows) ??
    nodeError(rows) ??
    branchError(section, rows) ??
    depthError(rows)
  );
}

/**
 * Where rows lie, and how many of each there are. The checks are functions over words: V8 drops the compiled code of an object's methods with the
 * last object of its kind, so that after each look through the heap they were interpreted for some revisions, 3 ms instead of 0.3.
 */
interface Rows {
  readonly words: Uint32Array;
  readonly nodeBase: number;
  readonly branchBase: number;
  readonly policies: number;
  readonly nodes: number;
  readonly branches: number;
  readonly links: number;
}

function rowsOf(section: Section): Rows {
  return {
    words: section.words,
    nodeBase: section.wordBase(PoliciesTable.nodes),
    branchBase: section.wordBase(PoliciesTable.branches),
    policies: section.count(PoliciesTable.policies),
    nodes: section.count(PoliciesTable.nodes),
    branches: section.count(PoliciesTable.branches),
    links: section.count(SharedTable.links),
  };
}

function countError(section: Section, { policies, nodes, branches }: Rows): string | undefined {
  for (const [table, wanted] of [
    [PoliciesTable.policyKeys, policies],
    [PoliciesTable.latchKeys, nodes],
    [PoliciesTable.branchKeys, branches],
    [PoliciesTable.texts, policies + nodes],
  ] as const) {
    const found = section.count(table);
    if (found !== wanted)
      return `Policies section has ${found} entries in table ${table}, expected ${wanted}`;
  }
  return undefined;
}

function policyError(section: Section, { words, policies, nodes }: Rows): string | undefined {
  let at = section.wordBase(PoliciesTable.policies);
  for (let policy = 0; policy < policies; policy++, at += POLICY_WORDS) {
    const root = words[at + PolicyWord.root]!;
    const start = words[at + PolicyWord.nodeStart]!;
    if (root >= nodes || start >= nodes)
      return `Policy ${policy} has root ${root} of nodes from ${start}, expected below ${nodes}`;
  }
  return undefined;
}

function nodeError(rows: Rows): string | undefined {
  const { words, nodes, branches, links, policies } = rows;
  let at = rows.nodeBase;
  for (let node = 0; node < nodes; node++, at += NODE_WORDS) {
    const settings = words[at + NodeWord.settings]!;
    if (KNOWN_KINDS[settings & 0xff] !== 1)
      return `Node ${node} is of kind ${settings & 0xff}, expected one that is known`;
    const answers = (settings >>> 16) & 0xff;
    if (answers > ANSWERS_MAX)
      return `Node ${node} has ${answers} answers, expected at most ${ANSWERS_MAX}`;
    const start = words[at + NodeWord.branchStart]!;
    const count = words[at + NodeWord.branchCount]!;
    if (count > CANDIDATES_MAX || start + count + fallbackOf(settings) > branches)
      return `Node ${node} has ${count} branches from ${start}, expected at most ${CANDIDATES_MAX} of ${branches}`;
    const link = words[at + NodeWord.classifier]!;
    const policy = words[at + NodeWord.policy]!;
    if ((link !== NO_LINK && link >= links) || policy >= policies)
      return `Node ${node} is of policy ${policy} with link ${link}, expected below ${policies} and ${links}`;
  }
  return undefined;
}

/** How many branches lie behind those that a node counts. */
function fallbackOf(settings: number): number {
  return ((settings >>> 8) & 0xff) === OnAllUnhealthy.fallback ? 1 : 0;
}

function branchError(section: Section, rows: Rows): string | undefined {
  const { words, nodes, branches, links } = rows;
  let at = rows.branchBase;
  for (let branch = 0; branch < branches; branch++, at += BRANCH_WORDS) {
    const target = words[at + BranchWord.target]!;
    const kind = words[at + BranchWord.settings]! & 0xff;
    const isKnown =
      kind === BranchTarget.node
        ? target < nodes
        : kind === BranchTarget.pool
          ? target < links
          : kind === BranchTarget.name && isNameInHeap(section, target);
    if (!isKnown)
      return `Branch ${branch} leads to ${target} of kind ${kind}, expected what the section holds`;
  }
  return undefined;
}

/** Selection goes down without looking back: no circle, and no deeper than its scratch space. */
function depthError(rows: Rows): string | undefined {
  // Nodes below and including each, 0 while it is not known.
  const depths = new Uint8Array(rows.nodes);
  for (let node = 0; node < rows.nodes; node++) {
    if (depthOf(rows, depths, node, 1) > DEPTH_MAX)
      return `Node ${node} is nested deeper than ${DEPTH_MAX}, or in itself`;
  }
  return undefined;
}

function depthOf(rows: Rows, depths: Uint8Array, node: number, level: number): number {
  const known = depths[node]!;
  if (known > 0) return known;
  if (level > DEPTH_MAX) return DEPTH_MAX + 1;
  const { words, nodeBase, branchBase } = rows;
  const at = nodeBase + node * NODE_WORDS;
  const count = words[at + NodeWord.branchCount]! + fallbackOf(words[at + NodeWord.settings]!);
  let branch = branchBase + words[at + NodeWord.branchStart]! * BRANCH_WORDS;
  const end = branch + count * BRANCH_WORDS;
  let depth = 1;
  for (; branch < end && depth <= DEPTH_MAX; branch += BRANCH_WORDS) {
    if ((words[branch + BranchWord.settings]! & 0xff) !== BranchTarget.node) continue;
    const below = depthOf(rows, depths, words[branch + BranchWord.target]!, level + 1);
    depth = Math.max(depth, below + 1);
  }
  if (depth <= DEPTH_MAX) depths[node] = depth;
  return depth;
}
