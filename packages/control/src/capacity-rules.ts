// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import { defaultCapacityRule, type CapacityRule } from "@meridian/health";
import { indexKey, type Model, type NodeSpec } from "@meridian/model";

/** How load becomes a capacity factor, for every endpoint whose pool reads load: the rule of the `capacity` node above it, or the default. */
export function capacityRules(model: Pick<Model, "pools" | "policies">): Map<string, CapacityRule> {
  const ofPool = new Map<string, CapacityRule>();
  for (const { metadata, spec } of model.policies.values()) {
    for (const node of Object.values(spec.nodes)) {
      if (node.capacity === undefined) continue;
      const rule = ruleOf(node.capacity);
      for (const pool of poolsBelow(spec.nodes, node.capacity.branches))
        ofPool.set(indexKey(metadata.namespace, pool), rule);
    }
  }
  const rules = new Map<string, CapacityRule>();
  for (const [name, pool] of model.pools) {
    if (pool.document.spec.load === undefined) continue;
    for (const member of pool.members.values())
      rules.set(member.key, ofPool.get(name) ?? defaultCapacityRule);
  }
  return rules;
}

function ruleOf(spec: NonNullable<NodeSpec["capacity"]>): CapacityRule {
  return {
    halfLifeMs: parseDuration(spec.halfLife) ?? defaultCapacityRule.halfLifeMs,
    lowWatermark: spec.lowWatermark ?? defaultCapacityRule.lowWatermark,
    highWatermark: spec.highWatermark ?? defaultCapacityRule.highWatermark,
    maxStep: Math.max(1, Math.round(spec.maxStep * 1000)),
    onNoData: spec.onNoData,
    staleAfterMs: parseDuration(spec.staleAfter) ?? defaultCapacityRule.staleAfterMs,
  };
}

/** Pools that branches lead to, through nodes too (the model has refused cycles). */
function poolsBelow(
  nodes: Readonly<Record<string, NodeSpec>>,
  branches: readonly { readonly node?: string | undefined; readonly pool?: string | undefined }[],
): string[] {
  return branches.flatMap(({ node, pool }) => {
    if (pool !== undefined) return [pool];
    const below = node === undefined ? undefined : nodes[node];
    return below === undefined ? [] : poolsBelow(nodes, branchesOf(below));
  });
}

/** The branches of a node of any kind. */
export function branchesOf(
  node: NodeSpec,
): readonly { readonly node?: string | undefined; readonly pool?: string | undefined }[] {
  if (node.failover !== undefined) return node.failover.tiers.flatMap(({ branches }) => branches);
  const kind =
    node.geo ??
    node.proximity ??
    node.latency ??
    node.subnet ??
    node.asn ??
    node.weighted ??
    node.multivalue ??
    node.roundRobin ??
    node.capacity ??
    node.sticky;
  return kind?.branches ?? [];
}
