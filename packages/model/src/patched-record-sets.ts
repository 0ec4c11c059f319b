// SPDX-License-Identifier: Apache-2.0

// What a change of RecordSets, or of the copy of a secondary zone, makes of the records of zones: those of a name and type before and after.
// What a zone is made of otherwise is not looked at here: who compiles the change finds whether the records before are all that is there.

import { nameKey, type ZoneRecord } from "@meridian/dns";
import type { Document, RecordSetDocument, ZoneDocument } from "./documents.ts";
import { hasErrors } from "./reading.ts";
import { Report } from "./report.ts";
import { StaticRecords } from "./static-records.ts";
import type { ZoneCopyFacts } from "./zone-copy.ts";
import { readRecordSet } from "./zone-data.ts";
import type { Zone, ZoneTable } from "./zone-table.ts";

/** Records of one name and type in one zone, before and after a change. */
export interface PatchedRecords {
  readonly zone: Zone;
  /** In wire form, lower case. */
  readonly owner: Uint8Array;
  readonly type: number;
  readonly before: readonly ZoneRecord[];
  readonly after: readonly ZoneRecord[];
}

/** How the copy of a secondary zone has changed. */
export interface CopyChange {
  readonly origin: string;
  readonly facts: ZoneCopyFacts;
  readonly changes: readonly Omit<PatchedRecords, "zone">[];
}

/** A secondary zone with another copy. */
export interface PatchedCopy {
  readonly zone: Zone;
  readonly changes: readonly PatchedRecords[];
}

/**
 * The records that RecordSets held which are gone and those that came; undefined where one is wrong, lies in no zone of its own that was there
 * before, or says again what another one says. `isServer` tells the names of a zone's name servers.
 */
export function patchedRecordSets(
  before: ZoneTable,
  table: ZoneTable,
  removed: readonly Document[],
  added: readonly Document[],
  isServer: (zone: Zone, name: string) => boolean,
): PatchedRecords[] | undefined {
  const patched = new Map<string, PatchedRecords>();
  const put = (document: RecordSetDocument, side: "before" | "after"): boolean => {
    const zone = table.zoneOf(document.spec.name);
    const records = zone === undefined ? [] : recordsOfSet(zone.document, document);
    const [first] = records;
    if (zone === undefined || first === undefined) return false;
    // Of a zone that has just come, all is in it already.
    if (before.zones.get(zone.origin) !== zone || isServer(zone, document.spec.name)) return false;
    const { owner, type } = first;
    const key = `${type} ${nameKey(owner)}`;
    const known = patched.get(key) ?? { zone, owner, type, before: [], after: [] };
    if (known[side].length > 0) return false;
    patched.set(key, { ...known, [side]: records });
    return true;
  };
  const isPut = (documents: readonly Document[], side: "before" | "after"): boolean =>
    documents.every((document) => document.kind !== "RecordSet" || put(document, side));
  return isPut(removed, "before") && isPut(added, "after") ? [...patched.values()] : undefined;
}

/** The zones whose copies have changed; undefined where one has to be read as a whole. */
export function patchedCopies(
  table: ZoneTable,
  copies: readonly CopyChange[],
): { readonly table: ZoneTable; readonly patched: readonly PatchedCopy[] } | undefined {
  let next = table;
  const patched: PatchedCopy[] = [];
  for (const { origin, facts, changes } of copies) {
    const zone = table.zones.get(origin);
    // Of a zone that is none any more, or does not come from elsewhere.
    if (zone?.copy === undefined) continue;
    if (zone.copy.partCount !== facts.partCount) return undefined;
    // What a catalog lists is zones.
    if (zone.document.spec.secondary?.catalog === true && changes.length > 0) return undefined;
    const changed = { ...zone, copy: facts };
    next = next.with(changed);
    patched.push({
      zone: changed,
      changes: changes.map((each) => ({ ...each, zone: changed })),
    });
  }
  return { table: next, patched };
}

/** The records of a set; none where it does not belong into the zone, or something is wrong with it. */
export function recordsOfSet(zone: ZoneDocument, set: RecordSetDocument): readonly ZoneRecord[] {
  const isOwn = zone.metadata.namespace === set.metadata.namespace;
  if (!isOwn || zone.spec.secondary !== undefined) return [];
  const report = new Report();
  const records = new StaticRecords();
  readRecordSet(zone, set, records, report);
  return hasErrors(report.finish()) ? [] : [...records];
}
