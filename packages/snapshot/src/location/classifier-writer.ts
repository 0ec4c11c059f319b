// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { assert } from "@meridian/core";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { CHECKSUM_OFFSET, SectionKind, sectionChecksum } from "../section.ts";
import {
  ClassifierBound,
  CLASSES_MAX,
  CLASSIFIER_FLAG_EXACT_PREFIX,
  ClassifierTableId,
  FALL_THROUGH,
} from "./classifier.ts";
import type { LocationMap } from "./location-map.ts";
import { type AddressPrefix, comparePrefixes, containsPrefix } from "./prefix.ts";
import { flattenPrefixes, RangePartition, writeRanges } from "./range-partition.ts";
import { EMBEDDED_IPV4 } from "./range-table.ts";

/** Most ranges outside the commonest class in a map merged for one classifier (some 100 KB); else it uses the location map and its class table. */
export const MERGED_RANGES_MAX = 4096;
/** Most classes for which a merged map is tried. */
export const MERGED_CLASSES_MAX = 256;

/** A prefix that decides by itself, before any location. */
export interface ClassifiedPrefix {
  readonly prefix: AddressPrefix;
  readonly cls: number;
}

/** What a policy node's compile half hands over. */
export interface ClassifierDraft {
  /** For each class the branch indices in order of preference. */
  readonly orders: readonly (readonly number[])[];
  /** Class of clients that neither a prefix nor the map decides. */
  readonly defaultClass: number;
  /** Longest prefix wins; of equal ones the last. */
  readonly prefixes: readonly ClassifiedPrefix[];
  /** A stored prefix longer than the client's does not match (subnet). Needs no map. */
  readonly isExactPrefix?: boolean;
  /** Where clients that no prefix matches are looked up, and the class of each location id. */
  readonly locations?: { readonly map: LocationMap; readonly classes: Uint16Array };
}

/** Numbers order lists: equal lists are one class, in the order in which they are first asked for. */
export class ClassNumbers {
  readonly orders: (readonly number[])[] = [];
  readonly #numbers = new Map<string, number>();

  /** The class of an order list; repeated branches count once. */
  of(order: readonly number[]): number {
    const distinct = [...new Set(order)];
    const key = distinct.join(",");
    let cls = this.#numbers.get(key);
    if (cls === undefined) {
      cls = this.orders.length;
      assert(cls < CLASSES_MAX, "classes are bounded");
      this.orders.push(distinct);
      this.#numbers.set(key, cls);
    }
    return cls;
  }
}

/** Writes a classifier. Its key comes from its content, so that policies with equal inputs share one section. */
export function writeClassifier(draft: ClassifierDraft): WrittenSection {
  const { kind, name, buffer } = layOut(draft);
  const key = BigInt(`0x${name.slice(0, 16)}`);
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  view.setBigUint64(16, key, true);
  view.setUint32(CHECKSUM_OFFSET, sectionChecksum(bytes), true);
  return { kind, key, name: createHash("sha256").update(bytes).digest("hex"), buffer };
}

function layOut(draft: ClassifierDraft): WrittenSection {
  const writer = new SectionWriter(SectionKind.classifier, 0n);
  const { locations } = draft;
  assert(draft.orders.length <= CLASSES_MAX, "classes are bounded");
  assert(draft.isExactPrefix !== true || locations === undefined, "exact prefixes need no map");
  if (draft.isExactPrefix === true) writeExactPrefixes(writer, draft);
  else writeOwnRanges(writer, draft);
  if (locations !== undefined) {
    writer.link(locations.map.key);
    writeLocationClasses(writer, locations.classes, draft.orders.length);
  } else if (draft.isExactPrefix !== true) {
    writer.bound(ClassifierBound.restClass, draft.defaultClass);
  }
  writeOrders(writer, draft.orders);
  return writer.finish();
}

function writeOwnRanges(writer: SectionWriter, draft: ClassifierDraft): void {
  const { prefixes, locations } = draft;
  if (prefixes.length > 0) {
    const entries = prefixes.map(({ prefix, cls }) => ({ prefix, value: cls }));
    writeRanges(writer, flattenPrefixes(entries, FALL_THROUGH).withEmbedded());
    return;
  }
  if (locations === undefined || draft.orders.length > MERGED_CLASSES_MAX) return;
  const merged = mergeRanges(locations.map, locations.classes, draft.orders.length);
  if (merged !== undefined) writeRanges(writer, merged);
}

/**
 * The map's ranges with classes for locations, neighbours of one class joined; undefined where they would be too many. Only ranges of locations
 * outside the commonest class are visited, as a map has hundreds of thousands and most policies name a few places.
 */
function mergeRanges(
  map: LocationMap,
  classes: Uint16Array,
  classCount: number,
): RangePartition | undefined {
  const rest = commonest(classes, classCount);
  const { ipv4, ipv6 } = map.rangesOfLocations();
  const indices4: number[] = [...ipv4.of(map.locationCount)];
  const indices6: number[] = [...ipv6.of(map.locationCount)];
  for (let location = 0; location < classes.length; location++) {
    if (classes[location] === rest) continue;
    const four = ipv4.of(location);
    const six = ipv6.of(location);
    const count = indices4.length + indices6.length + four.length + six.length;
    if (count > MERGED_RANGES_MAX) return undefined;
    indices4.push(...four);
    indices6.push(...six);
  }
  return joinRanges(map, classes, rest, ascending(indices4), ascending(indices6));
}

/** Each listed range with its class, all space between them with `rest`. */
function joinRanges(
  { ranges }: LocationMap,
  classes: Uint16Array,
  rest: number,
  indices4: readonly number[],
  indices6: readonly number[],
): RangePartition {
  const merged = new RangePartition(rest);
  for (const index of indices4) {
    merged.set4(ranges.ipv4Start(index), classes[ranges.ipv4Value(index)] ?? rest);
    if (index + 1 < ranges.ipv4Count) merged.set4(ranges.ipv4Start(index + 1), rest);
  }
  const set6 = (index: number, value: number): void => {
    const [w0, w1] = [ranges.ipv6Start(index, 0), ranges.ipv6Start(index, 1)];
    merged.set6(w0, w1, ranges.ipv6Start(index, 2), ranges.ipv6Start(index, 3), value);
  };
  for (const index of indices6) {
    const location = ranges.ipv6Value(index);
    const isEmbedded = location === EMBEDDED_IPV4;
    set6(index, isEmbedded ? EMBEDDED_IPV4 : (classes[location] ?? rest));
    if (index + 1 < ranges.ipv6Count) set6(index + 1, rest);
  }
  return merged;
}

function ascending(indices: readonly number[]): number[] {
  return indices.toSorted((a, b) => a - b);
}

function writeExactPrefixes(writer: SectionWriter, draft: ClassifierDraft): void {
  // Of equal prefixes the last one given stays, as in `flattenPrefixes`.
  const sorted = draft.prefixes.toSorted((a, b) => comparePrefixes(a.prefix, b.prefix));
  const entries = new Uint32Array((sorted.length + 1) * 3);
  entries[0] = draft.defaultClass;
  const open: number[] = [];
  sorted.forEach(({ prefix, cls }, index) => {
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const outer = sorted[top];
      if (outer !== undefined && containsPrefix(outer.prefix, prefix)) break;
      open.pop();
    }
    const parent = open.at(-1);
    entries.set([cls, prefix.length, parent === undefined ? 0 : parent + 1], (index + 1) * 3);
    open.push(index);
  });
  const ranges = sorted.map(({ prefix }, index) => ({ prefix, value: index + 1 }));
  writeRanges(writer, flattenPrefixes(ranges, 0));
  writer.bound(ClassifierBound.flags, CLASSIFIER_FLAG_EXACT_PREFIX);
  writer.table(ClassifierTableId.entries, 12, entries);
}

/** The class of each location: dense, or only the locations that differ from the commonest class where that is smaller. */
function writeLocationClasses(
  writer: SectionWriter,
  classes: Uint16Array,
  classCount: number,
): void {
  const rest = commonest(classes, classCount);
  writer.bound(ClassifierBound.restClass, rest);
  const differing: number[] = [];
  classes.forEach((cls, location) => {
    if (cls !== rest) differing.push(location);
  });
  // A sparse entry takes three times the bytes of a dense one.
  if (differing.length * 3 >= classes.length) {
    writer.table(ClassifierTableId.classOfLocation, 2, classes);
    return;
  }
  writer.table(ClassifierTableId.sparseLocations, 4, Uint32Array.from(differing));
  const listed = Uint16Array.from(differing, (location) => classes[location] ?? 0);
  writer.table(ClassifierTableId.sparseClasses, 2, listed);
}

function commonest(classes: Uint16Array, classCount: number): number {
  const counts = new Uint32Array(classCount);
  for (const cls of classes) counts[cls] = (counts[cls] ?? 0) + 1;
  let best = 0;
  counts.forEach((count, cls) => {
    if (count > (counts[best] ?? 0)) best = cls;
  });
  return best;
}

function writeOrders(writer: SectionWriter, orders: readonly (readonly number[])[]): void {
  const classes = new Uint32Array(orders.length * 2);
  let total = 0;
  orders.forEach((order, cls) => {
    classes[cls * 2] = total;
    classes[cls * 2 + 1] = order.length;
    total += order.length;
  });
  writer.table(ClassifierTableId.classes, 8, classes);
  writer.table(ClassifierTableId.orders, 2, Uint16Array.from(orders.flat()));
}
