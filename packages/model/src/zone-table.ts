// SPDX-License-Identifier: Apache-2.0
// Zones by origin, each with its static records and the Records whose names lie in it.
import type { RecordDocument, RecordSetDocument, ZoneDocument } from "./documents.ts";
import { parentText, plainName } from "./checks/zones.ts";
import type { ModelIndex } from "./model-index.ts";
import { RecordList, type RecordTable } from "./record-table.ts";
import type { Report } from "./report.ts";
import type { StaticRecords } from "./static-records.ts";
import { addCatalog } from "./zone-catalog.ts";
import { listedZones } from "./catalog-members.ts";
import type { ZoneCopyFacts } from "./zone-copy.ts";
import type { Path } from "./problem.ts";
import { nameBytes, type ReadFile, readRecordSet, readZone } from "./zone-data.ts";

/** What a zone of a view is called: its origin, `@` and the view; a zone of no view by its origin alone. */
export function zoneKeyOf(origin: string, view: string | undefined): string {
  return view === undefined ? origin : `${origin}@${view}`;
}

/** A zone as it is served. */
export interface Zone {
  readonly document: ZoneDocument;
  /** `zoneKeyOf`: no two zones have the same. */
  readonly key: string;
  /** Lower case, without the last dot; `.` for the root. */
  readonly origin: string;
  /** The origin in wire form. */
  readonly apex: Uint8Array;
  /** SOA, NS, glue and all other static records; the SOA's serial is 1 where none is fixed. */
  readonly records: StaticRecords;
  /** The RecordSets among them, by the path that their records have. */
  readonly recordSets: ReadonlyMap<Path, RecordSetDocument>;
  /** Records bound to a policy or pool. */
  readonly dynamicRecords: RecordList;
  /** Of a secondary zone. */
  readonly copy?: ZoneCopyFacts;
}

/** All zones. */
export class ZoneTable {
  /** By key. */
  readonly zones: ReadonlyMap<string, Zone>;
  /** Whether master files were read. */
  readonly readsFiles: boolean;

  private constructor(zones: ReadonlyMap<string, Zone>, readsFiles: boolean) {
    this.zones = zones;
    this.readsFiles = readsFiles;
  }

  /** Reads the zones and puts each Record in its own; what cannot be is reported. */
  static build(index: ModelIndex, readFile: ReadFile | undefined, report: Report): ZoneTable {
    const zones = new Map<string, Zone & { readonly recordSets: Map<Path, RecordSetDocument> }>();
    for (const document of index.Zone.values()) {
      const origin = plainName(document.spec.origin);
      const key = zoneKeyOf(origin, document.spec.view);
      const first = zones.get(key);
      if (first !== undefined) {
        report.error(document, {
          code: "document-duplicate",
          path: ["spec", "origin"],
          found: `${key} again after ${first.document.source.file}:${first.document.source.line}`,
          said: true,
          wanted: "each zone in one document",
        });
        continue;
      }
      const apex = nameBytes(document.spec.origin);
      const data = readZone(document, readFile, report);
      const dynamicRecords = new RecordList(index.records);
      const recordSets = new Map<Path, RecordSetDocument>();
      zones.set(key, { document, key, origin, apex, ...data, recordSets, dynamicRecords });
    }
    for (const document of listedZones(zones.values())) {
      const origin = plainName(document.spec.origin);
      if (zones.has(origin)) continue;
      const apex = nameBytes(document.spec.origin);
      const data = readZone(document, readFile, report);
      const dynamicRecords = new RecordList(index.records);
      zones.set(origin, {
        ...{ document, key: origin, origin, apex, dynamicRecords, recordSets: new Map() },
        ...data,
      });
    }
    for (const zone of zones.values())
      if (zone.document.spec.catalog !== undefined) addCatalog(zone, zones.values(), zone.records);
    const table = new ZoneTable(zones, readFile !== undefined);
    placeRecordSets(index, zones, report);
    placeRecords(index, zones, report);
    return table;
  }

  /** Whether a zone that comes or goes changes another one, which lists it. */
  get hasCatalogs(): boolean {
    for (const { document } of this.zones.values())
      if (document.spec.catalog !== undefined) return true;
    return false;
  }

  /** The same with one zone more. */
  with(zone: Zone): ZoneTable {
    return new ZoneTable(new Map(this.zones).set(zone.key, zone), this.readsFiles);
  }

  without(key: string): ZoneTable {
    const zones = new Map(this.zones);
    zones.delete(key);
    return new ZoneTable(zones, this.readsFiles);
  }

  /** The deepest zone of a view that a name lies in; of none where it is left out. */
  zoneOf(name: string, view?: string): Zone | undefined {
    return zoneAround(this.zones, plainName(name), view);
  }
}

/** Puts each RecordSet among the records of the deepest zone that its name lies in; those outside are reported. */
function placeRecordSets(
  index: ModelIndex,
  zones: ReadonlyMap<string, Zone & { readonly recordSets: Map<Path, RecordSetDocument> }>,
  report: Report,
): void {
  const isSomeBroken = index.broken.has("Zone");
  for (const set of index.RecordSet.values()) {
    const zone = zoneAround(zones, plainName(set.spec.name), set.spec.view);
    if (zone !== undefined && zone.document.metadata.namespace === set.metadata.namespace) {
      const path = readRecordSet(zone.document, set, zone.records, report);
      if (path !== undefined) zone.recordSets.set(path, set);
    } else if (!isSomeBroken) reportOutside(set, zone, zones, report);
  }
}

/** Puts each Record in the deepest zone that its name lies in; those outside are reported. */
function placeRecords(index: ModelIndex, zones: ReadonlyMap<string, Zone>, report: Report): void {
  const { records, repeated } = index;
  const isSomeBroken = index.broken.has("Zone");
  const find = zoneFinder(zones, records);
  for (let at = 0; at < records.count; at += 1) {
    if (repeated.has(at)) continue;
    const zone = find(at);
    const namespace = records.shapes[records.shapeAt(at)]?.metadata.namespace;
    if (zone !== undefined && zone.document.metadata.namespace === namespace) {
      zone.dynamicRecords.push(at);
    } else if (!isSomeBroken) reportOutside(records.document(at), zone, zones, report);
  }
}

/**
 * Looks names of Records up as `zoneAround` does. Of few zones the ends of the names are compared,
 * which costs a tenth of making the names of all ancestors.
 */
function zoneFinder(
  zones: ReadonlyMap<string, Zone>,
  records: RecordTable,
): (record: number) => Zone | undefined {
  const views = records.shapes.map(({ spec }) => spec.view);
  if (zones.size > comparedZonesMax || [...zones.values()].some(({ origin }) => origin === ".")) {
    return (record) =>
      zoneAround(zones, plainName(records.ownerText(record)), views[records.shapeAt(record)]);
  }
  const ends = [...zones.values()]
    .toSorted((a, b) => b.origin.length - a.origin.length)
    .map((zone) => ({ zone, origin: Buffer.from(zone.origin) }));
  const { bytes } = records.names;
  return (record) => {
    const start = records.ownerStart(record);
    const textEnd = start + records.ownerBytes(record);
    const end = bytes[textEnd - 1] === DOT ? textEnd - 1 : textEnd;
    const view = views[records.shapeAt(record)];
    return ends.find(
      ({ origin, zone }) => zone.document.spec.view === view && endsIn(bytes, start, end, origin),
    )?.zone;
  };
}

const comparedZonesMax = 8;
const DOT = 0x2e;

/** Whether the name `bytes[start..end)`, of any letter case, is another in lower case or below it. */
function endsIn(bytes: Uint8Array, start: number, end: number, origin: Uint8Array): boolean {
  const from = end - origin.length;
  if (from < start || (from > start && bytes[from - 1] !== DOT)) return false;
  for (let index = 0; index < origin.length; index += 1) {
    const byte = bytes[from + index] ?? 0;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== origin[index]) return false;
  }
  return true;
}

function zoneAround<Each extends Zone>(
  zones: ReadonlyMap<string, Each>,
  plain: string,
  view: string | undefined,
): Each | undefined {
  for (let name = plain; name !== ""; name = parentText(name)) {
    const zone = zones.get(zoneKeyOf(name, view));
    if (zone !== undefined) return zone;
  }
  return zones.get(zoneKeyOf(".", view));
}

function reportOutside(
  record: RecordDocument | RecordSetDocument,
  zone: Zone | undefined,
  zones: ReadonlyMap<string, Zone>,
  report: Report,
): void {
  const path = ["spec", "name"];
  const { name } = record.spec;
  if (zone !== undefined) {
    const { namespace } = zone.document.metadata;
    report.error(record, {
      code: "name-outside-zone",
      path,
      found: `"${name}", in the zone ${zone.origin} of namespace "${namespace}"`,
      said: true,
      wanted: `a zone of namespace "${record.metadata.namespace}"`,
    });
    return;
  }
  const origins = [...zones.keys()];
  const shown = origins.slice(0, 5).join(", ") + (origins.length > 5 ? ", …" : "");
  const wanted = origins.length === 0 ? "a Zone to put it in" : `a name in ${shown}`;
  report.error(record, { code: "name-outside-zone", path, found: name, wanted });
}
