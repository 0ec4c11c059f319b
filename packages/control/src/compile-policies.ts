// SPDX-License-Identifier: Apache-2.0
import {
  indexKey,
  type BranchSpec,
  type Model,
  type NodeSpec,
  type TrafficPolicyDocument,
} from "@meridian/model";
import type {
  BranchInput,
  NodeInput,
  PolicyInput,
  WrittenSection,
} from "@meridian/snapshot/writer";
import { encodeMinimum, toPerMille, wireName } from "./compile-pools.ts";

/** The classifier of a node that looks at where the client is, and the location maps that it reads. */
export interface CompiledClassifier {
  readonly classifier: WrittenSection;
  readonly maps: readonly WrittenSection[];
}

/** Compiles the `geo`, `proximity`, `latency`, `subnet` or `asn` part of a node. Throws where its data set cannot be read. */
export type ClassifierCompiler = (model: Model, node: NodeSpec) => CompiledClassifier;

/** A policy as the policies section wants it, and the sections it needs besides. */
export interface CompiledPolicy {
  readonly policy: PolicyInput;
  readonly sections: readonly WrittenSection[];
}

export function compilePolicy(
  model: Model,
  document: TrafficPolicyDocument,
  classify: ClassifierCompiler,
): CompiledPolicy {
  const { metadata, spec } = document;
  const sections: WrittenSection[] = [];
  const nodes = Object.entries(spec.nodes).map(([name, node]): NodeInput => {
    const place = placeOf(node);
    const compiled = place ? classify(model, node) : undefined;
    if (compiled !== undefined) sections.push(compiled.classifier, ...compiled.maps);
    return compileNode(
      metadata.namespace,
      name,
      node,
      name === spec.root,
      compiled?.classifier.key,
    );
  });
  return {
    policy: { name: `${metadata.namespace}/${metadata.name}`, root: spec.root, nodes },
    sections,
  };
}

/** True where the node ranks its branches by where the client is. */
function placeOf(node: NodeSpec): boolean {
  return (node.geo ?? node.proximity ?? node.latency ?? node.subnet ?? node.asn) !== undefined;
}

function compileNode(
  namespace: string,
  name: string,
  node: NodeSpec,
  isRoot: boolean,
  classifier: bigint | undefined,
): NodeInput {
  const { kind, branches } = kindAndBranches(node);
  const action = node.onAllUnhealthy ?? "parent";
  return {
    name,
    kind,
    branches: branches.map(({ spec, tier, weight }) =>
      compileBranch(namespace, spec, tier, weight),
    ),
    // The root has no parent to report to: left alone it opens.
    onAllUnhealthy: isRoot && action === "parent" ? "open" : action,
    ...(node.fallback === undefined
      ? {}
      : { fallback: compileBranch(namespace, { ...plainBranch, ...node.fallback }, 0, 1) }),
    answers: node.answers ?? node.multivalue?.answers ?? 0,
    minHealthy: encodeMinimum(node.minHealthy),
    ...(classifier === undefined ? {} : { classifier }),
    ...(node.sticky === undefined
      ? {}
      : { salt: node.sticky.salt, stickyPrefix: node.sticky.stickyPrefix }),
  };
}

const plainBranch: BranchSpec = { fence: false, dial: 100, evaluateHealth: true };

interface TieredBranch {
  readonly spec: BranchSpec;
  readonly tier: number;
  readonly weight: number;
}

function kindAndBranches(node: NodeSpec): { kind: NodeInput["kind"]; branches: TieredBranch[] } {
  const flat = (specs: readonly BranchSpec[]): TieredBranch[] =>
    specs.map((spec) => ({ spec, tier: 0, weight: spec.weight ?? 1 }));
  if (node.failover !== undefined)
    return {
      kind: "failover",
      branches: node.failover.tiers.flatMap(({ branches }, tier) => tierOf(branches, tier)),
    };
  if (node.geo !== undefined) return { kind: "geo", branches: flat(node.geo.branches) };
  if (node.proximity !== undefined)
    return { kind: "proximity", branches: flat(node.proximity.branches) };
  if (node.latency !== undefined) return { kind: "latency", branches: flat(node.latency.branches) };
  if (node.subnet !== undefined) return { kind: "subnet", branches: flat(node.subnet.branches) };
  if (node.asn !== undefined) return { kind: "asn", branches: flat(node.asn.branches) };
  if (node.weighted !== undefined)
    return { kind: "weighted", branches: flat(node.weighted.branches) };
  if (node.multivalue !== undefined)
    return { kind: "multivalue", branches: flat(node.multivalue.branches) };
  if (node.roundRobin !== undefined)
    return { kind: "roundRobin", branches: flat(node.roundRobin.branches) };
  if (node.capacity !== undefined)
    return { kind: "capacity", branches: flat(node.capacity.branches) };
  if (node.sticky !== undefined) return { kind: "sticky", branches: flat(node.sticky.branches) };
  throw new TypeError("A node has exactly one kind: the model let another pass");
}

/** Within a tier weights are equal where none is stated, and 0 where only others are. */
function tierOf(branches: readonly BranchSpec[], tier: number): TieredBranch[] {
  const stated = branches.some(({ weight }) => weight !== undefined);
  return branches.map((spec) => ({ spec, tier, weight: spec.weight ?? (stated ? 0 : 1) }));
}

function compileBranch(
  namespace: string,
  spec: BranchSpec,
  tier: number,
  weight: number,
): BranchInput {
  return {
    target: targetOf(namespace, spec),
    weight,
    dial: toPerMille(spec.dial),
    tier,
    isFence: spec.fence,
    evaluateHealth: spec.evaluateHealth,
  };
}

function targetOf(namespace: string, spec: BranchSpec): BranchInput["target"] {
  if (spec.node !== undefined) return { node: spec.node };
  if (spec.pool !== undefined) return { pool: indexKey(namespace, spec.pool) };
  return { name: wireName(spec.name ?? ".") };
}
