// SPDX-License-Identifier: Apache-2.0

// Builds the location map of a data set. The section's key names the content and this code's version, so that a classifier links to
// exactly the map that it was compiled with, and a built map can be kept on disk (map-cache.ts).

import { createHash } from "node:crypto";
import { key64 } from "@meridian/core";
import type { Place } from "@meridian/snapshot";
import {
  LocationMapWriter,
  type RangePartition,
  type WrittenSection,
} from "@meridian/snapshot/writer";
import { readAsnCsv } from "./asn-csv.ts";
import { openMmdb, readMmdb } from "./mmdb-tree.ts";
import { placeOfRecord } from "./place-of-record.ts";
import { readPrefixesCsv } from "./prefixes-csv.ts";

/** Grows when the same data would give another map. */
export const LOCATION_MAP_VERSION = 1;

/** Kinds of data set that a location map is built from. */
export type LocationMapKind = "country" | "city" | "asn" | "prefixes";

/** SHA-256 (hex) that names the content of a data set of one or more files. */
export function contentSha256(files: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const bytes of files) hash.update(bytes);
  return hash.digest("hex");
}

/** Builds the map of a data set of any kind; throws `DATA_SET_UNREADABLE`. */
export function buildLocationMap(
  kind: LocationMapKind,
  files: readonly Uint8Array[],
): WrittenSection {
  switch (kind) {
    case "country":
    case "city":
      return buildCountryMap(files[0] ?? new Uint8Array());
    case "asn":
      return buildAsnMap(files);
    case "prefixes":
      return buildPrefixesMap(files[0] ?? new Uint8Array());
  }
}

/** The map of a country or city MaxMind DB, of MaxMind's schema or the flat one. */
export function buildCountryMap(bytes: Uint8Array): WrittenSection {
  return fromMmdb(bytes, "places");
}

/** The map of an ASN data set: one MaxMind DB, or CSV files whose ranges do not overlap. */
export function buildAsnMap(files: readonly Uint8Array[]): WrittenSection {
  const [first] = files;
  if (first !== undefined && isMmdb(first)) return fromMmdb(first, "places");
  const places: Place[] = [];
  const ids = new Map<number, number>();
  const ranges = readAsnCsv(files, (asn) => {
    let id = ids.get(asn);
    if (id === undefined) {
      places.push({ asn });
      id = places.length;
      ids.set(asn, id);
    }
    return id;
  });
  return written("asn", files, places, ranges);
}

/** The map of a CSV of prefixes and places. */
export function buildPrefixesMap(bytes: Uint8Array): WrittenSection {
  const writer = new LocationMapWriter(mapKey("prefixes", [bytes]));
  for (const { prefix, place } of readPrefixesCsv(bytes)) {
    writer.add(prefix, writer.location(place));
  }
  return writer.finish();
}

/** Whether bytes end as a MaxMind DB does: its metadata lie within the last 128 KiB. */
export function isMmdb(bytes: Uint8Array): boolean {
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).subarray(-131_072);
  return end.includes(Buffer.from("\u00ab\u00cd\u00efMaxMind.com", "latin1"));
}

function fromMmdb(bytes: Uint8Array, label: string): WrittenSection {
  const writer = new LocationMapWriter(mapKey(label, [bytes]));
  const ranges = readMmdb(openMmdb(bytes), (data) => writer.location(placeOfRecord(data)));
  writer.useRanges(ranges);
  return writer.finish();
}

function written(
  label: string,
  files: readonly Uint8Array[],
  places: readonly Place[],
  ranges: RangePartition,
): WrittenSection {
  const writer = new LocationMapWriter(mapKey(label, files));
  for (const place of places) writer.location(place);
  writer.useRanges(ranges);
  return writer.finish();
}

function mapKey(label: string, files: readonly Uint8Array[]): bigint {
  return key64(`location-map/${label}/${contentSha256(files)}/${LOCATION_MAP_VERSION}`);
}
