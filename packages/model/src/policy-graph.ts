// SPDX-License-Identifier: Apache-2.0
// A policy read as a graph: nodes, the branches of each whatever their kind, and what is reached.
import {
  type BranchSpec,
  type NodeKind,
  nodeKinds,
  type NodeSpec,
  type TrafficPolicySpec,
} from "./kinds/traffic-policy.ts";
import type { Path } from "./problem.ts";

/** A branch and where it stands within its node. */
export interface PlacedBranch {
  readonly branch: BranchSpec;
  /** Its place in the order of all branches of the node: `INDEX` of its key. */
  readonly index: number;
  /** The tier it belongs to, 0 but under `failover`. */
  readonly tier: number;
  /** From the node, as in `failover.tiers[0].branches[1]`. */
  readonly path: Path;
}

/** The kind of a node. */
export function nodeKindOf(node: NodeSpec): NodeKind {
  return nodeKinds.find((kind) => node[kind] !== undefined) ?? "weighted";
}

/** All branches of a node, in order; the tiers of `failover` one after the other. */
export function branchesOf(node: NodeSpec): PlacedBranch[] {
  const kind = nodeKindOf(node);
  if (kind !== "failover") {
    return (node[kind]?.branches ?? []).map((branch, index) => ({
      branch,
      index,
      tier: 0,
      path: [kind, "branches", index],
    }));
  }
  const tiers = node.failover?.tiers ?? [];
  const placed = tiers.flatMap(({ branches }, tier) =>
    branches.map((branch, index) => ({
      branch,
      tier,
      path: ["failover", "tiers", tier, "branches", index],
    })),
  );
  return placed.map((each, index) => ({ ...each, index }));
}

/** What a node does when nothing of it is healthy: as it says, else `open` at the root and `parent` below. */
export function backoutOf(
  spec: TrafficPolicySpec,
  nodeName: string,
): NonNullable<NodeSpec["onAllUnhealthy"]> {
  const own = spec.nodes[nodeName]?.onAllUnhealthy;
  return own ?? (nodeName === spec.root ? "open" : "parent");
}

/** The names of the nodes that are reached from the root, the root first. */
export function reachableNodes(spec: TrafficPolicySpec): Set<string> {
  const reached = new Set<string>();
  const waiting = [spec.root];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = spec.nodes[name];
    if (node === undefined || reached.has(name)) continue;
    reached.add(name);
    for (const { branch } of branchesOf(node)) {
      if (branch.node !== undefined) waiting.push(branch.node);
    }
  }
  return reached;
}

/** The names of the pools that clients of a policy may be sent to, fallbacks included. */
export function reachablePools(spec: TrafficPolicySpec): Set<string> {
  const pools = new Set<string>();
  for (const name of reachableNodes(spec)) {
    const node = spec.nodes[name];
    if (node === undefined) continue;
    for (const { branch } of branchesOf(node)) {
      if (branch.pool !== undefined) pools.add(branch.pool);
    }
    if (node.fallback?.pool !== undefined) pools.add(node.fallback.pool);
  }
  return pools;
}

/** The first way found that leads back to where it began, as `[a, b, a]`. */
export function findCycle(
  names: Iterable<string>,
  next: (name: string) => Iterable<string>,
): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const onPath = new Set<string>();
  for (const start of names) {
    const waiting = [{ name: start, rest: undefined as Iterator<string> | undefined }];
    for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
      if (top.rest === undefined) {
        if (onPath.has(top.name)) return [...path.slice(path.indexOf(top.name)), top.name];
        if (done.has(top.name)) {
          waiting.pop();
          continue;
        }
        top.rest = next(top.name)[Symbol.iterator]();
        path.push(top.name);
        onPath.add(top.name);
      }
      const step = top.rest.next();
      if (step.done !== true) {
        waiting.push({ name: step.value, rest: undefined });
        continue;
      }
      waiting.pop();
      path.pop();
      onPath.delete(top.name);
      done.add(top.name);
    }
  }
  return undefined;
}

/** The longest chain of nodes from the root; the graph must have no cycle. */
export function longestChain(spec: TrafficPolicySpec): string[] {
  const chains = new Map<string, string[]>();
  const chainOf = (name: string): string[] => {
    const known = chains.get(name);
    if (known !== undefined) return known;
    const node = spec.nodes[name];
    let longest: string[] = [];
    for (const { branch } of node === undefined ? [] : branchesOf(node)) {
      const chain = branch.node === undefined ? [] : chainOf(branch.node);
      if (chain.length > longest.length) longest = chain;
    }
    const chain = node === undefined ? [] : [name, ...longest];
    chains.set(name, chain);
    return chain;
  };
  return chainOf(spec.root);
}

/** Number of ways from the root to a leaf; shared children count once a way. The policy has no cycle. */
export function pathCount(spec: TrafficPolicySpec): number {
  const counts = new Map<string, number>();
  const countOf = (name: string): number => {
    const known = counts.get(name);
    if (known !== undefined) return known;
    const node = spec.nodes[name];
    const count = (node === undefined ? [] : branchesOf(node)).reduce(
      (sum, { branch }) => sum + (branch.node === undefined ? 1 : countOf(branch.node)),
      0,
    );
    counts.set(name, count);
    return count;
  };
  return countOf(spec.root);
}

/** `a → b → a`; of a long chain the beginning and the end. */
export function formatChain(chain: readonly string[]): string {
  const shown = chain.length <= 20 ? chain : [...chain.slice(0, 17), "…", ...chain.slice(-2)];
  return shown.join(" → ");
}
