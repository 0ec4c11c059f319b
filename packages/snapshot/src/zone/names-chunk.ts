// SPDX-License-Identifier: Apache-2.0

// Names sections as they are asked. What a look-up wants to know of each is worked out once, by the thread that loads a snapshot, into
// words that all threads share: a record a section, and what its links lead to. So another thread takes over a million names by taking
// over one array, and what is the same in the next snapshot is copied.
//
//   records          16 words a section, one cache line, see ChunkWord      sections in the order of their zones
//   links, places    what each link leads to (name-targets.ts)

import { CarriedLinks } from "../carried-links.ts";
import { SharedTable, type Section, type SectionError, type Slab } from "../section.ts";
import {
  NO_TARGET,
  TargetPlaces,
  TargetSpace,
  type TargetCounts,
  type TargetKeys,
  type TargetMoves,
} from "./name-targets.ts";
import { namesError } from "./names-check.ts";
import { NamesTableId, PROBES_MAX, SHAPE_WORDS, TargetKind } from "./zone-format.ts";

/** What names may lead to. */
export interface NamesTargets extends TargetCounts {
  /** Index of the policy or pool (`TargetKind`) with this key, or -1. */
  readonly find: (targetKind: number, keyLow: number, keyHigh: number) => number;
}

/** Words a names section in `NamesTable.records`. */
export const CHUNK_WORDS = 16;
/** Words of a record of `NamesTable.records`. Bases are indices into the views of the section's slab, the first target's into `NamesTable.links`. */
export const ChunkWord = {
  slab: 0,
  bucketBase: 1,
  bucketMask: 2,
  probesMax: 3,
  nodesBase: 4,
  shapesBase: 5,
  shapeCount: 6,
  heapBase: 7,
  targetBase: 8,
  linkCount: 9,
  /** The section's own checksum: another one where its content is another. */
  checksum: 10,
} as const;

/** One names section ready to be asked. Bases are resolved once, so that a look-up is arithmetic on two views. */
export class NamesChunk {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly bucketBase: number;
  readonly bucketMask: number;
  readonly probesMax: number;
  /** Byte offset of the nodes table in the slab. */
  readonly nodesBase: number;
  /** Word index of the first shape. */
  readonly shapesBase: number;
  readonly shapeCount: number;
  readonly heapBase: number;
  readonly linkCount: number;
  readonly #links: Int32Array;
  readonly #places: Int32Array;
  readonly #targetBase: number;

  constructor(names: NamesTable, chunk: number) {
    const { records, slabs, links, places } = names;
    const at = chunk * CHUNK_WORDS;
    const slab = slabs[records[at + ChunkWord.slab]!]!;
    this.bytes = slab.bytes;
    this.words = slab.words;
    this.bucketBase = records[at + ChunkWord.bucketBase]!;
    this.bucketMask = records[at + ChunkWord.bucketMask]!;
    this.probesMax = records[at + ChunkWord.probesMax]!;
    this.nodesBase = records[at + ChunkWord.nodesBase]!;
    this.shapesBase = records[at + ChunkWord.shapesBase]!;
    this.shapeCount = records[at + ChunkWord.shapeCount]!;
    this.heapBase = records[at + ChunkWord.heapBase]!;
    this.linkCount = records[at + ChunkWord.linkCount]!;
    this.#links = links;
    this.#places = places;
    this.#targetBase = records[at + ChunkWord.targetBase]!;
  }

  /** Word index of the shape `index`. */
  shapeAt(index: number): number {
    return this.shapesBase + index * SHAPE_WORDS;
  }

  /** What link `link` (below `linkCount`) leads to: index × 2 + `TargetKind`, or `NO_TARGET`. */
  targetOf(link: number): number {
    const number = this.#links[this.#targetBase + link]!;
    return number < 0 ? NO_TARGET : this.#places[number]!;
  }
}

/** The words of names sections that all threads share. */
export interface NamesWords {
  readonly records: Int32Array;
  readonly links: Int32Array;
  readonly places: Int32Array;
}

/** The names sections of a snapshot: their slabs, and the shared words. */
export interface NamesTable extends NamesWords {
  readonly slabs: readonly Slab[];
  /** Only in the thread that loaded them. */
  readonly known?: KnownTargets;
}

/** What the next load goes on with. */
export interface KnownTargets {
  readonly space: TargetSpace;
  readonly places: TargetPlaces;
}

/** What a load can take over from the one before it. */
export interface NamesBefore extends KnownTargets, TargetMoves {
  readonly keys: TargetKeys;
  readonly records: Int32Array;
  readonly sections: readonly Section[];
}

/** What is known of names sections before they are looked at. */
export interface NamesKnown {
  readonly before?: NamesBefore | undefined;
  /** All of them were found sound before, together. */
  readonly isVerified?: boolean;
  /** What their links lead to, one section after the other, from a load of the very same snapshot. */
  readonly targets?: Int32Array | undefined;
}

/**
 * Checks names sections and resolves their links. Sections that were in `before` are taken to be sound.
 */
export function resolveNames(
  sections: readonly Section[],
  slabs: readonly Slab[],
  seed: number,
  targets: NamesTargets,
  { before, isVerified = false, targets: resolved }: NamesKnown = {},
): NamesTable | SectionError {
  const old = new Map(before?.sections.map((section, chunk) => [section, chunk]));
  for (const section of isVerified ? [] : sections) {
    const error = old.has(section) ? undefined : chunkError(section, seed);
    if (error !== undefined) return { error };
  }
  const places = before === undefined ? undefined : placesAfter(before, targets);
  const loading: NamesLoad = { sections, slabs, old, targets };
  if (before === undefined) return allNames(loading, resolved);
  const patched = places === undefined ? undefined : patchedNames(loading, before, places);
  return patched ?? copiedNames(loading, before, places);
}

/** What a load is about. */
interface NamesLoad {
  readonly sections: readonly Section[];
  readonly slabs: readonly Slab[];
  /** Where sections were in the snapshot before. */
  readonly old: ReadonlyMap<Section, number>;
  readonly targets: NamesTargets;
}

/** What numbers of links stand for now; undefined where they begin anew: too many stand for nothing, or one that led nowhere may lead somewhere. */
function placesAfter(before: NamesBefore, counts: TargetCounts): TargetPlaces | undefined {
  const { space, places, policies, pools } = before;
  if (policies === undefined && pools === undefined) return places;
  return space.hasStray ? undefined : places.moved(before, counts, before.keys);
}

/** With the links of before, those of other sections behind them; undefined where there is no room. */
function patchedNames(
  { sections, slabs, old, targets }: NamesLoad,
  before: NamesBefore,
  places: TargetPlaces,
): NamesTable | undefined {
  const { space } = before;
  const fresh = sections.filter((section) => !old.has(section));
  const count = fresh.reduce((sum, section) => sum + section.count(SharedTable.links), 0);
  let base = space.take(count);
  if (base < 0) return undefined;
  const records = recordsFor(sections);
  const slabIndex = indexOf(slabs);
  for (const [chunk, section] of sections.entries()) {
    const at = chunk * CHUNK_WORDS;
    const was = old.get(section);
    if (was === undefined) {
      writeRecord(section, records, at);
      records[at + ChunkWord.targetBase] = base;
      resolveLinks(section, { space, places }, base, targets, before);
      base += section.count(SharedTable.links);
    } else {
      // What a section says of itself lies in hundreds of places that are in no cache.
      const from = was * CHUNK_WORDS;
      for (let word = 0; word < CHUNK_WORDS; word++)
        records[at + word] = before.records[from + word]!;
    }
    records[at + ChunkWord.slab] = slabIndex.get(section.slab) ?? -1;
  }
  return { slabs, records, links: space.words, places: places.words, known: { space, places } };
}

/** In new memory; with other numbers unless `places` are what those of before stand for. */
function copiedNames(
  { sections, slabs, old, targets }: NamesLoad,
  before: NamesBefore,
  kept: TargetPlaces | undefined,
): NamesTable {
  const { space, records } = newNames(sections, slabs);
  const places = kept ?? TargetPlaces.first(targets);
  const numbers = kept === undefined ? before.places.targetsAfter(before) : undefined;
  if (kept !== undefined) space.hasStray = before.space.hasStray;
  for (const [chunk, section] of sections.entries()) {
    const was = old.get(section);
    const at = records[chunk * CHUNK_WORDS + ChunkWord.targetBase]!;
    const isCopied = was !== undefined && copyLinks(before, was, space.words, at, numbers);
    // Where numbers stand for what they stood for before, those of a section that was only moved to another slab are known.
    if (!isCopied)
      resolveLinks(section, { space, places }, at, targets, kept === undefined ? kept : before);
  }
  return { slabs, records, links: space.words, places: places.words, known: { space, places } };
}

/** Takes over the links of a section, with what is at their numbers in place of these where that is given; false where one led nowhere. */
function copyLinks(
  { records, space }: NamesBefore,
  chunk: number,
  to: Int32Array,
  targetBase: number,
  numbers: Int32Array | undefined,
): boolean {
  const start = records[chunk * CHUNK_WORDS + ChunkWord.targetBase]!;
  const count = records[chunk * CHUNK_WORDS + ChunkWord.linkCount]!;
  if (numbers === undefined) {
    to.set(space.words.subarray(start, start + count), targetBase);
    return true;
  }
  for (let link = 0; link < count; link++) {
    const number = space.words[start + link]!;
    if (number < 0 || numbers[number]! < 0) return false;
    to[targetBase + link] = numbers[number]!;
  }
  return true;
}

/** All anew; `resolved` is what their links lead to, from a load of the very same snapshot. */
function allNames(
  { sections, slabs, targets }: NamesLoad,
  resolved: Int32Array | undefined,
): NamesTable {
  const { space, records, count } = newNames(sections, slabs);
  const places = TargetPlaces.first(targets);
  if (resolved?.length === count) {
    space.words.set(resolved);
    space.hasStray = resolved.includes(NO_TARGET);
  } else {
    for (const [chunk, section] of sections.entries()) {
      const at = records[chunk * CHUNK_WORDS + ChunkWord.targetBase]!;
      resolveLinks(section, { space, places }, at, targets);
    }
  }
  return { slabs, records, links: space.words, places: places.words, known: { space, places } };
}

/** Records of sections whose links begin new memory, and how many those are. */
function newNames(
  sections: readonly Section[],
  slabs: readonly Slab[],
): { readonly space: TargetSpace; readonly records: Int32Array; readonly count: number } {
  const records = recordsFor(sections);
  const slabIndex = indexOf(slabs);
  let count = 0;
  for (const [chunk, section] of sections.entries()) {
    const at = chunk * CHUNK_WORDS;
    writeRecord(section, records, at);
    records[at + ChunkWord.slab] = slabIndex.get(section.slab) ?? -1;
    records[at + ChunkWord.targetBase] = count;
    count += section.count(SharedTable.links);
  }
  const space = new TargetSpace(count);
  space.take(count);
  return { space, records, count };
}

function recordsFor(sections: readonly Section[]): Int32Array {
  return new Int32Array(new SharedArrayBuffer(sections.length * CHUNK_WORDS * 4));
}

function indexOf(slabs: readonly Slab[]): ReadonlyMap<Slab, number> {
  return new Map(slabs.map((slab, index) => [slab, index]));
}

/** All of a section's record that does not depend on others. */
function writeRecord(section: Section, records: Int32Array, at: number): void {
  records[at + ChunkWord.bucketBase] = section.wordBase(NamesTableId.buckets);
  records[at + ChunkWord.bucketMask] = section.count(NamesTableId.buckets) - 1;
  records[at + ChunkWord.probesMax] = section.bound(0);
  records[at + ChunkWord.nodesBase] = section.table(NamesTableId.nodes).offset;
  records[at + ChunkWord.shapesBase] = section.wordBase(NamesTableId.shapes);
  records[at + ChunkWord.shapeCount] = section.count(NamesTableId.shapes);
  records[at + ChunkWord.heapBase] = section.table(SharedTable.heap).offset;
  records[at + ChunkWord.linkCount] = section.count(SharedTable.links);
  records[at + ChunkWord.checksum] = section.checksum;
}

/** What the links of all names sections lead to, one section after the other, as `NamesKnown.targets` has it. */
export function targetsOf({ records, links, places }: NamesWords): Int32Array {
  const parts: number[] = [];
  for (let at = 0; at < records.length; at += CHUNK_WORDS) {
    const base = records[at + ChunkWord.targetBase]!;
    const end = base + records[at + ChunkWord.linkCount]!;
    for (let link = base; link < end; link++) {
      const number = links[link]!;
      parts.push(number < 0 ? NO_TARGET : places[number]!);
    }
  }
  return Int32Array.from(parts);
}

/** Why a names section of a zone with this seed cannot be asked, or undefined. */
export function chunkError(section: Section, seed: number): string | undefined {
  return openError(section, seed) ?? namesError(section);
}

function openError(section: Section, seed: number): string | undefined {
  const bucketCount = section.count(NamesTableId.buckets);
  const isPower = bucketCount > 0 && (bucketCount & (bucketCount - 1)) === 0;
  return isPower && section.bound(0) <= PROBES_MAX && section.seed === seed
    ? undefined
    : `Names section has ${bucketCount} buckets, probes to ${section.bound(0)} and seed ${section.seed}`;
}

function resolveLinks(
  section: Section,
  { space, places }: KnownTargets,
  targetBase: number,
  { find }: NamesTargets,
  before?: NamesBefore,
): void {
  const { words, bytes } = section;
  const linkCount = section.count(SharedTable.links);
  const keys = section.wordBase(SharedTable.links);
  const kinds = section.table(NamesTableId.linkKinds).offset;
  const numbers = space.words;
  const old = before === undefined ? -1 : chunkOf(section, before);
  const carried = before === undefined || old < 0 ? undefined : carriedFrom(before, old);
  const known = before?.space.words ?? numbers;
  const first = before?.records[old * CHUNK_WORDS + ChunkWord.targetBase] ?? 0;
  for (let link = 0; link < linkCount; link++) {
    const kind = bytes[kinds + link]!;
    const [low, high] = [words[keys + link * 2]!, words[keys + link * 2 + 1]!];
    const was = carried === undefined ? -1 : carried.find(low, high);
    const number = was < 0 ? NO_TARGET : known[first + was]!;
    if (number >= 0 && (number & 1) === kind && places.words[number]! >= 0) {
      numbers[targetBase + link] = number;
      continue;
    }
    // A kind that is neither leads nowhere: its number would be that of something else.
    const index = kind > TargetKind.pool ? -1 : find(kind, low, high);
    numbers[targetBase + link] = index < 0 ? NO_TARGET : places.numberOf(index * 2 + kind);
    if (index < 0) space.hasStray = true;
  }
}

/** Where the section was in whose place this one is; −1 where there was none. */
function chunkOf({ key }: Section, { sections }: NamesBefore): number {
  return sections.findIndex((section) => section.key === key);
}

function carriedFrom({ sections }: NamesBefore, chunk: number): CarriedLinks | undefined {
  const section = sections[chunk];
  return section === undefined ? undefined : new CarriedLinks(section);
}

/** Offsets of the labels of a wire name, root label not included. */
export function labelOffsets(name: Uint8Array): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < name.length && name[at] !== 0; at += name[at]! + 1) offsets.push(at);
  return offsets;
}
