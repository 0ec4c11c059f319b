// SPDX-License-Identifier: Apache-2.0
import type { TrafficPolicyDocument } from "../documents.ts";
import { limits } from "../limits.ts";
import type { ModelIndex } from "../model-index.ts";
import { branchesOf, findCycle, formatChain, longestChain, pathCount } from "../policy-graph.ts";
import type { Report } from "../report.ts";

/** Reports sites that are part of themselves, and policies that are too deep or lead back. */
export function checkGraphs(index: ModelIndex, report: Report): void {
  checkSites(index, report);
  for (const policy of index.TrafficPolicy.values()) checkPolicy(policy, report);
}

function checkSites(index: ModelIndex, report: Report): void {
  const parentOf = (name: string): string[] => {
    const parent = index.Site.get(name)?.spec.parent;
    return parent === undefined ? [] : [parent];
  };
  const reported = new Set<string>();
  for (const [name, site] of index.Site) {
    if (reported.has(name)) continue;
    const cycle = findCycle([name], parentOf);
    if (cycle?.[0] !== name) continue;
    for (const each of cycle) reported.add(each);
    report.error(site, {
      code: "reference-cycle",
      path: ["spec", "parent"],
      found: `part of itself, ${formatChain(cycle)}`,
      said: true,
      wanted: "parents that end",
    });
  }
}

function checkPolicy(policy: TrafficPolicyDocument, report: Report): void {
  const { nodes, root } = policy.spec;
  const next = (name: string): string[] => {
    const node = nodes[name];
    return node === undefined ? [] : branchesOf(node).flatMap(({ branch }) => branch.node ?? []);
  };
  const cycle = findCycle([root, ...Object.keys(nodes)], next);
  if (cycle !== undefined) {
    report.error(policy, {
      code: "reference-cycle",
      path: ["spec", "nodes", cycle[0] ?? root],
      found: `reached from itself, ${formatChain(cycle)}`,
      said: true,
      wanted: "nodes that do not lead back",
    });
    return;
  }
  const chain = longestChain(policy.spec);
  if (chain.length <= limits.policyDepthMax) {
    checkPaths(policy, report);
    return;
  }
  report.error(policy, {
    code: "policy-too-deep",
    path: ["spec", "root"],
    found: `the start of ${chain.length} levels, ${formatChain(chain)}`,
    said: true,
    wanted: `at most ${limits.policyDepthMax}`,
  });
}

/** Nodes with shared children multiply: few lines of YAML could ask for years of work a query. */
function checkPaths(policy: TrafficPolicyDocument, report: Report): void {
  const count = pathCount(policy.spec);
  if (count <= limits.policyPathsMax) return;
  report.error(policy, {
    code: "policy-too-wide",
    path: ["spec", "root"],
    found: `the start of ${count} ways to a leaf`,
    said: true,
    wanted: `at most ${limits.policyPathsMax}`,
  });
}
