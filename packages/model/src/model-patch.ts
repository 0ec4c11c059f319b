// SPDX-License-Identifier: Apache-2.0
// A model with a few documents changed, without looking at the others: what a change says is checked by itself and by what it names and
// is named by. Whatever that cannot tell for sure (an error above all, of which everything is to be said) needs a whole build: then there
// is no patch. What there is, is what a whole build would find good.
import { patchedMap } from "@meridian/core";
import { RRType } from "@meridian/dns";
import { checkGraphs } from "./checks/graphs.ts";
import { checkPlaces } from "./checks/places.ts";
import { checkReferences } from "./checks/references.ts";
import { checkZones, plainName } from "./checks/zones.ts";
import { addressBytes } from "./address.ts";
import type { DocumentChanges } from "./document-changes.ts";
import {
  type Document,
  type DocumentId,
  documentIdOf,
  formatDocumentId,
  type PoolDocument,
  type RecordDocument,
  type RecordSetDocument,
  type TrafficPolicyDocument,
  type ZoneDocument,
} from "./documents.ts";
import { Model, type Pool, poolsOf } from "./model.ts";
import { indexKey, type ModelIndex } from "./model-index.ts";
import { branchesOf } from "./policy-graph.ts";
import { hasErrors } from "./reading.ts";
import { NameKey, NameTable } from "./name-table.ts";
import {
  type CopyChange,
  patchedCopies,
  type PatchedCopy,
  type PatchedRecords,
  patchedRecordSets,
} from "./patched-record-sets.ts";
import { RecordTable } from "./record-table.ts";
import { Report } from "./report.ts";
import { UseCounts } from "./use-counts.ts";
import { nameBytes } from "./zone-data.ts";
import { type Zone, ZoneTable } from "./zone-table.ts";

/** Most documents that differ from those of the last whole build. */
const DOCUMENTS_MAX = 10_000;
/** Most of one change. */
const CHANGES_MAX = 1000;

/** What of a kind is new or other, and the names of what is gone. */
export interface PatchedPart<Value> {
  readonly set: readonly (readonly [string, Value])[];
  readonly removed: readonly string[];
}

/** Records of one name in one zone, before and after; none or one each. */
export interface PatchedOwner {
  readonly zone: Zone;
  /** `spec.name`. */
  readonly name: string;
  readonly before: RecordDocument | undefined;
  readonly after: RecordDocument | undefined;
}

/** What a change of documents makes of a model. */
export interface ModelPatch {
  readonly next: PatchedModel;
  readonly pools: PatchedPart<Pool>;
  readonly policies: PatchedPart<TrafficPolicyDocument>;
  /** Zones that are new, with all their Records; and origins of those that are gone. */
  readonly zones: PatchedPart<Zone>;
  /** Names in other zones. */
  readonly owners: readonly PatchedOwner[];
  /** Static records in other zones. */
  readonly recordSets: readonly PatchedRecords[];
  /** Secondary zones whose copies are others. */
  readonly copies: readonly PatchedCopy[];
}

/** A model and what has changed since it was built as a whole; immutable. */
export class PatchedModel {
  /** Its `records` and RecordSets, and those of its zones, are as they were when it was built as a whole. */
  readonly model: Model;
  /** Records and RecordSets since then by their id; undefined for those that are gone. */
  readonly records: ChangedRecords;
  readonly #uses: UseCounts;
  /** Whether members or branches have host names, so that other documents may decide how names are answered. */
  readonly #hasHosts: boolean;

  private constructor(model: Model, records: ChangedRecords, uses: UseCounts, hasHosts: boolean) {
    this.model = model;
    this.records = records;
    this.#uses = uses;
    this.#hasHosts = hasHosts;
  }

  /** Of a model that was built as a whole. */
  static of(model: Model): PatchedModel {
    const hasHosts =
      [...model.pools.values()].some(hasHostMember) || [...model.policies.values()].some(namesHost);
    return new PatchedModel(model, new Map(), UseCounts.of(model), hasHosts);
  }

  /** A document as it is now. */
  document(id: DocumentId): Document | undefined {
    const key = formatDocumentId(id);
    return this.records.has(key) ? this.records.get(key) : this.model.document(id);
  }

  /** All Records as they are now. */
  *allRecords(): Generator<RecordDocument> {
    if (this.records.size === 0) {
      yield* this.model.records;
      return;
    }
    for (const record of this.model.records) if (!this.records.has(idOf(record))) yield record;
    for (const record of this.records.values()) if (record?.kind === "Record") yield record;
  }

  /** The model after a change; undefined where that needs a whole build. */
  patched(changes: DocumentChanges, copies: readonly CopyChange[] = []): ModelPatch | undefined {
    const { added, changed, removed } = changes;
    const all = [...removed, ...changed.map(({ before }) => before)];
    const after = [...added, ...changed.map((each) => each.after)];
    const copied = copies.reduce((sum, copy) => sum + copy.changes.length, 0);
    if (all.length + after.length + copied > CHANGES_MAX) return undefined;
    if (![...all, ...after].every(({ kind }) => patchedKinds.has(kind))) return undefined;
    if ([...all, ...after].some(isOfView)) return undefined;
    if (changed.some((each) => !this.#mayChange(each.before, each.after))) return undefined;
    if (added.some((document) => this.document(documentIdOf(document)) !== undefined))
      return undefined;
    const uses = this.#uses.with(after, all);
    const isUsed = ({ kind, metadata }: Document): boolean =>
      "namespace" in metadata &&
      uses.get(
        `${kind === "Pool" ? "pool" : "policy"}/${indexKey(metadata.namespace, metadata.name)}`,
      ) > 0;
    if (
      removed.some(
        (each) => (each.kind === "Pool" || each.kind === "TrafficPolicy") && isUsed(each),
      )
    )
      return undefined;
    return this.#built(all, after, uses, copies);
  }

  /** Whether what else follows from a change is only in the document's own entry. */
  #mayChange(before: Document, after: Document): boolean {
    if (before.kind === "Zone") return false;
    return (
      before.kind !== "TrafficPolicy" ||
      after.kind !== "TrafficPolicy" ||
      before.spec.clientLocation === after.spec.clientLocation
    );
  }

  #built(
    before: readonly Document[],
    after: readonly Document[],
    uses: UseCounts,
    copies: readonly CopyChange[],
  ): ModelPatch | undefined {
    const { model } = this;
    const report = new Report();
    const index = patchedIndex(model.index, before, after);
    const among = patchedIndex(emptyIndex(), [], after);
    for (const each of after) if (each.kind === "Record") among.records.add(each);
    const pools = poolsOf(among, report);
    if ([...before, ...after].some((each) => this.#isEntangled(each, model, pools)))
      return undefined;
    checkReferences(index, report, among);
    checkGraphs(among, report);
    checkPlaces(among, report);
    const zones = this.#zones(before, after, index, report);
    if (zones === undefined || hasErrors(report.finish())) return undefined;
    const owners = ownersOf(model.zoneTable, zones.table, before, after);
    const recordSets = patchedRecordSets(model.zoneTable, zones.table, before, after, isServer);
    const copied = patchedCopies(zones.table, copies);
    if (owners === undefined || recordSets === undefined || copied === undefined) return undefined;
    const records = new Map(this.records);
    for (const each of before) if (isRecords(each)) records.set(idOf(each), undefined);
    for (const each of after) if (isRecords(each)) records.set(idOf(each), each);
    if (records.size > DOCUMENTS_MAX) return undefined;
    const poolPart = partOf(namesOf(before, "Pool"), pools);
    const policyPart = partOf(namesOf(before, "TrafficPolicy"), among.TrafficPolicy);
    const next = Model.of(model.documentCount + after.length - before.length, index, {
      pools: withPart(model.pools, poolPart),
      zones: copied.table,
    });
    return {
      next: new PatchedModel(next, records, uses, this.#hasHosts),
      pools: poolPart,
      policies: policyPart,
      zones: { set: zones.fresh.map((zone) => [zone.origin, zone]), removed: zones.gone },
      owners,
      recordSets,
      copies: copied.patched,
    };
  }

  /** Whether a document takes part in what is decided over many of them. */
  #isEntangled(document: Document, model: Model, pools: ReadonlyMap<string, Pool>): boolean {
    switch (document.kind) {
      case "Pool": {
        const { namespace, name } = document.metadata;
        const key = indexKey(namespace, name);
        const isShared = [...model.index.EndpointSet.values()].some(
          ({ metadata, spec }) => indexKey(metadata.namespace, spec.pool) === key,
        );
        return isShared || hasHost(document);
      }
      case "TrafficPolicy": {
        const { namespace } = document.metadata;
        const members = Object.values(document.spec.nodes).flatMap((node) => [
          ...branchesOf(node).map(({ branch }) => branch.pool),
          node.fallback?.pool,
        ]);
        const isHosted = members.some((pool) => {
          const key = indexKey(namespace, pool ?? "");
          const found = pools.get(key) ?? model.pools.get(key);
          return found !== undefined && hasHostMember(found);
        });
        return isHosted || namesHost(document) || looksAtPlaces(document);
      }
      case "Zone":
        return (
          this.#hasHosts ||
          (document.spec.file ?? document.spec.dnssec ?? document.spec.secondary) !== undefined
        );
      default:
        return false;
    }
  }

  /** The zones after a change; undefined where one cannot simply come or go. */
  #zones(
    before: readonly Document[],
    after: readonly Document[],
    index: ModelIndex,
    report: Report,
  ): { table: ZoneTable; fresh: Zone[]; gone: string[] } | undefined {
    let table = this.model.zoneTable;
    const isOfZones = [...before, ...after].some(({ kind }) => kind === "Zone");
    if (isOfZones && table.hasCatalogs) return undefined;
    const gone: string[] = [];
    for (const zone of before) {
      if (zone.kind !== "Zone") continue;
      const origin = plainName(zone.spec.origin);
      const old = table.zones.get(origin);
      table = table.without(origin);
      if (old === undefined || table.zoneOf(origin) !== undefined) return undefined;
      if (old.recordSets.size > 0) return undefined;
      if (!this.#isEmptied(old, before)) return undefined;
      gone.push(origin);
    }
    const documents = after.filter((each): each is ZoneDocument => each.kind === "Zone");
    if (documents.length === 0) return { table, fresh: [], gone };
    if (documents.some(({ spec }) => spec.catalog !== undefined)) return undefined;
    const origins = documents.map(({ spec }) => plainName(spec.origin));
    if (origins.some((origin) => table.zoneOf(origin) !== undefined)) return undefined;
    const records = new RecordTable();
    for (const each of after) {
      const isInside = each.kind === "Record" && origins.some((origin) => isBelow(each, origin));
      if (isInside) records.add(each);
    }
    const Zone = new Map(documents.map((each) => [idOf(each), each]));
    const own = { ...index, Zone, RecordSet: new Map(), records };
    const built = ZoneTable.build({ ...own, repeated: new Map() }, undefined, report);
    checkZones(built, report);
    const fresh = [...built.zones.values()];
    for (const zone of fresh) table = table.with(zone);
    return { table, fresh, gone };
  }

  /** Whether all Records of a zone go with it. */
  #isEmptied(zone: Zone, before: readonly Document[]): boolean {
    if (zone.dynamicRecords.count > CHANGES_MAX) return false;
    const going = new Set(before.map((each) => idOf(each)));
    const { model, records } = this;
    const stays = (id: string): boolean => !going.has(id) && records.get(id) !== undefined;
    const isHeld = [...zone.dynamicRecords].some((record) => {
      const id = idOf(record);
      return records.has(id) ? stays(id) : !going.has(id);
    });
    if (isHeld) return false;
    return ![...records].some(
      ([id, record]) =>
        record !== undefined && stays(id) && model.zoneOf(record.spec.name) === zone,
    );
  }
}

type ChangedRecords = ReadonlyMap<string, RecordDocument | RecordSetDocument | undefined>;

const patchedKinds: ReadonlySet<string> = new Set([
  "Record",
  "RecordSet",
  "Pool",
  "TrafficPolicy",
  "Zone",
]);

function isRecords(document: Document): document is RecordDocument | RecordSetDocument {
  return document.kind === "Record" || document.kind === "RecordSet";
}

/** Zones of views, and what is in them, are few. */
function isOfView({ spec }: Document): boolean {
  return "view" in spec && spec.view !== undefined;
}

function idOf(document: Document): string {
  return formatDocumentId(documentIdOf(document));
}

function emptyIndex(): ModelIndex {
  return {
    Site: new Map(),
    Pool: new Map(),
    EndpointSet: new Map(),
    HealthCheck: new Map(),
    TrafficPolicy: new Map(),
    View: new Map(),
    Zone: new Map(),
    RecordSet: new Map(),
    DataSet: new Map(),
    Shift: new Map(),
    records: new RecordTable(),
    repeated: new Map(),
    broken: new Map(),
  };
}

/** The documents of an index with some gone and some there; its Records as they are. */
function patchedIndex(
  index: ModelIndex,
  before: readonly Document[],
  after: readonly Document[],
): ModelIndex {
  return {
    ...index,
    Pool: withDocuments(index.Pool, before, after, (each) => each.kind === "Pool"),
    TrafficPolicy: withDocuments(
      index.TrafficPolicy,
      before,
      after,
      (each) => each.kind === "TrafficPolicy",
    ),
    Zone: withDocuments(index.Zone, before, after, (each) => each.kind === "Zone"),
  };
}

/** Those of one kind: the same map where none is among them. */
function withDocuments<Kind extends Document>(
  map: ReadonlyMap<string, Kind>,
  before: readonly Document[],
  after: readonly Document[],
  isOfKind: (document: Document) => document is Kind,
): ReadonlyMap<string, Kind> {
  const removed = before.filter(isOfKind);
  const set = after.filter(isOfKind);
  return removed.length + set.length === 0
    ? map
    : patchedMap(
        map,
        removed.map(keyOf),
        set.map((each) => [keyOf(each), each] as const),
      );
}

function keyOf(document: Document): string {
  const { namespace, name } = documentIdOf(document);
  return indexKey(namespace, name);
}

/** The changed names by zone, but those of fresh zones; undefined where one is more than once there or lies in no zone of its namespace. */
function ownersOf(
  before: ZoneTable,
  table: ZoneTable,
  removed: readonly Document[],
  added: readonly Document[],
): PatchedOwner[] | undefined {
  const owners = new Map<string, PatchedOwner>();
  for (const document of removed) {
    if (document.kind !== "Record") continue;
    const { name } = document.spec;
    const zone = before.zoneOf(name);
    if (zone === undefined || owners.has(plainName(name))) return undefined;
    // Of a zone that goes, all goes.
    if (table.zones.get(zone.origin) !== zone) continue;
    if (isServer(zone, name)) return undefined;
    owners.set(plainName(name), { zone, name, before: document, after: undefined });
  }
  const placed = new Set<string>();
  for (const document of added) {
    if (document.kind !== "Record") continue;
    const { metadata, spec } = document;
    const zone = table.zoneOf(spec.name);
    const plain = plainName(spec.name);
    if (zone === undefined || zone.document.metadata.namespace !== metadata.namespace)
      return undefined;
    if (before.zones.get(zone.origin) !== zone) continue;
    if (placed.has(plain) || isServer(zone, spec.name)) return undefined;
    placed.add(plain);
    const known = owners.get(plain);
    owners.set(plain, { zone, name: spec.name, before: known?.before, after: document });
  }
  return [...owners.values()];
}

const serversOf = new WeakMap<Zone["records"], NameTable>();

/** Whether a name is that of a name server of the zone, whose address may be a Record's. */
function isServer(zone: Zone, name: string): boolean {
  const key = new NameKey();
  const { records } = zone;
  let servers = serversOf.get(records);
  if (servers === undefined) {
    servers = new NameTable();
    for (let at = 0; at < records.count; at += 1) {
      if (records.typeAt(at) === RRType.NS) servers.add(key.setWire(records.rdataAt(at)));
    }
    serversOf.set(records, servers);
  }
  return servers.find(key.setWire(nameBytes(name))) >= 0;
}

function isBelow({ spec }: RecordDocument, origin: string): boolean {
  const name = plainName(spec.name);
  return origin === "." || name === origin || name.endsWith(`.${origin}`);
}

function namesOf(documents: readonly Document[], kind: "Pool" | "TrafficPolicy"): string[] {
  return documents.flatMap((document) => {
    const { namespace, name } = documentIdOf(document);
    return document.kind === kind ? [indexKey(namespace, name)] : [];
  });
}

function partOf<Value>(
  before: readonly string[],
  after: ReadonlyMap<string, Value>,
): PatchedPart<Value> {
  return { set: [...after], removed: before.filter((key) => !after.has(key)) };
}

function withPart<Value extends object>(
  values: ReadonlyMap<string, Value>,
  { set, removed }: PatchedPart<Value>,
): ReadonlyMap<string, Value> {
  if (set.length + removed.length === 0) return values;
  return patchedMap(values, removed, set);
}

function hasHostMember({ members }: Pool): boolean {
  for (const { spec } of members.values())
    if (addressBytes(spec.address) === undefined) return true;
  return false;
}

function hasHost({ spec }: PoolDocument): boolean {
  return Object.values(spec.members).some(({ address }) => addressBytes(address) === undefined);
}

function namesHost({ spec }: TrafficPolicyDocument): boolean {
  return Object.values(spec.nodes).some(
    (node) =>
      node.fallback?.name !== undefined ||
      branchesOf(node).some(({ branch }) => branch.name !== undefined),
  );
}

/** Whether data sets take part: they are read with whole builds. */
function looksAtPlaces({ spec }: TrafficPolicyDocument): boolean {
  return Object.values(spec.nodes).some(
    ({ geo, proximity, latency, subnet, asn }) =>
      (geo ?? proximity ?? latency ?? subnet ?? asn) !== undefined,
  );
}
