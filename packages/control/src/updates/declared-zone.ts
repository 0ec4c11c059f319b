// SPDX-License-Identifier: Apache-2.0

// What the compiler knows of a zone that an update is about: who may change it, and what documents other than the store's RecordSets say of
// the names in question. Plain data: it travels between processes.

import { RRType, nameKey } from "@meridian/dns";
import {
  NameKey,
  NameTable,
  formatDocumentId,
  recordsOfSet,
  type PatchedModel,
  type RecordDocument,
  type RecordSetDocument,
  type Zone,
  type ZoneDocument,
} from "@meridian/model";
import { isStoreFile } from "../documents/document-shelf.ts";

/** A set of records that the zone's document, its master file, or a file's RecordSet holds. */
export interface DeclaredRrset {
  readonly type: number;
  readonly ttl: number;
  readonly rdatas: readonly Uint8Array[];
}

/** Of one name. */
export interface DeclaredName {
  readonly rrsets: readonly DeclaredRrset[];
  /** Types that are answered by policy. */
  readonly routed: readonly number[];
}

/** A zone as it is declared. */
export interface DeclaredZone {
  readonly metadata: ZoneDocument["metadata"];
  readonly spec: Pick<
    ZoneDocument["spec"],
    "origin" | "view" | "ttl" | "updates" | "tsigKeys" | "dnssec"
  >;
  /** In the order in which they were asked for. */
  readonly names: readonly DeclaredName[];
}

/** The zone of that name (as `Zone.key`), with what is declared of some of its names in wire form; undefined where there is none. */
export function declaredZone(
  known: PatchedModel,
  key: string,
  names: readonly Uint8Array[],
): DeclaredZone | undefined {
  const { zones } = known.model;
  const zone = zones.get(key);
  if (zone === undefined) return undefined;
  const { metadata, spec } = zone.document;
  const { ttl, updates, tsigKeys, view } = spec;
  // A zone of a view may be signed as the one of its origin that is in none.
  const dnssec = spec.dnssec ?? zones.get(zone.origin)?.document.spec.dnssec;
  const routed = routedTypes(known, zone, names);
  return {
    metadata,
    spec: { origin: spec.origin, view, ttl, updates, tsigKeys, dnssec },
    names: names.map((name) => ({
      rrsets: rrsetsOf(known, zone, name),
      routed: routed(name),
    })),
  };
}

function rrsetsOf(known: PatchedModel, zone: Zone, name: Uint8Array): DeclaredRrset[] {
  const { records, recordSets } = zone;
  const sets = new Map<number, { type: number; ttl: number; rdatas: Uint8Array[] }>();
  const owner = records.owners.find(new NameKey().setWire(name));
  for (let at = 0; owner >= 0 && at < records.count; at += 1) {
    if (records.ownerAt(at) !== owner) continue;
    const path = records.paths[records.pathAt(at)];
    const set = path === undefined ? undefined : recordSets.get(path);
    const isOther = set !== undefined && (isStoreFile(set.source.file) || isChanged(known, set));
    if (isOther) continue;
    const type = records.typeAt(at);
    const found = sets.get(type) ?? { type, ttl: records.ttlAt(at), rdatas: [] };
    found.rdatas.push(Uint8Array.from(records.rdataAt(at)));
    sets.set(type, found);
  }
  return [...sets.values(), ...changedSetsAt(known, zone, name)];
}

function isChanged({ records }: PatchedModel, { metadata }: RecordSetDocument): boolean {
  const { namespace, name } = metadata;
  return records.has(formatDocumentId({ kind: "RecordSet", namespace, name }));
}

/** Of files, since all was read. */
function changedSetsAt(
  { records }: PatchedModel,
  { document }: Zone,
  name: Uint8Array,
): DeclaredRrset[] {
  return [...records.values()].flatMap((set): DeclaredRrset[] => {
    if (set?.kind !== "RecordSet" || isStoreFile(set.source.file)) return [];
    if (set.spec.view !== document.spec.view) return [];
    const found = recordsOfSet(document, set);
    const [first] = found;
    if (first === undefined || nameKey(first.owner) !== nameKey(name)) return [];
    const { type, ttl } = first;
    return [{ type, ttl, rdatas: found.map(({ rdata }) => rdata) }];
  });
}

/** The types of Records at each of some names. */
function routedTypes(
  known: PatchedModel,
  { dynamicRecords, document: { spec: zoneSpec } }: Zone,
  names: readonly Uint8Array[],
): (name: Uint8Array) => readonly number[] {
  const key = new NameKey();
  const wanted = new NameTable();
  for (const name of names) wanted.add(key.setWire(name));
  const routed = new Map<number, number[]>();
  const note = ({ spec }: RecordDocument): void => {
    const text = Buffer.from(spec.name);
    const number = wanted.find(key.setText(text, 0, text.length));
    if (number < 0) return;
    routed.set(number, [...(routed.get(number) ?? []), ...spec.types.map((type) => RRType[type])]);
  };
  const { table, indices } = dynamicRecords;
  const { bytes } = table.names;
  for (const record of indices) {
    const start = table.ownerStart(record);
    if (wanted.find(key.setText(bytes, start, start + table.ownerBytes(record))) < 0) continue;
    const document = table.document(record);
    const { namespace, name } = document.metadata;
    if (!known.records.has(formatDocumentId({ kind: "Record", namespace, name }))) note(document);
  }
  for (const record of known.records.values())
    if (record?.kind === "Record" && record.spec.view === zoneSpec.view) note(record);
  return (name) => routed.get(wanted.find(key.setWire(name))) ?? [];
}
