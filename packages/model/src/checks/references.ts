// SPDX-License-Identifier: Apache-2.0
import type { Document, TrafficPolicyDocument } from "../documents.ts";
import { builtinDataSets, type DataSetKind, dataSetKindOf } from "../kinds/data-set.ts";
import { probeKindOf } from "../kinds/health-check.ts";
import type { MemberSpec } from "../kinds/pool.ts";
import { parseTarget } from "../kinds/shift.ts";
import { indexKey, type ModelIndex, type NamedKind } from "../model-index.ts";
import { branchesOf } from "../policy-graph.ts";
import type { Path } from "../problem.ts";
import type { Report } from "../report.ts";

/** Reports every name of a document that is not there, of all documents or of those `among`, which are part of `index`. */
export function checkReferences(index: ModelIndex, report: Report, among = index): void {
  const check = new References(index, report);
  for (const site of among.Site.values()) {
    check.site(site, ["spec", "parent"], site.spec.parent);
  }
  for (const pool of among.Pool.values()) {
    check.members(pool, pool.spec.members);
    const { healthCheck } = pool.spec;
    if (healthCheck !== undefined) {
      check.named(pool, ["spec", "healthCheck"], "HealthCheck", healthCheck);
    }
  }
  for (const set of among.EndpointSet.values()) {
    check.members(set, set.spec.members);
    check.named(set, ["spec", "pool"], "Pool", set.spec.pool);
  }
  for (const healthCheck of among.HealthCheck.values()) {
    for (const [at, child] of (healthCheck.spec.calculated?.children ?? []).entries()) {
      const path = ["spec", "calculated", "children", at];
      check.named(healthCheck, path, "HealthCheck", child);
      check.uncalculated(healthCheck, path, child);
    }
  }
  for (const policy of among.TrafficPolicy.values()) check.policy(policy);
  for (const zone of among.Zone.values()) check.view(zone, zone.spec.view);
  for (const set of among.RecordSet.values()) check.view(set, set.spec.view);
  check.records(among);
  for (const shift of among.Shift.values()) check.target(shift, shift.spec.target);
}

const dataSetKindsFor = {
  geo: ["country", "city", "prefixes"],
  proximity: ["country", "city", "prefixes"],
  latency: ["latency"],
  asn: ["asn"],
} as const satisfies Record<string, readonly DataSetKind[]>;

class References {
  readonly #index: ModelIndex;
  readonly #report: Report;

  constructor(index: ModelIndex, report: Report) {
    this.#index = index;
    this.#report = report;
  }

  /** Reports a name of a document in the same namespace that is not there. */
  named(document: Document, path: Path, kind: NamedKind, name: string): void {
    const namespace = "namespace" in document.metadata ? document.metadata.namespace : "";
    this.#found(document, path, kind, namespace, name);
  }

  view(document: Document, name: string | undefined): void {
    if (name !== undefined) this.#found(document, ["spec", "view"], "View", "", name);
  }

  site(document: Document, path: Path, name: string | undefined): void {
    if (name !== undefined) this.#found(document, path, "Site", "", name);
  }

  members(document: Document, members: Readonly<Record<string, MemberSpec>>): void {
    for (const [name, member] of Object.entries(members)) {
      this.site(document, ["spec", "members", name, "site"], member.site);
    }
  }

  /** What a Record names is part of its shape: those of a good one need no look. */
  records({ records, repeated }: ModelIndex): void {
    const isGood = records.shapes.map(
      ({ metadata: { namespace }, spec: { policy, pool, view } }) => {
        const hasPolicy =
          policy === undefined || this.#index.TrafficPolicy.has(indexKey(namespace, policy));
        const hasView = view === undefined || this.#index.View.has(view);
        return (
          hasPolicy &&
          hasView &&
          (pool === undefined || this.#index.Pool.has(indexKey(namespace, pool)))
        );
      },
    );
    if (isGood.every(Boolean)) return;
    for (let at = 0; at < records.count; at += 1) {
      if (isGood[records.shapeAt(at)] === true || repeated.has(at)) continue;
      const record = records.document(at);
      const { policy, pool, view } = record.spec;
      this.view(record, view);
      if (policy !== undefined) this.named(record, ["spec", "policy"], "TrafficPolicy", policy);
      if (pool !== undefined) this.named(record, ["spec", "pool"], "Pool", pool);
    }
  }

  uncalculated(document: Document, path: Path, name: string): void {
    const namespace = "namespace" in document.metadata ? document.metadata.namespace : "";
    const child = this.#index.HealthCheck.get(indexKey(namespace, name));
    if (child === undefined || probeKindOf(child.spec) !== "calculated") return;
    this.#report.error(document, {
      code: "reference-refused",
      path,
      found: `${JSON.stringify(name)}, a calculated check`,
      said: true,
      wanted: "a check that is not calculated itself",
    });
  }

  policy(policy: TrafficPolicyDocument): void {
    const { nodes, root } = policy.spec;
    this.#node(policy, ["spec", "root"], root);
    for (const [name, node] of Object.entries(nodes)) {
      const at = ["spec", "nodes", name];
      for (const { branch, path } of branchesOf(node)) {
        const where = [...at, ...path];
        if (branch.node !== undefined) this.#node(policy, [...where, "node"], branch.node);
        if (branch.pool !== undefined) {
          this.named(policy, [...where, "pool"], "Pool", branch.pool);
        }
        if ("site" in branch && typeof branch.site === "string") {
          this.site(policy, [...where, "site"], branch.site);
        }
      }
      if (node.fallback?.pool !== undefined) {
        this.named(policy, [...at, "fallback", "pool"], "Pool", node.fallback.pool);
      }
      for (const kind of ["geo", "proximity", "latency", "asn"] as const) {
        const dataSet = node[kind]?.dataSet;
        if (dataSet === undefined) continue;
        this.#dataSet(policy, [...at, kind, "dataSet"], dataSet, dataSetKindsFor[kind]);
      }
      const geoDataSet = node.latency?.geoDataSet;
      if (geoDataSet !== undefined) {
        const path = [...at, "latency", "geoDataSet"];
        this.#dataSet(policy, path, geoDataSet, dataSetKindsFor.proximity);
      }
    }
  }

  target(document: Document, text: string): void {
    const target = parseTarget(text);
    const path = ["spec", "target"];
    if (target === undefined) return;
    if (target.kind === "site") this.#found(document, path, "Site", "", target.name);
    else {
      const pool = target.kind === "pool" ? target.name : target.pool;
      this.#found(document, path, "Pool", target.namespace, pool);
      if (target.kind === "endpoint")
        this.#endpoint(document, indexKey(target.namespace, pool), target.name);
    }
  }

  #endpoint(document: Document, poolKey: string, name: string): void {
    const pool = this.#index.Pool.get(poolKey);
    if (pool === undefined) return;
    const sets = [...this.#index.EndpointSet.values()].filter(
      ({ metadata, spec }) => indexKey(metadata.namespace, spec.pool) === poolKey,
    );
    const names = [pool, ...sets].flatMap(({ spec }) => Object.keys(spec.members));
    if (names.includes(name)) return;
    this.#report.error(document, {
      code: "reference-unknown",
      path: ["spec", "target"],
      found: name,
      wanted: `the name of a member of ${poolKey}`,
      candidates: names,
    });
  }

  #node(policy: TrafficPolicyDocument, path: Path, name: string): void {
    const { nodes } = policy.spec;
    if (Object.hasOwn(nodes, name)) return;
    const wanted = "the name of a node of this policy";
    const candidates = Object.keys(nodes);
    this.#report.error(policy, {
      code: "reference-unknown",
      path,
      found: name,
      wanted,
      candidates,
    });
  }

  #dataSet(document: Document, path: Path, name: string, accepted: readonly DataSetKind[]): void {
    const found = this.#index.DataSet.get(name);
    const kind = found === undefined ? builtinDataSets[name] : dataSetKindOf(found.spec);
    if (kind === undefined) {
      this.#found(document, path, "DataSet", "", name, Object.keys(builtinDataSets));
    } else if (!accepted.includes(kind)) {
      this.#report.error(document, {
        code: "reference-refused",
        path,
        found: `${JSON.stringify(name)}, a data set of ${kind}`,
        said: true,
        wanted: `a data set of ${accepted.join(", ")}`,
      });
    }
  }

  #found(
    document: Document,
    path: Path,
    kind: NamedKind,
    namespace: string,
    name: string,
    others: readonly string[] = [],
  ): void {
    const key = indexKey(namespace, name);
    if (this.#index[kind].has(key) || this.#index.broken.get(kind)?.has(key) === true) return;
    const searched = key.includes("/") ? key.slice(0, key.indexOf("/")) : namespace;
    const inside = searched === "" ? "" : ` in namespace "${searched}"`;
    this.#report.error(document, {
      code: "reference-unknown",
      path,
      found: name,
      wanted: `the name of a ${kind}${inside}`,
      candidates: [...this.#namesIn(kind, namespace), ...others],
    });
  }

  *#namesIn(kind: NamedKind, namespace: string): Generator<string> {
    for (const document of this.#index[kind].values()) {
      const own = "namespace" in document.metadata ? document.metadata.namespace : "";
      if (own === namespace) yield document.metadata.name;
    }
  }
}
