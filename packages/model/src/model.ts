// SPDX-License-Identifier: Apache-2.0
import { checkGraphs } from "./checks/graphs.ts";
import { checkPlaces } from "./checks/places.ts";
import { checkReferences } from "./checks/references.ts";
import { checkSharedDenial, checkViews } from "./checks/views.ts";
import { checkZones, plainName } from "./checks/zones.ts";
import type {
  DataSetDocument,
  Document,
  DocumentId,
  EndpointSetDocument,
  HealthCheckDocument,
  PoolDocument,
  ShiftDocument,
  SiteDocument,
  TrafficPolicyDocument,
  ViewDocument,
} from "./documents.ts";
import { builtinDataSets, type DataSetKind, dataSetKindOf } from "./kinds/data-set.ts";
import type { MemberSpec } from "./kinds/pool.ts";
import { limits } from "./limits.ts";
import { indexDocuments, indexKey, type ModelIndex } from "./model-index.ts";
import type { Problem } from "./problem.ts";
import { hasErrors } from "./reading.ts";
import { RecordTable } from "./record-table.ts";
import { Report } from "./report.ts";
import type { ReadFile } from "./zone-data.ts";
import { type Zone, ZoneTable } from "./zone-table.ts";

/** A member of a pool, from the pool's document or an EndpointSet's. */
export interface Member {
  readonly name: string;
  /** `endpoint/NAMESPACE/POOL/NAME`. */
  readonly key: string;
  readonly spec: MemberSpec;
  readonly document: PoolDocument | EndpointSetDocument;
}

/** A pool with the members of all its contributors. */
export interface Pool {
  /** `pool/NAMESPACE/NAME`. */
  readonly key: string;
  readonly document: PoolDocument;
  /** By name: those of the pool's document first, then those of EndpointSets. */
  readonly members: ReadonlyMap<string, Member>;
}

/** A data set, which may be one of those always there. */
export interface DataSet {
  readonly name: string;
  readonly kind: DataSetKind;
  readonly document: DataSetDocument | undefined;
}

/** How a model is put together. */
export interface BuildOptions {
  /** Records besides those among the documents. */
  readonly records?: RecordTable;
  /** Documents that are there but broken; what names them is not reported. */
  readonly broken?: readonly DocumentId[];
  /** Reads master files; without it they are not looked at. */
  readonly readFile?: ReadFile;
}

/** Documents whose references hold. Immutable. */
export class Model {
  /** How many documents there are in all. */
  readonly documentCount: number;
  /** By name. */
  readonly sites: ReadonlyMap<string, SiteDocument>;
  /** By `NAMESPACE/NAME`, as the others but `records`. */
  readonly pools: ReadonlyMap<string, Pool>;
  readonly policies: ReadonlyMap<string, TrafficPolicyDocument>;
  readonly checks: ReadonlyMap<string, HealthCheckDocument>;
  readonly records: RecordTable;
  readonly shifts: ReadonlyMap<string, ShiftDocument>;
  /** By name, the built-in ones too. */
  readonly dataSets: ReadonlyMap<string, DataSet>;
  /** By name. */
  readonly views: ReadonlyMap<string, ViewDocument>;
  /** By `Zone.key`. */
  readonly zones: ReadonlyMap<string, Zone>;
  /** The documents by kind and name; what patches start from (model-patch.ts). */
  readonly index: ModelIndex;
  readonly #zoneTable: ZoneTable;

  private constructor(
    documentCount: number,
    index: ModelIndex,
    pools: ReadonlyMap<string, Pool>,
    zoneTable: ZoneTable,
  ) {
    this.documentCount = documentCount;
    this.sites = index.Site;
    this.pools = pools;
    this.policies = index.TrafficPolicy;
    this.checks = index.HealthCheck;
    this.records = index.records;
    this.shifts = index.Shift;
    this.dataSets = dataSetsOf(index);
    this.views = index.View;
    this.zones = zoneTable.zones;
    this.#zoneTable = zoneTable;
    this.index = index;
  }

  /**
   * Puts documents together and reports every reference that does not hold, every cycle and every
   * name defined twice. Problems know the line where their document starts; `locateProblems` finds
   * the exact one. There is a model if there is no error.
   */
  static build(
    documents: readonly Document[],
    options: BuildOptions = {},
  ): { readonly model?: Model; readonly problems: Problem[] } {
    const report = new Report();
    const named = documents.filter(({ kind }) => kind !== "Record").length;
    const { records = new RecordTable(), broken = [] } = options;
    const index = indexDocuments(documents, records, broken, report);
    checkReferences(index, report);
    checkGraphs(index, report);
    checkPlaces(index, report);
    checkViews(index, report);
    checkSharedDenial(index, report);
    const pools = poolsOf(index, report);
    const zoneTable = ZoneTable.build(index, options.readFile, report);
    checkZones(zoneTable, report);
    const problems = report.finish();
    if (hasErrors(problems)) return { problems };
    return { model: new Model(named + records.count, index, pools, zoneTable), problems };
  }

  /** The model of other documents, which the caller has checked: all that is there besides Records is in `index`, `pools` and `zones`. */
  static of(
    documentCount: number,
    index: ModelIndex,
    { pools, zones }: { readonly pools: Model["pools"]; readonly zones: ZoneTable },
  ): Model {
    return new Model(documentCount, index, pools, zones);
  }

  get zoneTable(): ZoneTable {
    return this.#zoneTable;
  }

  /** The document of a kind and name; the namespace is empty for the kinds that have none. */
  document({ kind, namespace, name }: DocumentId): Document | undefined {
    return kind === "Record"
      ? this.records.withId(namespace, name)
      : this.index[kind].get(indexKey(namespace, name));
  }

  site(name: string): SiteDocument | undefined {
    return this.sites.get(name);
  }

  /** A site and those it is part of, from itself outwards. */
  siteChain(name: string): SiteDocument[] {
    const chain: SiteDocument[] = [];
    for (let at = this.sites.get(name); at !== undefined;) {
      chain.push(at);
      at = at.spec.parent === undefined ? undefined : this.sites.get(at.spec.parent);
    }
    return chain;
  }

  /** Where a site is, in degrees: its own coordinates, else those of the nearest parent. */
  coordinatesOf(name: string): SiteDocument["spec"]["coordinates"] {
    return this.siteChain(name).find(({ spec }) => spec.coordinates !== undefined)?.spec
      .coordinates;
  }

  pool(namespace: string, name: string): Pool | undefined {
    return this.pools.get(indexKey(namespace, name));
  }

  policy(namespace: string, name: string): TrafficPolicyDocument | undefined {
    return this.policies.get(indexKey(namespace, name));
  }

  check(namespace: string, name: string): HealthCheckDocument | undefined {
    return this.checks.get(indexKey(namespace, name));
  }

  dataSet(name: string): DataSet | undefined {
    return this.dataSets.get(name);
  }

  /** The zone of an origin that is in no view, in any letter case, with or without the last dot. */
  zone(origin: string): Zone | undefined {
    return this.zones.get(plainName(origin));
  }

  /** The deepest zone of a view that a name lies in; of none where it is left out. */
  zoneOf(name: string, view?: string): Zone | undefined {
    return this.#zoneTable.zoneOf(name, view);
  }
}

/** Pools with the members of all their contributors. */
export function poolsOf(
  index: Pick<ModelIndex, "Pool" | "EndpointSet">,
  report: Report,
): Map<string, Pool> {
  const pools = new Map<string, Pool & { readonly members: Map<string, Member> }>();
  for (const [key, document] of index.Pool) {
    const pool = { key: `pool/${key}`, document, members: new Map<string, Member>() };
    for (const [name, spec] of Object.entries(document.spec.members)) {
      pool.members.set(name, { name, key: `endpoint/${key}/${name}`, spec, document });
    }
    pools.set(key, pool);
  }
  for (const document of index.EndpointSet.values()) {
    const key = indexKey(document.metadata.namespace, document.spec.pool);
    const pool = pools.get(key);
    if (pool === undefined) continue;
    for (const [name, spec] of Object.entries(document.spec.members)) {
      const first = pool.members.get(name);
      if (first === undefined) {
        pool.members.set(name, { name, key: `endpoint/${key}/${name}`, spec, document });
      } else reportMember(document, name, first, report);
    }
  }
  for (const { document, members } of pools.values()) {
    if (members.size <= limits.poolMembersMax) continue;
    report.error(document, {
      code: "value-wrong",
      path: ["spec", "members"],
      found: `${members.size} members with those of EndpointSets`,
      said: true,
      wanted: `at most ${limits.poolMembersMax}`,
    });
  }
  return pools;
}

function reportMember(
  document: EndpointSetDocument,
  name: string,
  first: Member,
  report: Report,
): void {
  const { kind, metadata, source } = first.document;
  report.error(document, {
    code: "member-duplicate",
    path: ["spec", "members", name],
    found: `in the pool already, from ${kind} "${metadata.name}" at ${source.file}:${source.line}`,
    said: true,
    wanted: "another name",
  });
}

function dataSetsOf(index: ModelIndex): Map<string, DataSet> {
  const dataSets = new Map<string, DataSet>();
  for (const [name, kind] of Object.entries(builtinDataSets)) {
    dataSets.set(name, { name, kind, document: undefined });
  }
  for (const [name, document] of index.DataSet) {
    dataSets.set(name, { name, kind: dataSetKindOf(document.spec), document });
  }
  return dataSets;
}
