// SPDX-License-Identifier: Apache-2.0

// What has changed in zones since this worker began, for who has an earlier serial (IXFR, RFC 1995). Two snapshots are compared when the
// second is served, names section by names section, those that are the same not at all. What is kept is bounded; who has an older
// serial than is kept gets the zone as a whole.

import {
  readTransferSettings,
  type LoadedZone,
  type TransferAs,
  type WalkedRecord,
  type World,
} from "@meridian/snapshot";
import { RoutedRecords } from "./routed-records.ts";
import { keyOf } from "./whole-zone.ts";
import { contentsOfChunk, startOf } from "./zone-contents.ts";

const CHANGES_MAX = 256;
/** Of one zone. */
const BYTES_MAX = 8 * 1024 * 1024;
/** Owners in names sections that are other ones: to compare more would hold up connections. */
const OWNERS_MAX = 65_536;
const RECORD_BYTES = 64;

/** From one serial to the next. */
export interface ZoneChange {
  readonly from: number;
  readonly to: number;
  /** The SOA of either. */
  readonly before: WalkedRecord;
  readonly after: WalkedRecord;
  readonly removed: readonly WalkedRecord[];
  readonly added: readonly WalkedRecord[];
  readonly bytes: number;
}

/** Equal for the same zone in two snapshots, another one for each of its views. */
export function zoneId({ key }: LoadedZone): string {
  return String(key);
}

export class ZoneChanges {
  /** By `zoneId`, oldest first. */
  readonly #changes = new Map<string, ZoneChange[]>();

  /** What leads from one serial to another; undefined where not all of it is kept. */
  between(zone: LoadedZone, from: number, to: number): readonly ZoneChange[] | undefined {
    const kept = this.#changes.get(zoneId(zone)) ?? [];
    const first = kept.findIndex((change) => change.from === from);
    return first < 0 || kept.at(-1)?.to !== to ? undefined : kept.slice(first);
  }

  /** `after` takes the place of `before`. Zones that are prepared are not looked at: what changes in them is given to `keep()`. */
  note(before: World, after: World, isPrepared: (zone: LoadedZone) => boolean): void {
    const isSameRouting = before.routing === after.routing;
    const zonesBefore = new Map(before.zones.zones.map((zone) => [zoneId(zone), zone]));
    const origins = new Set<string>();
    for (const zone of after.zones.zones) {
      const settings = readTransferSettings(zone.section);
      if (settings === undefined) continue;
      const origin = zoneId(zone);
      origins.add(origin);
      if (isPrepared(zone)) continue;
      const last = zonesBefore.get(origin);
      if (last === undefined) this.#changes.delete(origin);
      else
        this.#noteZone(origin, [before, last], [after, zone], settings.transferAs, isSameRouting);
    }
    for (const origin of this.#changes.keys())
      if (!origins.has(origin)) this.#changes.delete(origin);
  }

  #noteZone(
    origin: string,
    [worldBefore, before]: readonly [World, LoadedZone],
    [worldAfter, after]: readonly [World, LoadedZone],
    as: TransferAs,
    isSameRouting: boolean,
  ): void {
    const from = startOf(before);
    const to = startOf(after);
    const asBefore = readTransferSettings(before.section)?.transferAs;
    const isSameForm = as === "omit" || isSameRouting;
    const isSameZone = before.section.checksum === after.section.checksum;
    if (isSameZone && isSameForm) return;
    const isLaid = before.chunkCount === after.chunkCount && as === asBefore;
    const changed = Array.from({ length: after.chunkCount }, (_, chunk) => chunk).filter(
      (chunk) => !isSameForm || !isLaid || !isSameChunk(before, after, chunk),
    );
    const isSmall = (changed.length / after.chunkCount) * after.ownerCount <= OWNERS_MAX;
    if (from === undefined || to === undefined || !isLaid || !isSmall) {
      this.#changes.delete(origin);
      return;
    }
    // Another content under one serial: what was sent of it before leads nowhere.
    if (from.serial === to.serial) {
      if (changed.length > 0) this.#changes.delete(origin);
      return;
    }
    const routedBefore = new RoutedRecords(worldBefore, as, { zone: before });
    const routedAfter = new RoutedRecords(worldAfter, as, { zone: after });
    const removed = new Map<string, WalkedRecord>();
    const added = new Map<string, WalkedRecord>();
    for (const chunk of changed) {
      for (const record of contentsOfChunk(before, chunk, routedBefore))
        removed.set(keyOf(record), record);
      for (const record of contentsOfChunk(after, chunk, routedAfter)) {
        const key = keyOf(record);
        if (!removed.delete(key)) added.set(key, record);
      }
    }
    this.keep(origin, {
      from: from.serial,
      to: to.serial,
      before: copyOf(from.record),
      after: copyOf(to.record),
      removed: [...removed.values()].map(copyOf),
      added: [...added.values()].map(copyOf),
    });
  }

  /** Nothing leads from what a zone was before to what it is. */
  forget(origin: string): void {
    this.#changes.delete(origin);
  }

  keep(origin: string, unsized: Omit<ZoneChange, "bytes">): void {
    const change = { ...unsized, bytes: bytesOf(unsized.removed) + bytesOf(unsized.added) };
    const known = this.#changes.get(origin) ?? [];
    const kept = known.at(-1)?.to === change.from ? known : [];
    kept.push(change);
    let bytes = kept.reduce((sum, each) => sum + each.bytes, 0);
    while (kept.length > CHANGES_MAX || bytes > BYTES_MAX) bytes -= kept.shift()?.bytes ?? bytes;
    this.#changes.set(origin, kept);
  }
}

function isSameChunk(before: LoadedZone, after: LoadedZone, chunk: number): boolean {
  return before.chunkChecksum(chunk) === after.chunkChecksum(chunk);
}

/** Without the snapshot that it lies in. */
function copyOf(record: WalkedRecord): WalkedRecord {
  return { ...record, rdata: record.rdata.slice() };
}

function bytesOf(records: readonly WalkedRecord[]): number {
  return records.reduce(
    (sum, { owner, rdata }) => sum + owner.length + rdata.length + RECORD_BYTES,
    0,
  );
}
