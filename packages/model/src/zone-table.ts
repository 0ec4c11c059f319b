// SPDX-License-Identifier: Apache-2.0
// Zones by origin, each with its static records and the Records whose names lie in it.
import type { RecordDocument, ZoneDocument } from "./documents.ts";
import { isWithin, parentText, plainName } from "./checks/zones.ts";
import type { ModelIndex } from "./model-index.ts";
import type { Report } from "./report.ts";
import { nameBytes, type ReadFile, readZone, type StaticRecord } from "./zone-data.ts";

/** A zone as it is served. */
export interface Zone {
  readonly document: ZoneDocument;
  /** Lower case, without the last dot; `.` for the root. */
  readonly origin: string;
  /** The origin in wire form. */
  readonly apex: Uint8Array;
  /** SOA, NS, glue and all other static records; the SOA's serial is 1 where none is fixed. */
  readonly records: readonly StaticRecord[];
  /** Records bound to a policy or pool. */
  readonly dynamicRecords: readonly RecordDocument[];
}

/** All zones. */
export class ZoneTable {
  /** By origin. */
  readonly zones: ReadonlyMap<string, Zone>;
  /** Whether master files were read. */
  readonly readsFiles: boolean;

  private constructor(zones: ReadonlyMap<string, Zone>, readsFiles: boolean) {
    this.zones = zones;
    this.readsFiles = readsFiles;
  }

  /** Reads the zones and puts each Record in its own; what cannot be is reported. */
  static build(index: ModelIndex, readFile: ReadFile | undefined, report: Report): ZoneTable {
    const zones = new Map<string, Zone & { readonly dynamicRecords: RecordDocument[] }>();
    for (const document of index.Zone.values()) {
      const origin = plainName(document.spec.origin);
      const first = zones.get(origin);
      if (first !== undefined) {
        report.error(document, {
          code: "document-duplicate",
          path: ["spec", "origin"],
          found: `${origin} again after ${first.document.source.file}:${first.document.source.line}`,
          said: true,
          wanted: "each zone in one document",
        });
        continue;
      }
      const apex = nameBytes(document.spec.origin);
      const records = readZone(document, readFile, report);
      zones.set(origin, { document, origin, apex, records, dynamicRecords: [] });
    }
    const table = new ZoneTable(zones, readFile !== undefined);
    const isSomeBroken = index.broken.has("Zone");
    const find = zoneFinder(zones);
    for (const record of index.Record.values()) {
      const zone = find(plainName(record.spec.name));
      if (zone !== undefined && zone.document.metadata.namespace === record.metadata.namespace) {
        zone.dynamicRecords.push(record);
      } else if (!isSomeBroken) reportOutside(record, zone, zones, report);
    }
    return table;
  }

  /** The deepest zone that a name lies in. */
  zoneOf(name: string): Zone | undefined {
    return zoneAround(this.zones, plainName(name));
  }
}

/**
 * Looks names up as `zoneAround` does. Of few zones the ends of names are compared, which costs a
 * third of making the names of all ancestors.
 */
function zoneFinder<Each extends Zone>(
  zones: ReadonlyMap<string, Each>,
): (plain: string) => Each | undefined {
  if (zones.size > comparedZonesMax || zones.has(".")) return (plain) => zoneAround(zones, plain);
  const deepestFirst = [...zones.values()].toSorted((a, b) => b.origin.length - a.origin.length);
  return (plain) => deepestFirst.find(({ origin }) => isWithin(plain, origin));
}

const comparedZonesMax = 8;

function zoneAround<Each extends Zone>(
  zones: ReadonlyMap<string, Each>,
  plain: string,
): Each | undefined {
  for (let name = plain; name !== ""; name = parentText(name)) {
    const zone = zones.get(name);
    if (zone !== undefined) return zone;
  }
  return zones.get(".");
}

function reportOutside(
  record: RecordDocument,
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
