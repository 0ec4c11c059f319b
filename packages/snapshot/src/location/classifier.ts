// SPDX-License-Identifier: Apache-2.0

// A classifier is the compiled half of a geo, proximity, latency, subnet or asn node: client → class, and a class is a list of
// the node's branches in order of preference (empty: no branch serves this client). Three steps, each only where it is needed:
//
//   own ranges       address → class, entry or FALL_THROUGH    merged maps, measured prefixes, subnet prefixes
//   location map     address → location id                     one a data set, another section
//   class table      location id → class                       dense, or the few locations that differ from the rest
//
//   classes   u32 first order, u32 count      orders   u16 branch indices, best first
//   entries   u32 class, u32 prefix length, u32 parent      only `exactPrefix` classifiers (subnet): the stored prefixes
//
// An `exactPrefix` classifier follows the rule of Route 53's IP-based routing: a stored prefix longer than the client's does
// not match, so the look-up climbs to the longest stored one that is not (entry 0 is the default). Its scope stays that of
// the range found first: a longer client prefix might be answered otherwise.

import { assert } from "@meridian/core";
import type { Client } from "../client.ts";
import { type Section, SectionKind, SharedTable } from "../section.ts";
import type { LocationMap } from "./location-map.ts";
import { RangeTable, RangeTableId } from "./range-table.ts";

/** Table ids of a classifier besides those of its range table. */
export const ClassifierTableId = {
  /** u16 class of each location id. */
  classOfLocation: 24,
  /** u32 location ids, ascending, that differ from `ClassifierBound.restClass`. */
  sparseLocations: 25,
  /** u16 class of each sparse location. */
  sparseClasses: 26,
  classes: 27,
  orders: 28,
  entries: 29,
} as const;

/** Header bounds of a classifier besides those of its range table. */
export const ClassifierBound = { restClass: 2, flags: 3 } as const;
/** Own ranges hold entries of stored prefixes, not classes. */
export const CLASSIFIER_FLAG_EXACT_PREFIX = 1;
/** Value of own ranges that leave the decision to the location map. */
export const FALL_THROUGH = 0xffff_fffe;
/** Most classes of one classifier. */
export const CLASSES_MAX = 0xffff;

/** A classifier read where it lies. `scope` belongs to the newest `classify()`; nothing is allocated by one. */
export class Classifier {
  /** Prefix length, in the client's family, in which the newest class holds. */
  scope: number;
  /** Location id that the newest `classify()` saw; −1 where it needed none. For explain. */
  location: number;
  /** 16-bit view in which `orderStart()` counts: branch indices, best first. */
  readonly orders: Uint16Array;
  readonly key: bigint;
  readonly classCount: number;
  readonly map: LocationMap | undefined;
  /** Key of the location map that this classifier needs and the snapshot lacks. */
  readonly missingMap: bigint | undefined;
  readonly ranges: RangeTable | undefined;
  readonly #words: Uint32Array;
  readonly #classBase: number;
  readonly #orderBase: number;
  readonly #locationBase: number;
  readonly #locationCount: number;
  readonly #sparseBase: number;
  readonly #sparseClassBase: number;
  readonly #sparseCount: number;
  readonly #restClass: number;
  /** −1 where own ranges hold classes. */
  readonly #entryBase: number;

  private constructor(section: Section, mapKey: bigint | undefined, map: LocationMap | undefined) {
    this.missingMap = map === undefined ? mapKey : undefined;
    this.scope = 0;
    this.location = -1;
    this.orders = section.halves;
    this.key = section.key;
    this.classCount = section.count(ClassifierTableId.classes);
    this.map = map;
    const hasRanges = section.count(RangeTableId.ipv4Ranges) > 0;
    this.ranges = hasRanges ? new RangeTable(section) : undefined;
    this.#words = section.words;
    this.#classBase = section.wordBase(ClassifierTableId.classes);
    this.#orderBase = section.table(ClassifierTableId.orders).offset >>> 1;
    this.#locationBase = section.table(ClassifierTableId.classOfLocation).offset >>> 1;
    this.#locationCount = section.count(ClassifierTableId.classOfLocation);
    this.#sparseBase = section.wordBase(ClassifierTableId.sparseLocations);
    this.#sparseClassBase = section.table(ClassifierTableId.sparseClasses).offset >>> 1;
    this.#sparseCount = section.count(ClassifierTableId.sparseLocations);
    this.#restClass = section.bound(ClassifierBound.restClass);
    const isExact = (section.bound(ClassifierBound.flags) & CLASSIFIER_FLAG_EXACT_PREFIX) !== 0;
    this.#entryBase = isExact ? section.wordBase(ClassifierTableId.entries) : -1;
  }

  /**
   * Opens a section of kind 5; `mapOf` finds the location map by the key that the section links to. Where that map is not loaded,
   * `missingMap` names it: a snapshot with such a classifier is incomplete and must not be served.
   */
  static open(section: Section, mapOf: (key: bigint) => LocationMap | undefined): Classifier {
    assert(section.kind === SectionKind.classifier, "the section is a classifier");
    const hasLink = section.count(SharedTable.links) > 0;
    const mapKey = hasLink ? section.keyAt(SharedTable.links, 0) : undefined;
    return new Classifier(section, mapKey, mapKey === undefined ? undefined : mapOf(mapKey));
  }

  /** Class of a client, 0 to `classCount` − 1. */
  classify(client: Client): number {
    let scope = 0;
    const { ranges } = this;
    this.location = -1;
    if (ranges !== undefined) {
      if (this.#entryBase >= 0) return this.#classifyExact(ranges, client);
      const value = ranges.lookup(client);
      ({ scope } = ranges);
      if (value !== FALL_THROUGH) {
        this.scope = scope;
        return value;
      }
    }
    const { map } = this;
    if (map === undefined) {
      this.scope = scope;
      return this.#restClass;
    }
    const location = map.lookup(client);
    this.location = location;
    this.scope = map.scope > scope ? map.scope : scope;
    return this.classOfLocation(location);
  }

  /** Class of a location id of `map`. */
  classOfLocation(location: number): number {
    if (this.#locationCount > 0) {
      return location < this.#locationCount
        ? this.orders[this.#locationBase + location]!
        : this.#restClass;
    }
    const words = this.#words;
    const base = this.#sparseBase;
    let low = 0;
    let high = this.#sparseCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[base + middle]! < location) low = middle + 1;
      else high = middle;
    }
    const isListed = low < this.#sparseCount && words[base + low] === location;
    return isListed ? this.orders[this.#sparseClassBase + low]! : this.#restClass;
  }

  /** Index in `orders` of a class's best branch. */
  orderStart(cls: number): number {
    return this.#orderBase + this.#words[this.#classBase + cls * 2]!;
  }

  /** Branches of a class; 0 where no branch serves its clients. */
  orderCount(cls: number): number {
    return this.#words[this.#classBase + cls * 2 + 1]!;
  }

  /** Subnet: the longest stored prefix that contains the client's whole prefix. No embedded IPv4 address is looked up. */
  #classifyExact(ranges: RangeTable, client: Client): number {
    const words = this.#words;
    let entry =
      client.family === 4
        ? ranges.lookupIpv4(client.word0)
        : ranges.lookupIpv6(client.word0, client.word1, client.word2, client.word3);
    this.scope = ranges.scope;
    let at = this.#entryBase + entry * 3;
    while (words[at + 1]! > client.prefixLength) {
      entry = words[at + 2]!;
      at = this.#entryBase + entry * 3;
    }
    return words[at]!;
  }
}
