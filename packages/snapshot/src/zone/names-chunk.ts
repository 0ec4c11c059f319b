// SPDX-License-Identifier: Apache-2.0

// Names sections as they are asked. What a look-up wants to know of each is worked out once, by the thread that loads a snapshot, into
// words that all threads share: a record a section, and what its links lead to. So another thread takes over a million names by taking
// over one array, and what is the same in the next snapshot is copied.
//
//   records   16 words a section, one cache line, see ChunkWord      sections in the order of their zones
//   targets   a word a link: index of the policy or pool × 2 + TargetKind, −1 where the snapshot has none

import { CarriedLinks } from "../carried-links.ts";
import { SharedTable, type Section, type SectionError, type Slab } from "../section.ts";
import { namesError } from "./names-check.ts";
import { NamesTableId, PROBES_MAX, SHAPE_WORDS, TargetKind } from "./zone-format.ts";

/** Index of the policy or pool (`TargetKind`) with this key, or -1. */
export type ResolveTarget = (targetKind: number, keyLow: number, keyHigh: number) => number;

/** Target of a link that leads nowhere. */
export const NO_TARGET = -1;

/** Words a names section in `NamesTable.records`. */
export const CHUNK_WORDS = 16;
/** Words of a record of `NamesTable.records`. Bases are indices into the views of the section's slab, the first target's into the records' own array. */
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
  readonly #targets: Int32Array;
  readonly #targetBase: number;

  constructor(names: NamesTable, chunk: number) {
    const { records, slabs } = names;
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
    this.#targets = records;
    this.#targetBase = records[at + ChunkWord.targetBase]!;
  }

  /** Word index of the shape `index`. */
  shapeAt(index: number): number {
    return this.shapesBase + index * SHAPE_WORDS;
  }

  /** What link `link` (below `linkCount`) leads to: index × 2 + `TargetKind`, or `NO_TARGET`. */
  targetOf(link: number): number {
    return this.#targets[this.#targetBase + link]!;
  }
}

/** The names sections of a snapshot: their slabs, and the shared words. */
export interface NamesTable {
  readonly slabs: readonly Slab[];
  /** Records, then targets. In shared memory. */
  readonly records: Int32Array;
}

/** What a load can take over from the one before it. */
export interface NamesBefore {
  readonly records: Int32Array;
  readonly sections: readonly Section[];
  /** Where policies and pools are now, by index; −1 where one is gone, undefined where all are where they were and there are no others. */
  readonly policies: Int32Array | undefined;
  readonly pools: Int32Array | undefined;
  /** More than any target is. */
  readonly targetCount: number;
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
  resolveTarget: ResolveTarget,
  { before, isVerified = false, targets }: NamesKnown = {},
): NamesTable | SectionError {
  const known = new Map(before?.sections.map((section, chunk) => [section, chunk]));
  const linkCounts = new Uint32Array(sections.length);
  for (const [chunk, section] of sections.entries()) {
    const old = known.get(section);
    if (!isVerified && old === undefined) {
      const error = chunkError(section, seed);
      if (error !== undefined) return { error };
    }
    linkCounts[chunk] =
      before === undefined || old === undefined
        ? section.count(SharedTable.links)
        : before.records[old * CHUNK_WORDS + ChunkWord.linkCount]!;
  }
  if (before !== undefined && isAsBefore(sections, slabs, before))
    return { slabs, records: before.records };
  const firstTarget = sections.length * CHUNK_WORDS;
  const size = linkCounts.reduce((sum, count) => sum + count, firstTarget);
  const records = new Int32Array(new SharedArrayBuffer(size * 4));
  const resolved = targets?.length === size - firstTarget ? targets : undefined;
  if (resolved !== undefined) records.set(resolved, firstTarget);
  const slabIndex = new Map(slabs.map((slab, index) => [slab, index]));
  let targetBase = firstTarget;
  const moved = before && movedTargets(before);
  for (const [chunk, section] of sections.entries()) {
    const at = chunk * CHUNK_WORDS;
    const old = known.get(section);
    // What a section says of itself lies in hundreds of places that are in no cache.
    if (before === undefined || old === undefined) writeRecord(section, records, at);
    else records.set(before.records.subarray(old * CHUNK_WORDS, (old + 1) * CHUNK_WORDS), at);
    records[at + ChunkWord.slab] = slabIndex.get(section.slab) ?? -1;
    records[at + ChunkWord.targetBase] = targetBase;
    const isCopied =
      before !== undefined &&
      old !== undefined &&
      copyTargets(before, old, records, targetBase, moved);
    if (resolved === undefined && !isCopied)
      resolveLinks(section, records, targetBase, resolveTarget, before);
    targetBase += linkCounts[chunk]!;
  }
  return { slabs, records };
}

/** Whether names and where their links lead are the very same: of a million names the records are 3 MB, 2 ms to write to new memory. */
function isAsBefore(
  sections: readonly Section[],
  slabs: readonly Slab[],
  { sections: old, records, policies, pools }: NamesBefore,
): boolean {
  if (sections.length !== old.length || policies !== undefined || pools !== undefined) return false;
  return sections.every(
    (section, chunk) =>
      section === old[chunk] &&
      slabs[records[chunk * CHUNK_WORDS + ChunkWord.slab]!] === section.slab,
  );
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

/** What the links of all names sections lead to, as `NamesKnown.targets` has it. */
export function targetsOf({ records }: NamesTable): Int32Array {
  // The first section's targets begin where the records end.
  return records.subarray(records.length === 0 ? 0 : records[ChunkWord.targetBase]!);
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
  records: Int32Array,
  targetBase: number,
  resolveTarget: ResolveTarget,
  before: NamesBefore | undefined,
): void {
  const { words, bytes } = section;
  const linkCount = section.count(SharedTable.links);
  const keys = section.wordBase(SharedTable.links);
  const kinds = section.table(NamesTableId.linkKinds).offset;
  const carried = carriedTargets(section, before);
  for (let link = 0; link < linkCount; link++) {
    const kind = bytes[kinds + link]!;
    const [low, high] = [words[keys + link * 2]!, words[keys + link * 2 + 1]!];
    const known = carried?.(low, high, kind) ?? NO_TARGET;
    if (known >= 0) {
      records[targetBase + link] = known;
      continue;
    }
    const index = resolveTarget(kind, low, high);
    records[targetBase + link] = index < 0 ? NO_TARGET : index * 2 + kind;
  }
}

/** Where the links of the section in the place of this one led; `NO_TARGET` where that is not known. To be asked in the order of the links. */
function carriedTargets(
  { key }: Section,
  before: NamesBefore | undefined,
): ((low: number, high: number, kind: number) => number) | undefined {
  const old = before?.sections.findIndex((section) => section.key === key) ?? -1;
  const section = before?.sections[old];
  if (before === undefined || section === undefined) return undefined;
  const links = new CarriedLinks(section);
  const first = before.records[old * CHUNK_WORDS + ChunkWord.targetBase]!;
  return (low, high, kind) => {
    const link = links.find(low, high);
    const target = link < 0 ? NO_TARGET : before.records[first + link]!;
    return target < 0 || (target & 1) !== kind ? NO_TARGET : movedTarget(before, target);
  };
}

/** Where a target of the snapshot before is. */
function movedTarget({ policies, pools }: NamesBefore, target: number): number {
  const kind = target & 1;
  const moves = kind === TargetKind.policy ? policies : pools;
  const index = moves === undefined ? target >> 1 : (moves[target >> 1] ?? NO_TARGET);
  return index < 0 ? NO_TARGET : index * 2 + kind;
}

/**
 * Where each target of the snapshot before is, by target; undefined where all are where they were. With this table 700,000 links are copied in
 * 3.2 instead of 4.9 ms.
 */
function movedTargets(before: NamesBefore): Int32Array | undefined {
  const { policies, pools, targetCount } = before;
  if (policies === undefined && pools === undefined) return undefined;
  const moved = new Int32Array(targetCount);
  for (let target = 0; target < targetCount; target++) moved[target] = movedTarget(before, target);
  return moved;
}

/** Takes over what the links of a section led to; false where one led nowhere, and may lead somewhere now. */
function copyTargets(
  { records: from }: NamesBefore,
  chunk: number,
  to: Int32Array,
  targetBase: number,
  moved: Int32Array | undefined,
): boolean {
  const start = from[chunk * CHUNK_WORDS + ChunkWord.targetBase]!;
  const count = from[chunk * CHUNK_WORDS + ChunkWord.linkCount]!;
  if (moved === undefined) {
    to.set(from.subarray(start, start + count), targetBase);
    return true;
  }
  for (let link = 0; link < count; link++) {
    const target = from[start + link]!;
    if (target < 0) return false;
    to[targetBase + link] = moved[target]!;
  }
  return true;
}

/** Offsets of the labels of a wire name, root label not included. */
export function labelOffsets(name: Uint8Array): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < name.length && name[at] !== 0; at += name[at]! + 1) offsets.push(at);
  return offsets;
}
