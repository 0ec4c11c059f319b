// SPDX-License-Identifier: Apache-2.0
import { formatPrefix, parsePrefix } from "../address.ts";
import type { TrafficPolicyDocument } from "../documents.ts";
import type { NodeSpec } from "../kinds/traffic-policy.ts";
import type { ModelIndex } from "../model-index.ts";
import { formatPath, type Path } from "../problem.ts";
import type { Report } from "../report.ts";

/** Reports places, prefixes, networks and defaults that a node lists twice. */
export function checkPlaces(index: ModelIndex, report: Report): void {
  for (const policy of index.TrafficPolicy.values()) {
    for (const [name, node] of Object.entries(policy.spec.nodes)) {
      checkNode(policy, ["spec", "nodes", name], node, report);
    }
  }
}

interface Place {
  /** Equal for equal places. */
  readonly key: string;
  readonly path: Path;
  readonly found: unknown;
}

function checkNode(policy: TrafficPolicyDocument, at: Path, node: NodeSpec, report: Report): void {
  const first = new Map<string, Path>();
  for (const { key, path, found } of placesOf(node)) {
    const before = first.get(key);
    if (before === undefined) {
      first.set(key, path);
      continue;
    }
    report.error(policy, {
      code: "place-duplicate",
      path: [...at, ...path],
      found: `${JSON.stringify(found)} again after ${formatPath(before)}`,
      said: true,
      wanted: "each place once in a node",
    });
  }
}

function* placesOf({ geo, subnet, asn }: NodeSpec): Generator<Place> {
  for (const [index, branch] of (geo?.branches ?? []).entries()) {
    const at = ["geo", "branches", index];
    yield* listed("continent", [...at, "continents"], branch.continents);
    yield* listed("country", [...at, "countries"], branch.countries);
    yield* listed("subdivision", [...at, "subdivisions"], branch.subdivisions);
    if (branch.default) yield { key: "default", path: [...at, "default"], found: true };
  }
  for (const [index, branch] of (subnet?.branches ?? []).entries()) {
    const at = ["subnet", "branches", index];
    for (const [position, found] of branch.prefixes.entries()) {
      const prefix = parsePrefix(found);
      const key = "wanted" in prefix ? found : formatPrefix(prefix);
      yield { key, path: [...at, "prefixes", position], found };
    }
    if (branch.default) yield { key: "default", path: [...at, "default"], found: true };
  }
  for (const [index, branch] of (asn?.branches ?? []).entries()) {
    const at = ["asn", "branches", index];
    yield* listed("asn", [...at, "asns"], branch.asns);
    if (branch.default) yield { key: "default", path: [...at, "default"], found: true };
  }
}

function* listed(kind: string, at: Path, values: readonly (string | number)[]): Generator<Place> {
  for (const [position, found] of values.entries()) {
    yield { key: `${kind} ${found}`, path: [...at, position], found };
  }
}
