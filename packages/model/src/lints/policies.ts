// SPDX-License-Identifier: Apache-2.0
import type { TrafficPolicyDocument } from "../documents.ts";
import type { NodeSpec } from "../kinds/traffic-policy.ts";
import type { Model } from "../model.ts";
import { branchesOf, nodeKindOf, type PlacedBranch, reachableNodes } from "../policy-graph.ts";
import type { Path } from "../problem.ts";
import type { Report } from "../report.ts";

/** Warns of policies: branches that never fail, places for nobody, nodes that nobody reaches. */
export function lintPolicies(
  model: Model,
  report: Report,
  policies: Iterable<TrafficPolicyDocument> = model.policies.values(),
): void {
  for (const policy of policies) {
    const reached = reachableNodes(policy.spec);
    for (const [name, node] of Object.entries(policy.spec.nodes)) {
      const at = ["spec", "nodes", name];
      if (!reached.has(name)) {
        report.warning(policy, {
          code: "node-unreachable",
          path: at,
          found: "never reached",
          said: true,
          wanted: `a branch that leads to it from "${policy.spec.root}"`,
        });
        continue;
      }
      const branches = branchesOf(node);
      for (const branch of branches.length > 1 ? branches : []) {
        lintBranch(model, policy, at, branch, branches, report);
      }
      lintNode(policy, at, node, branches, report);
    }
  }
}

function lintBranch(
  model: Model,
  policy: TrafficPolicyDocument,
  at: Path,
  { branch, path, tier }: PlacedBranch,
  all: readonly PlacedBranch[],
  report: Report,
): void {
  const isFailover = path[0] === "failover";
  const isLastTier = isFailover && all.every((other) => other.tier <= tier);
  if (!branch.evaluateHealth && !isLastTier) {
    report.warning(policy, {
      code: "health-ignored",
      path: [...at, ...path, "evaluateHealth"],
      found: false,
      wanted: "true, so that the branch is left when all in it is unhealthy",
    });
    return;
  }
  const unchecked = uncheckedTarget(model, policy, branch);
  if (unchecked === undefined || isLastTier) return;
  // Elsewhere a host name outside is a deliberate choice; before a later tier it hides that tier.
  if (branch.name !== undefined && !isFailover) return;
  report.warning(policy, {
    code: "check-missing",
    path: [...at, ...path, branch.pool === undefined ? "name" : "pool"],
    found: `${unchecked}, which has no health check`,
    said: true,
    wanted: "one with a check: without, a dead branch is never left",
  });
}

function uncheckedTarget(
  model: Model,
  policy: TrafficPolicyDocument,
  { pool, name }: PlacedBranch["branch"],
): string | undefined {
  if (name !== undefined) return name;
  if (pool === undefined) return undefined;
  const spec = model.pool(policy.metadata.namespace, pool)?.document.spec;
  return spec !== undefined && spec.healthCheck === undefined ? `"${pool}"` : undefined;
}

function lintNode(
  policy: TrafficPolicyDocument,
  at: Path,
  node: NodeSpec,
  branches: readonly PlacedBranch[],
  report: Report,
): void {
  const kind = nodeKindOf(node);
  const weights = branches.map(({ branch }) => branch.weight);
  if (weights.every((weight) => weight === 0)) {
    report.warning(policy, {
      code: "weight-zero",
      path: [...at, kind],
      found: "of weight 0 everywhere, which shares equally",
      said: true,
      wanted: "a weight above 0",
    });
  }
  if (!hasDefault(node)) {
    report.warning(policy, {
      code: "default-missing",
      path: [...at, kind, "branches"],
      found: "without a default",
      said: true,
      wanted: "default: true on one, else clients that match none get no data",
    });
  }
  const count = node.minHealthy?.count ?? 0;
  if (count > branches.length) {
    report.warning(policy, {
      code: "threshold-unreachable",
      path: [...at, "minHealthy", "count"],
      found: count,
      wanted: `at most ${branches.length}, as many as there are branches`,
    });
  }
}

/** Whether a node that goes by place has a branch for every client. */
function hasDefault({ geo, subnet, asn }: NodeSpec): boolean {
  if (geo !== undefined) {
    const continents = new Set(geo.branches.flatMap((branch) => branch.continents));
    return continents.size === 7 || geo.branches.some((branch) => branch.default);
  }
  if (subnet !== undefined) {
    const prefixes = new Set(subnet.branches.flatMap((branch) => branch.prefixes));
    const holdsAll = prefixes.has("0.0.0.0/0") && prefixes.has("::/0");
    return holdsAll || subnet.branches.some((branch) => branch.default);
  }
  return asn === undefined || asn.branches.some((branch) => branch.default);
}
