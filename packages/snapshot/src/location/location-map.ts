// SPDX-License-Identifier: Apache-2.0

// A location map says where an address is: address → location id, and for each id a place. There is one a data set, never
// one a policy (GeoLite2 City has 5.7 million networks but 178 thousand places); policies add a table location → class.
//
//   range table (range-table.ts)     address → location id; id 0 is nowhere
//   places      24 bytes each        continent u16 · country u16 · subdivision heap offset u32 · its length u32 ·
//                                    latitude i32 · longitude i32 (1/10,000 degree) · ASN u32
//
// IPv6 addresses that carry an IPv4 address (mapped, 6to4, Teredo, NAT64) are looked up as that address. A client prefix that
// spans several locations is decided by its network address; the scope then is longer than the prefix, which tells the
// resolver (RFC 7871 §7.2.1) that a longer prefix would have been answered more exactly.

import { assert } from "@meridian/core";
import type { Client } from "../client.ts";
import { type Section, SectionKind } from "../section.ts";
import { LocationRanges } from "./location-ranges.ts";
import { RangeTable } from "./range-table.ts";

/** Table ids of a location map besides those of its range table. */
export const LocationTableId = { places: 24 } as const;
/** Bytes of a place. */
export const PLACE_BYTES = 24;
/** Steps of a degree in which coordinates are kept. */
export const DEGREE_STEPS = 10_000;
/** Latitude of a place whose coordinates are not known. */
export const NO_COORDINATE = -0x8000_0000;
/** The location of addresses that a data set does not know. */
export const NOWHERE = 0;

/** What is known of a location; absent fields are not known. */
export interface Place {
  /** `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`. */
  readonly continent?: string;
  /** ISO 3166-1 alpha-2, upper case. */
  readonly country?: string;
  /** ISO 3166-2, such as `US-CA`. */
  readonly subdivision?: string;
  /** Degrees, both or none. */
  readonly latitude?: number;
  readonly longitude?: number;
  /** Autonomous system number. */
  readonly asn?: number;
}

/** A location map read where it lies. `scope` belongs to the newest look-up; nothing is allocated by one. */
export class LocationMap {
  /** Prefix length, in the client's family, in which the newest look-up's location holds. */
  scope: number;
  readonly key: bigint;
  readonly locationCount: number;
  readonly ranges: RangeTable;
  readonly #section: Section;
  readonly #placeBase: number;
  #places: readonly Place[] | undefined;
  #locationOfAsn: ReadonlyMap<number, number> | undefined;
  #rangesOfLocations: LocationRanges | undefined;

  constructor(section: Section) {
    this.scope = 0;
    this.key = section.key;
    this.locationCount = section.count(LocationTableId.places);
    this.ranges = new RangeTable(section);
    this.#section = section;
    this.#placeBase = section.wordBase(LocationTableId.places);
    this.#places = undefined;
    this.#locationOfAsn = undefined;
    this.#rangesOfLocations = undefined;
  }

  /** Opens a section of kind 4. */
  static open(section: Section): LocationMap {
    assert(section.kind === SectionKind.locationMap, "the section is a location map");
    return new LocationMap(section);
  }

  /** Location id of a client's network address; 0 where it is nowhere. */
  lookup(client: Client): number {
    const location = this.ranges.lookup(client);
    this.scope = this.ranges.scope;
    return location;
  }

  /** The place of a location id, as an object: for the compiler and explain, not for the query path. */
  place(location: number): Place {
    const { words } = this.#section;
    const at = this.#placeBase + location * (PLACE_BYTES / 4);
    const codes = words[at] ?? 0;
    const latitude = (words[at + 3] ?? 0) | 0;
    const subdivision = words[at + 2] ?? 0;
    const asn = words[at + 5] ?? 0;
    return {
      ...((codes & 0xffff) !== 0 && { continent: codeText(codes & 0xffff) }),
      ...(codes >>> 16 !== 0 && { country: codeText(codes >>> 16) }),
      ...(subdivision !== 0 && {
        subdivision: this.#section.text(words[at + 1] ?? 0, subdivision),
      }),
      ...(latitude !== NO_COORDINATE && {
        latitude: latitude / DEGREE_STEPS,
        longitude: ((words[at + 4] ?? 0) | 0) / DEGREE_STEPS,
      }),
      ...(asn !== 0 && { asn }),
    };
  }

  /** The places of all location ids, kept once asked for: for the compiler. */
  places(): readonly Place[] {
    this.#places ??= Array.from({ length: this.locationCount }, (_, id) => this.place(id));
    return this.#places;
  }

  /** The ranges of each location id, kept once asked for: for the compiler. */
  rangesOfLocations(): LocationRanges {
    this.#rangesOfLocations ??= new LocationRanges(this.ranges, this.locationCount);
    return this.#rangesOfLocations;
  }

  /** Location id of an autonomous system, where the map has it: for the compiler. */
  locationOfAsn(asn: number): number | undefined {
    this.#locationOfAsn ??= new Map(
      this.places().flatMap((place, id) => (place.asn === undefined ? [] : [[place.asn, id]])),
    );
    return this.#locationOfAsn.get(asn);
  }

  /** A location as people read it: `NA/US/US-CA`, `EU/DE`, `AS64500`, `nowhere`. */
  placeText(location: number): string {
    const { continent, country, subdivision, asn } = this.place(location);
    const parts = [continent, country, subdivision].filter((part) => part !== undefined);
    if (asn !== undefined) parts.push(`AS${asn}`);
    return parts.length === 0 ? "nowhere" : parts.join("/");
  }
}

/** Two letters in 16 bits, the first in the low byte. */
function codeText(code: number): string {
  return String.fromCharCode(code & 0xff, code >>> 8);
}
