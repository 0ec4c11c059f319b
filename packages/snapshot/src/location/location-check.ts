// SPDX-License-Identifier: Apache-2.0
import type { Section } from "../section.ts";
import { strideError, type Strides } from "../section-check.ts";
import {
  CLASSIFIER_FLAG_EXACT_PREFIX,
  ClassifierBound,
  ClassifierTableId,
  FALL_THROUGH,
} from "./classifier.ts";
import { LocationTableId, PLACE_BYTES } from "./location-map.ts";
import { rangesError } from "./range-check.ts";
import { EMBEDDED_IPV4, RangeTableId } from "./range-table.ts";
import { RESOLVER_CLIENT_WORDS, ResolverTableId } from "./resolver-table.ts";

const ENTRY_WORDS = 3;

/** Why a location map cannot be served, or undefined. */
export function locationMapError(section: Section): string | undefined {
  const places = section.count(LocationTableId.places);
  return rangesError(
    section,
    "Location map",
    { [LocationTableId.places]: PLACE_BYTES },
    (value) => value < places || value === EMBEDDED_IPV4,
  );
}

/** Why a section of resolvers cannot be served, or undefined. */
export function resolversError(section: Section): string | undefined {
  const clients = section.count(ResolverTableId.clients);
  const ranges = rangesError(
    section,
    "Resolvers",
    { [ResolverTableId.clients]: RESOLVER_CLIENT_WORDS * 4 },
    (value) => value <= clients || value === EMBEDDED_IPV4,
  );
  if (ranges !== undefined) return ranges;
  const base = section.wordBase(ResolverTableId.clients);
  for (let client = 0; client < clients; client++) {
    const word = section.words[base + client * RESOLVER_CLIENT_WORDS] ?? 0;
    const bitsMax = word >>> 8 === 4 ? 32 : word >>> 8 === 6 ? 128 : -1;
    if ((word & 0xff) > bitsMax)
      return `Resolvers section has client ${client} of family ${word >>> 8} and length ${word & 0xff}, expected a prefix`;
  }
  return undefined;
}

/** Why a classifier cannot be served, or undefined. */
export function classifierError(section: Section): string | undefined {
  const strides: Strides = {
    [ClassifierTableId.classOfLocation]: 2,
    [ClassifierTableId.sparseLocations]: 4,
    [ClassifierTableId.sparseClasses]: 2,
    [ClassifierTableId.classes]: 8,
    [ClassifierTableId.orders]: 2,
    [ClassifierTableId.entries]: ENTRY_WORDS * 4,
  };
  const isExact = (section.bound(ClassifierBound.flags) & CLASSIFIER_FLAG_EXACT_PREFIX) !== 0;
  const classes = section.count(ClassifierTableId.classes);
  const entries = section.count(ClassifierTableId.entries);
  const isValue = isExact
    ? (value: number): boolean => value < entries
    : (value: number): boolean =>
        value < classes || value === FALL_THROUGH || value === EMBEDDED_IPV4;
  const hasRanges = section.count(RangeTableId.ipv4Ranges) > 0;
  const tables = hasRanges
    ? rangesError(section, "Classifier", strides, isValue)
    : strideError(section, "Classifier", strides);
  return (
    tables ??
    (isExact ? entryError(section, classes, entries, hasRanges) : classError(section, classes)) ??
    orderError(section, classes)
  );
}

/** Every class that a location can have is there. */
function classError(section: Section, classes: number): string | undefined {
  const rest = section.bound(ClassifierBound.restClass);
  if (rest >= classes) return `Classifier has rest class ${rest}, expected below ${classes}`;
  const sparse = section.count(ClassifierTableId.sparseClasses);
  if (sparse !== section.count(ClassifierTableId.sparseLocations))
    return `Classifier has ${sparse} sparse classes, expected one a sparse location`;
  for (const table of [ClassifierTableId.classOfLocation, ClassifierTableId.sparseClasses]) {
    const base = section.table(table).offset >>> 1;
    for (let index = 0; index < section.count(table); index++) {
      const cls = section.halves[base + index] ?? 0;
      if (cls >= classes)
        return `Classifier has class ${cls} at ${index} of table ${table}, expected below ${classes}`;
    }
  }
  return undefined;
}

/** Climbing from entry to entry ends: each is wider than the one before, and entry 0 is the widest. */
function entryError(
  section: Section,
  classes: number,
  entries: number,
  hasRanges: boolean,
): string | undefined {
  const base = section.wordBase(ClassifierTableId.entries);
  const word = (entry: number, index: number): number =>
    section.words[base + entry * ENTRY_WORDS + index] ?? 0;
  if (!hasRanges || entries === 0 || word(0, 1) !== 0)
    return `Classifier has ${entries} entries, expected a first of length 0 and ranges of them`;
  for (let entry = 0; entry < entries; entry++) {
    const parent = word(entry, 2);
    const isWider = entry === 0 || (parent < entries && word(parent, 1) < word(entry, 1));
    if (word(entry, 0) >= classes || !isWider)
      return `Classifier has entry ${entry} of class ${word(entry, 0)} in ${parent}, expected below ${classes} and in a wider one`;
  }
  return undefined;
}

function orderError(section: Section, classes: number): string | undefined {
  const base = section.wordBase(ClassifierTableId.classes);
  const orders = section.count(ClassifierTableId.orders);
  for (let cls = 0; cls < classes; cls++) {
    const start = section.words[base + cls * 2] ?? 0;
    const count = section.words[base + cls * 2 + 1] ?? 0;
    if (start + count > orders)
      return `Classifier has class ${cls} with ${count} branches from ${start}, expected inside ${orders}`;
  }
  return undefined;
}

/** Greatest branch index that any class of a classifier names, −1 where none does. */
export function branchMaxOf(section: Section): number {
  const base = section.table(ClassifierTableId.orders).offset >>> 1;
  const count = section.count(ClassifierTableId.orders);
  let most = -1;
  for (let index = 0; index < count; index++) {
    const branch = section.halves[base + index] ?? 0;
    if (branch > most) most = branch;
  }
  return most;
}
