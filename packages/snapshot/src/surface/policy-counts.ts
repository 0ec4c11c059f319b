// SPDX-License-Identifier: Apache-2.0
import { key64 } from "@meridian/core";
import {
  BranchTarget,
  BranchWord,
  NODE_AUDIENCES_MAX,
  NodeWord,
  SelectionLayout,
  nodeKindName,
  type World,
} from "../index.ts";
import type { EdgeFigures } from "./edge-figures.ts";

/** Answers that came through one branch. */
export interface BranchCount {
  readonly index: number;
  /** `node/NAME`, `pool/NAMESPACE/NAME` or `name/HOST`. */
  readonly target: string;
  readonly answers: number;
}

/** Queries of the clients whom a node treats alike. */
export interface AudienceCount {
  readonly audience: number;
  /** Branch indices, best first; empty where nobody serves them. */
  readonly branches: readonly number[];
  readonly queries: number;
}

/** What passed through one node of a policy. */
export interface NodeCount {
  readonly node: string;
  readonly kind: string;
  readonly answers: number;
  /** The branches in order; a fallback is the last one. */
  readonly branches: readonly BranchCount[];
  /** Only nodes that look at where a client is have audiences; those beyond NODE_AUDIENCES_MAX count in the last. */
  readonly audiences: readonly AudienceCount[];
}

/** Counts of a policy (`NAMESPACE/NAME`) by node, branch and audience; undefined where the served world has no such policy. */
export function policyCounts(
  world: World,
  figures: Pick<EdgeFigures, "nodes" | "branches" | "audiences">,
  policy: string,
): NodeCount[] | undefined {
  const { policies } = world;
  const index = policies.policyIndexOf(key64(`policy/${policy}`));
  if (index < 0) return undefined;
  const layout = new SelectionLayout(world);
  const nodes = Array.from({ length: policies.nodeCount }, (_, node) => node);
  return nodes
    .filter((node) => policies.policyOf(node) === index)
    .map((node) => ({
      node: policies.nodeName(node),
      kind: nodeKindName[policies.kindOf(node)] ?? "",
      answers: figures.nodes[node] ?? 0,
      branches: branchesOf(world, node).map((branch, place) => ({
        index: place,
        target: targetText(world, branch),
        answers: figures.branches[branch] ?? 0,
      })),
      audiences: audiencesOf(world, layout, figures.audiences, node),
    }));
}

/** Indices of a node's branches: up to where those of the next node start. */
export function branchesOf({ policies }: World, node: number): number[] {
  const start = policies.nodeWord(node, NodeWord.branchStart);
  const end =
    node + 1 < policies.nodeCount
      ? policies.nodeWord(node + 1, NodeWord.branchStart)
      : policies.branchCount;
  return Array.from({ length: end - start }, (_, place) => start + place);
}

function targetText({ policies, pools }: World, branch: number): string {
  const target = policies.branchWord(branch, BranchWord.target);
  switch (policies.branchWord(branch, BranchWord.settings) & 0xff) {
    case BranchTarget.node:
      return `node/${policies.nodeName(target)}`;
    case BranchTarget.pool: {
      const pool = policies.poolOfLink[target] ?? -1;
      return pool < 0 ? "pool/?" : `pool/${pools.poolName(pool)}`;
    }
    default:
      return `name/${policies.nameAt(target)}`;
  }
}

function audiencesOf(
  world: World,
  layout: SelectionLayout,
  queries: Float64Array,
  node: number,
): AudienceCount[] {
  const link = world.policies.nodeWord(node, NodeWord.classifier);
  const classifier = world.classifiers[world.classifierOfLink[link] ?? -1];
  const start = layout.audienceStarts[node] ?? 0;
  const count = Math.min((layout.audienceStarts[node + 1] ?? 0) - start, NODE_AUDIENCES_MAX);
  if (classifier === undefined) return [];
  return Array.from({ length: count }, (_, audience) => {
    const first = classifier.orderStart(audience);
    return {
      audience,
      branches: [...classifier.orders.subarray(first, first + classifier.orderCount(audience))],
      queries: queries[start + audience] ?? 0,
    };
  });
}
