// SPDX-License-Identifier: Apache-2.0

// What was published of each zone before, read from the sections themselves, so that it is on disk with them: the sections to keep
// where a zone cannot be compiled now, and what its serial has to follow.
//
// A serial moves when the zone's content does and only then. It starts from the date (YYYYMMDDnn, RFC 1912 §2.2), so that a control
// plane whose state is lost goes on above what secondaries have seen, and is one more than the last where that is further already.

import { nameKey } from "@meridian/dns";
import { SectionKind, openSection, readPublishedZone } from "@meridian/snapshot";
import type { WrittenSection } from "@meridian/snapshot/writer";

/** A zone as it was published. */
export interface LastZone {
  readonly sections: readonly WrittenSection[];
  /** Hex; equal for equal content. */
  readonly contentHash: string;
  /** Serial of its SOA; undefined where it has none. */
  readonly serial: number | undefined;
}

/** The serial that a zone's content has, where every control of a store has to give the same one. */
export interface CompiledSerial {
  /** `historyKey` of the zone. */
  readonly key: string;
  /** Hex; equal for equal content. */
  readonly contentHash: string;
  readonly serial: number;
}

/** What a zone is known by from one publication to the next. */
export function historyKey(origin: Uint8Array, view: string | undefined): string {
  return view === undefined ? nameKey(origin) : `${nameKey(origin)}@${view}`;
}

/** Zones of which no more is known than their serials. */
export function zonesOfSerials(serials: readonly CompiledSerial[]): Map<string, LastZone> {
  return new Map(
    serials.map(({ key, contentHash, serial }) => [key, { sections: [], contentHash, serial }]),
  );
}

/** The serials of compiled zones that `known` does not have. */
export function newSerials(
  sections: readonly WrittenSection[],
  known: ReadonlyMap<string, LastZone>,
): CompiledSerial[] {
  return [...lastZones(sections)].flatMap(([key, { contentHash, serial }]) => {
    const before = known.get(key);
    const isKnown = before?.contentHash === contentHash && before.serial === serial;
    return isKnown || serial === undefined ? [] : [{ key, contentHash, serial }];
  });
}

/** The zones among published sections by `historyKey`. A zone whose sections are not all there is left out. */
export function lastZones(published: readonly WrittenSection[]): Map<string, LastZone> {
  const names = new Map(
    published.flatMap((section): [bigint, WrittenSection][] =>
      section.kind === SectionKind.names ? [[section.key, section]] : [],
    ),
  );
  const zones = new Map<string, LastZone>();
  for (const written of published) {
    if (written.kind !== SectionKind.zone) continue;
    const section = openSection(written.buffer);
    if ("error" in section) continue;
    const { origin, view, contentHash, serial, chunkKeys } = readPublishedZone(section);
    const chunks = chunkKeys.flatMap((key) => names.get(key) ?? []);
    if (chunks.length === chunkKeys.length)
      zones.set(historyKey(origin, view), { sections: [written, ...chunks], contentHash, serial });
  }
  return zones;
}

/** Serial of a zone with this content: the last one as long as the content is equal, else one after it (RFC 1982) and not before `base`. */
export function nextSerial(last: LastZone | undefined, contentHash: string, base: number): number {
  if (last?.serial === undefined) return base;
  if (last.contentHash === contentHash) return last.serial;
  if (isAfter(base, last.serial)) return base;
  // Zero follows the largest serial, but some secondaries take it for "none".
  return (last.serial + 1) >>> 0 || 1;
}

/** Whether serial `a` is greater than `b` (RFC 1982 §3.2, 32 bits). */
export function isAfter(a: number, b: number): boolean {
  const distance = (a - b) >>> 0;
  return distance > 0 && distance < 0x8000_0000;
}

/** The least serial of a day, YYYYMMDD00 in UTC. */
export function dateSerial(wallMs: number): number {
  const day = new Date(wallMs);
  return (
    day.getUTCFullYear() * 1_000_000 + (day.getUTCMonth() + 1) * 10_000 + day.getUTCDate() * 100
  );
}
