// SPDX-License-Identifier: Apache-2.0
import { formatDuration, parseDuration } from "@meridian/core";
import type { Document } from "../documents.ts";
import type { LintFacts } from "../lint.ts";
import type { Model } from "../model.ts";
import { indexKey } from "../model-index.ts";
import { nodeKindOf, reachablePools } from "../policy-graph.ts";
import type { Report } from "../report.ts";

/** Warns of documents that nothing names, and of data that is old. */
export function lintDocuments(model: Model, now: number, facts: LintFacts, report: Report): void {
  const used = usedDocuments(model);
  const unused = (document: Document, by: string): void => {
    report.warning(document, {
      code: "document-unused",
      path: ["metadata", "name"],
      found: "named by nothing",
      said: true,
      wanted: by,
    });
  };
  for (const [key, pool] of model.pools) {
    if (!used.pools.has(key)) unused(pool.document, "a TrafficPolicy or Record that uses it");
  }
  for (const [key, policy] of model.policies) {
    if (!used.policies.has(key)) unused(policy, "a Record that uses it");
  }
  for (const [key, check] of model.checks) {
    if (!used.checks.has(key)) unused(check, "a Pool or calculated check that uses it");
  }
  for (const { name, document } of model.dataSets.values()) {
    if (document === undefined) continue;
    // Resolver tables serve every policy, so nothing names them.
    const isForAll = document.spec.resolvers !== undefined;
    if (!used.dataSets.has(name) && !isForAll) unused(document, "a TrafficPolicy that uses it");
    const { maxAge } = document.spec;
    const madeAt = facts.dataSetTime?.(name);
    if (maxAge === undefined || madeAt === undefined) continue;
    const ageMs = now - madeAt;
    if (ageMs <= (parseDuration(maxAge) ?? 0)) continue;
    const age = formatDuration(Math.floor(ageMs / 3_600_000) * 3_600_000 || ageMs);
    report.warning(document, {
      code: "data-set-old",
      path: ["spec", "maxAge"],
      found: `${maxAge} while the data is ${age} old`,
      said: true,
      wanted: "newer data",
    });
  }
}

interface Used {
  readonly pools: Set<string>;
  readonly policies: Set<string>;
  readonly checks: Set<string>;
  readonly dataSets: Set<string>;
}

function usedDocuments(model: Model): Used {
  const used: Used = {
    pools: new Set(),
    policies: new Set(),
    checks: new Set(),
    dataSets: new Set(),
  };
  for (const { metadata, spec } of model.records.shapes) {
    if (spec.policy !== undefined) used.policies.add(indexKey(metadata.namespace, spec.policy));
    if (spec.pool !== undefined) used.pools.add(indexKey(metadata.namespace, spec.pool));
  }
  for (const { metadata, spec } of model.policies.values()) {
    for (const pool of reachablePools(spec)) used.pools.add(indexKey(metadata.namespace, pool));
    for (const node of Object.values(spec.nodes)) {
      const kind = nodeKindOf(node);
      const body = node[kind];
      if (body !== undefined && "dataSet" in body) used.dataSets.add(body.dataSet);
      if (node.latency?.geoDataSet !== undefined) used.dataSets.add(node.latency.geoDataSet);
    }
  }
  for (const { document } of model.pools.values()) {
    const { healthCheck } = document.spec;
    const { namespace } = document.metadata;
    if (healthCheck !== undefined) used.checks.add(indexKey(namespace, healthCheck));
  }
  for (const { metadata, spec } of model.checks.values()) {
    for (const child of spec.calculated?.children ?? []) {
      used.checks.add(indexKey(metadata.namespace, child));
    }
  }
  return used;
}
