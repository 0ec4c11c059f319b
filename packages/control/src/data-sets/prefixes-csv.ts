// SPDX-License-Identifier: Apache-2.0
import type { Place } from "@meridian/snapshot";
import { type AddressPrefix, parsePrefix } from "@meridian/snapshot/writer";
import { csvLines } from "./csv.ts";
import { placeOfCountry } from "./place-of-record.ts";
import { unreadable } from "./unreadable.ts";

/** A prefix and where it is. */
export interface PlacedPrefix {
  readonly prefix: AddressPrefix;
  readonly place: Place;
}

/**
 * Reads lines `prefix,place[,latitude,longitude]`. A place is a country (`DE`), a subdivision (`US-CA`), a continent (`EU/*`), any
 * of them in the long form that explain prints (`NA/US/US-CA`), or an autonomous system (`AS64500`). The longest prefix wins.
 */
export function readPrefixesCsv(bytes: Uint8Array): PlacedPrefix[] {
  const entries: PlacedPrefix[] = [];
  for (const { number, fields } of csvLines(bytes, "prefix")) {
    const prefix = parsePrefix(fields[0] ?? "");
    const place = placeOfText(fields[1] ?? "");
    const coordinates = coordinatesOf(fields);
    if (prefix === undefined || place === undefined || coordinates === undefined) {
      throw unreadable(
        `Cannot read the data set: line ${number} is "${fields.join(",")}", expected prefix,place or prefix,place,latitude,longitude`,
      );
    }
    entries.push({ prefix, place: { ...place, ...coordinates } });
  }
  return entries;
}

function placeOfText(text: string): Place | undefined {
  const asn = /^AS([0-9]{1,10})$/.exec(text)?.[1];
  if (asn !== undefined) return Number(asn) < 2 ** 32 ? { asn: Number(asn) } : undefined;
  const continent = /^([A-Z]{2})\/\*$/.exec(text)?.[1];
  if (continent !== undefined) return { continent };
  const match = /^(?:[A-Z]{2}\/)?([A-Z]{2})(?:\/?\1?-([A-Z0-9]{1,3}))?$/.exec(text);
  const country = match?.[1];
  if (country === undefined) return undefined;
  const subdivision = match?.[2];
  return {
    ...placeOfCountry(country),
    ...(subdivision !== undefined && { subdivision: `${country}-${subdivision}` }),
  };
}

function coordinatesOf(fields: readonly string[]): Place | undefined {
  if (fields.length <= 2) return {};
  const latitude = Number(fields[2] || Number.NaN);
  const longitude = Number(fields[3] || Number.NaN);
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180
    ? { latitude, longitude }
    : undefined;
}
