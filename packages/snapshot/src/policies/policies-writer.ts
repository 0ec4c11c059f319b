// SPDX-License-Identifier: Apache-2.0
import { hash32, key64 } from "@meridian/core";
import { compareText, refuseCollisions } from "../pools/pools-writer.ts";
import { encodeMinHealthy, type MinHealthy } from "../pools/pools-format.ts";
import { SectionKind } from "../section.ts";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import {
  BRANCH_WORDS,
  BranchFlag,
  BranchTarget,
  NODE_WORDS,
  NO_LINK,
  NodeKind,
  NodeWord,
  OnAllUnhealthy,
  POLICY_WORDS,
  PoliciesTable,
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

/** Writes the policies section: policies sorted by name, nodes by name with the root first. */
export function writePolicies(policies: readonly PolicyInput[]): WrittenSection {
  const writer = new PoliciesWriter();
  for (const policy of [...policies].sort((a, b) => compareText(a.name, b.name)))
    writer.add(policy);
  return writer.finish();
}

class PoliciesWriter {
  readonly #section = new SectionWriter(SectionKind.policies, key64("section/policies"));
  readonly #policies: number[] = [];
  readonly #policyKeys: bigint[] = [];
  readonly #nodes: number[] = [];
  readonly #latchKeys: bigint[] = [];
  readonly #branches: number[] = [];
  readonly #branchKeys: bigint[] = [];
  readonly #texts: number[] = [];

  add(policy: PolicyInput): void {
    const index = this.#policyKeys.length;
    const nodeStart = this.#latchKeys.length;
    const ordered = [...policy.nodes].sort((a, b) =>
      a.name === policy.root ? -1 : b.name === policy.root ? 1 : compareText(a.name, b.name),
    );
    const indexOf = new Map(ordered.map((node, offset) => [node.name, nodeStart + offset]));
    this.#policies.push(nodeStart, nodeStart, ordered.length, 0);
    this.#policyKeys.push(key64(`policy/${policy.name}`));
    this.#text(policy.name);
    for (const node of ordered) this.#node(policy.name, index, node, indexOf);
  }

  finish(): WrittenSection {
    const section = this.#section;
    const policyKeys = BigUint64Array.from(this.#policyKeys);
    const branchKeys = BigUint64Array.from(this.#branchKeys);
    const latchKeys = BigUint64Array.from(this.#latchKeys);
    refuseCollisions(policyKeys, "policy");
    refuseCollisions(branchKeys, "branch");
    refuseCollisions(latchKeys, "node");
    section.table(PoliciesTable.policies, POLICY_WORDS * 4, Uint32Array.from(this.#policies));
    section.table(PoliciesTable.policyKeys, 8, policyKeys);
    section.table(PoliciesTable.nodes, NODE_WORDS * 4, Uint32Array.from(this.#nodes));
    section.table(PoliciesTable.latchKeys, 8, latchKeys);
    section.table(PoliciesTable.branches, BRANCH_WORDS * 4, Uint32Array.from(this.#branches));
    section.table(PoliciesTable.branchKeys, 8, branchKeys);
    // Texts: one (offset, length) pair a policy and then a node, in the order they were added.
    section.table(PoliciesTable.texts, 8, Uint32Array.from(this.#texts));
    return section.finish();
  }

  #node(
    policy: string,
    policyIndex: number,
    node: NodeInput,
    indexOf: ReadonlyMap<string, number>,
  ): void {
    const branchStart = this.#branchKeys.length;
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
    this.#nodes.push(...words);
    this.#latchKeys.push(key64(`latch/${policy}/${node.name}`));
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
    this.#branches.push(
      (target.kind | (flags << 8) | (branch.tier << 16)) >>> 0,
      target.index,
      branch.weight,
      branch.dial,
    );
    this.#branchKeys.push(key64(key));
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
    this.#texts.push(offset, length);
  }
}

function saltOf(policy: string, name: string): number {
  const bytes = Buffer.from(`${policy}/${name}`, "utf8");
  return hash32(bytes, 0, bytes.length, 0x5a17);
}
