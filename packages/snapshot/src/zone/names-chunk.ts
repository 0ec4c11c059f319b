// SPDX-License-Identifier: Apache-2.0

// Names sections as they are asked. What a look-up wants to know of each is worked out once, by the thread that loads a snapshot, into
// words that all threads share: a record a section, and what its links lead to. So another thread takes over a million names by taking
// over one array, and what is the same in the next snapshot is copied.
//
//   records   16 words a section, one cache line, see ChunkWord      sections in the order of their zones
//   targets   a word a link: index of the policy or pool × 2 + TargetKind, −1 where the snapshot has none

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
  /** Where policies and pools are now, by index; −1 where one is gone, undefined where all are where they were. */
  readonly policies: Int32Array | undefined;
  readonly pools: Int32Array | undefined;
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
  let size = sections.length * CHUNK_WORDS;
  for (const section of sections) {
    if (!isVerified && !known.has(section)) {
      const error = openError(section, seed) ?? namesError(section);
      if (error !== undefined) return { error };
    }
    size += section.count(SharedTable.links);
  }
  const records = new Int32Array(new SharedArrayBuffer(size * 4));
  const firstTarget = sections.length * CHUNK_WORDS;
  const resolved = targets?.length === size - firstTarget ? targets : undefined;
  if (resolved !== undefined) records.set(resolved, firstTarget);
  const slabIndex = new Map(slabs.map((slab, index) => [slab, index]));
  let targetBase = firstTarget;
  for (const [chunk, section] of sections.entries()) {
    const linkCount = section.count(SharedTable.links);
    const at = chunk * CHUNK_WORDS;
    records[at + ChunkWord.slab] = slabIndex.get(section.slab) ?? -1;
    records[at + ChunkWord.bucketBase] = section.wordBase(NamesTableId.buckets);
    records[at + ChunkWord.bucketMask] = section.count(NamesTableId.buckets) - 1;
    records[at + ChunkWord.probesMax] = section.bound(0);
    records[at + ChunkWord.nodesBase] = section.table(NamesTableId.nodes).offset;
    records[at + ChunkWord.shapesBase] = section.wordBase(NamesTableId.shapes);
    records[at + ChunkWord.shapeCount] = section.count(NamesTableId.shapes);
    records[at + ChunkWord.heapBase] = section.table(SharedTable.heap).offset;
    records[at + ChunkWord.targetBase] = targetBase;
    records[at + ChunkWord.linkCount] = linkCount;
    const old = known.get(section);
    const isCopied =
      before !== undefined && old !== undefined && copyTargets(before, old, records, targetBase);
    if (resolved === undefined && !isCopied)
      resolveLinks(section, records, targetBase, resolveTarget);
    targetBase += linkCount;
  }
  return { slabs, records };
}

/** What the links of all names sections lead to, as `NamesKnown.targets` has it. */
export function targetsOf({ records }: NamesTable): Int32Array {
  // The first section's targets begin where the records end.
  return records.subarray(records.length === 0 ? 0 : records[ChunkWord.targetBase]!);
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
): void {
  const { words, bytes } = section;
  const linkCount = section.count(SharedTable.links);
  const keys = section.wordBase(SharedTable.links);
  const kinds = section.table(NamesTableId.linkKinds).offset;
  for (let link = 0; link < linkCount; link++) {
    const kind = bytes[kinds + link]!;
    const index = resolveTarget(kind, words[keys + link * 2]!, words[keys + link * 2 + 1]!);
    records[targetBase + link] = index < 0 ? NO_TARGET : index * 2 + kind;
  }
}

/** Takes over what the links of a section led to; false where one led nowhere, and may lead somewhere now. */
function copyTargets(
  { records: from, policies, pools }: NamesBefore,
  chunk: number,
  to: Int32Array,
  targetBase: number,
): boolean {
  const start = from[chunk * CHUNK_WORDS + ChunkWord.targetBase]!;
  const count = from[chunk * CHUNK_WORDS + ChunkWord.linkCount]!;
  if (policies === undefined && pools === undefined) {
    to.set(from.subarray(start, start + count), targetBase);
    return true;
  }
  for (let link = 0; link < count; link++) {
    const target = from[start + link]!;
    if (target < 0) return false;
    const kind = target & 1;
    const moves = kind === TargetKind.policy ? policies : pools;
    const index = moves === undefined ? target >> 1 : moves[target >> 1]!;
    to[targetBase + link] = index < 0 ? NO_TARGET : index * 2 + kind;
  }
  return true;
}

/** Offsets of the labels of a wire name, root label not included. */
export function labelOffsets(name: Uint8Array): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < name.length && name[at] !== 0; at += name[at]! + 1) offsets.push(at);
  return offsets;
}
