// SPDX-License-Identifier: Apache-2.0
// Documents by kind and name. Built first and whole, so that every check can look up any document.
import {
  type DataSetDocument,
  type Document,
  type DocumentId,
  documentIdOf,
  type EndpointSetDocument,
  formatDocumentId,
  type HealthCheckDocument,
  type Kind,
  type PoolDocument,
  type RecordDocument,
  type RecordSetDocument,
  type ShiftDocument,
  type SiteDocument,
  type TrafficPolicyDocument,
  type ViewDocument,
  type ZoneDocument,
} from "./documents.ts";
import type { RecordTable } from "./record-table.ts";
import type { Report } from "./report.ts";

/** Documents by `NAMESPACE/NAME`, or by name where the kind belongs to no tenant. */
export interface ModelIndex {
  readonly Site: ReadonlyMap<string, SiteDocument>;
  readonly Pool: ReadonlyMap<string, PoolDocument>;
  readonly EndpointSet: ReadonlyMap<string, EndpointSetDocument>;
  readonly HealthCheck: ReadonlyMap<string, HealthCheckDocument>;
  readonly TrafficPolicy: ReadonlyMap<string, TrafficPolicyDocument>;
  readonly View: ReadonlyMap<string, ViewDocument>;
  readonly Zone: ReadonlyMap<string, ZoneDocument>;
  readonly RecordSet: ReadonlyMap<string, RecordSetDocument>;
  readonly DataSet: ReadonlyMap<string, DataSetDocument>;
  readonly Shift: ReadonlyMap<string, ShiftDocument>;
  readonly records: RecordTable;
  /** Those of `records` that are there a second time, and are not looked at. */
  readonly repeated: ReadonlyMap<number, number>;
  /** Documents that are there but broken, by kind; what names them is not reported. */
  readonly broken: ReadonlyMap<Kind, ReadonlySet<string>>;
}

/** The kinds of which another document may name one. */
export type NamedKind = Exclude<Kind, "Record">;

/** The key of a document within its kind; a reference that names a namespace is one already. */
export function indexKey(namespace: string, name: string): string {
  return namespace === "" || name.includes("/") ? name : `${namespace}/${name}`;
}

/** Indexes documents, reporting those that are there twice. Records among `documents` join `records`. */
export function indexDocuments(
  documents: readonly Document[],
  records: RecordTable,
  broken: readonly DocumentId[],
  report: Report,
): ModelIndex {
  const index = {
    Site: new Map<string, SiteDocument>(),
    Pool: new Map<string, PoolDocument>(),
    EndpointSet: new Map<string, EndpointSetDocument>(),
    HealthCheck: new Map<string, HealthCheckDocument>(),
    TrafficPolicy: new Map<string, TrafficPolicyDocument>(),
    View: new Map<string, ViewDocument>(),
    Zone: new Map<string, ZoneDocument>(),
    RecordSet: new Map<string, RecordSetDocument>(),
    DataSet: new Map<string, DataSetDocument>(),
    Shift: new Map<string, ShiftDocument>(),
  };
  for (const document of documents) {
    if (document.kind === "Record") {
      records.add(document);
      continue;
    }
    const { metadata } = document;
    const key =
      "namespace" in metadata ? indexKey(metadata.namespace, metadata.name) : metadata.name;
    const first: Document | undefined = index[document.kind].get(key);
    if (first === undefined) addDocument(index, key, document);
    else reportRepeated(document, first, report);
  }
  const repeated = records.duplicates();
  for (const [later, first] of repeated)
    reportRepeated(records.document(later), records.document(first), report);
  return { ...index, records, repeated, broken: brokenByKind(broken) };
}

function reportRepeated(document: Document, first: Document, report: Report): void {
  const where = `${first.source.file}:${first.source.line}`;
  report.error(document, {
    code: "document-duplicate",
    path: ["metadata", "name"],
    found: `${JSON.stringify(document.metadata.name)} again after ${where}`,
    said: true,
    wanted: `each ${formatDocumentId(documentIdOf(document))} once`,
  });
}

type Mutable = {
  [K in NamedKind]: Map<string, Extract<Document, { readonly kind: K }>>;
};

function addDocument(
  index: Mutable,
  key: string,
  document: Exclude<Document, RecordDocument>,
): void {
  switch (document.kind) {
    case "Site":
      index.Site.set(key, document);
      break;
    case "Pool":
      index.Pool.set(key, document);
      break;
    case "EndpointSet":
      index.EndpointSet.set(key, document);
      break;
    case "HealthCheck":
      index.HealthCheck.set(key, document);
      break;
    case "TrafficPolicy":
      index.TrafficPolicy.set(key, document);
      break;
    case "View":
      index.View.set(key, document);
      break;
    case "Zone":
      index.Zone.set(key, document);
      break;
    case "RecordSet":
      index.RecordSet.set(key, document);
      break;
    case "DataSet":
      index.DataSet.set(key, document);
      break;
    case "Shift":
      index.Shift.set(key, document);
      break;
  }
}

function brokenByKind(broken: readonly DocumentId[]): Map<Kind, Set<string>> {
  const byKind = new Map<Kind, Set<string>>();
  for (const { kind, namespace, name } of broken) {
    const keys = byKind.get(kind) ?? new Set();
    byKind.set(kind, keys.add(indexKey(namespace, name)));
  }
  return byKind;
}
