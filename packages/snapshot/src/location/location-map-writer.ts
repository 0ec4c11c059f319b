// SPDX-License-Identifier: Apache-2.0
import { assert } from "@meridian/core";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { SectionKind } from "../section.ts";
import {
  DEGREE_STEPS,
  LocationTableId,
  NO_COORDINATE,
  NOWHERE,
  PLACE_BYTES,
  type Place,
} from "./location-map.ts";
import type { AddressPrefix } from "./prefix.ts";
import { flattenPrefixes, RangePartition, writeRanges } from "./range-partition.ts";

/** Most locations of one map: a classifier's table has an entry for each. */
export const LOCATIONS_MAX: number = 1 << 22;

/**
 * Builds the section of a location map. Give either ranges in address order (`ranges.set4`, `ranges.set6`) or, in any order,
 * prefixes that may nest; equal places share one id. The same input gives the same bytes.
 */
export class LocationMapWriter {
  /** Ranges added in address order; not used where prefixes are. */
  ranges: RangePartition = new RangePartition(NOWHERE);
  readonly #key: bigint;
  readonly #places: Place[] = [{}];
  readonly #ids = new Map<string, number>([[placeKey({}), NOWHERE]]);
  readonly #prefixes: { readonly prefix: AddressPrefix; readonly value: number }[] = [];

  constructor(key: bigint) {
    this.#key = key;
  }

  /** Location id of a place; the empty place is 0. */
  location(place: Place): number {
    const key = placeKey(place);
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = this.#places.length;
      assert(id < LOCATIONS_MAX, "locations are bounded");
      this.#places.push(place);
      this.#ids.set(key, id);
    }
    return id;
  }

  /** Puts a prefix somewhere; inside it longer prefixes win, of equal ones the last given. */
  add(prefix: AddressPrefix, location: number): void {
    this.#prefixes.push({ prefix, value: location });
  }

  /** Takes ranges that were cut elsewhere, their values location ids of this writer. */
  useRanges(ranges: RangePartition): void {
    this.ranges = ranges;
  }

  finish(): WrittenSection {
    const ranges =
      this.#prefixes.length === 0 ? this.ranges : flattenPrefixes(this.#prefixes, NOWHERE);
    const writer = new SectionWriter(SectionKind.locationMap, this.#key);
    writeRanges(writer, ranges.withEmbedded());
    const places = new Uint32Array(this.#places.length * (PLACE_BYTES / 4));
    this.#places.forEach((place, id) => writePlace(writer, places, id, place));
    writer.table(LocationTableId.places, PLACE_BYTES, places);
    return writer.finish();
  }
}

function writePlace(writer: SectionWriter, places: Uint32Array, id: number, place: Place): void {
  const at = id * (PLACE_BYTES / 4);
  places[at] = code(place.continent) | (code(place.country) << 16);
  if (place.subdivision !== undefined) {
    const { offset, length } = writer.text(place.subdivision);
    places[at + 1] = offset;
    places[at + 2] = length;
  }
  places[at + 3] = step(place.latitude);
  places[at + 4] = step(place.longitude);
  places[at + 5] = place.asn ?? 0;
}

function placeKey(place: Place): string {
  const { continent, country, subdivision, latitude, longitude, asn } = place;
  return [continent, country, subdivision, step(latitude), step(longitude), asn].join("|");
}

function step(degrees: number | undefined): number {
  return degrees === undefined ? NO_COORDINATE : Math.round(degrees * DEGREE_STEPS);
}

function code(letters: string | undefined): number {
  if (letters === undefined) return 0;
  assert(/^[A-Z]{2}$/.test(letters), "a place code is two capital letters");
  return letters.charCodeAt(0) | (letters.charCodeAt(1) << 8);
}
