// SPDX-License-Identifier: Apache-2.0

import { SharedTable, type Section, type SectionError } from "../section.ts";
import type { ResolveTarget } from "./zone-table.ts";
import { NamesTableId, PROBES_MAX, SHAPE_WORDS } from "./zone-format.ts";

/** One names section ready to be asked. Bases are resolved once, so that a look-up is arithmetic on two views. */
export class NamesChunk {
  readonly section: Section;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly bucketBase: number;
  readonly bucketMask: number;
  readonly probesMax: number;
  /** Byte offset of the nodes table in the section. */
  readonly nodesBase: number;
  /** Word index of the first shape. */
  readonly shapesBase: number;
  readonly shapeCount: number;
  readonly heapBase: number;
  /** Per link: index of the policy or pool, -1 where the snapshot has none. */
  readonly targets: Int32Array;
  /** Per link: `TargetKind`. */
  readonly targetKinds: Uint8Array;

  constructor(section: Section, targets: Int32Array) {
    this.section = section;
    this.bytes = section.bytes;
    this.words = section.words;
    this.bucketBase = section.wordBase(NamesTableId.buckets);
    this.bucketMask = section.count(NamesTableId.buckets) - 1;
    this.probesMax = section.bound(0);
    this.nodesBase = section.table(NamesTableId.nodes).offset;
    this.shapesBase = section.wordBase(NamesTableId.shapes);
    this.shapeCount = section.count(NamesTableId.shapes);
    this.heapBase = section.table(SharedTable.heap).offset;
    this.targets = targets;
    const kinds = section.table(NamesTableId.linkKinds);
    this.targetKinds = section.bytes.subarray(kinds.offset, kinds.offset + kinds.count);
  }

  /** Word index of the shape `index`. */
  shapeAt(index: number): number {
    return this.shapesBase + index * SHAPE_WORDS;
  }
}

/** Opens a names section and resolves its links. */
export function openNames(
  section: Section,
  seed: number,
  resolveTarget: ResolveTarget,
): NamesChunk | SectionError {
  const bucketCount = section.count(NamesTableId.buckets);
  const isPower = bucketCount > 0 && (bucketCount & (bucketCount - 1)) === 0;
  if (!isPower || section.bound(0) > PROBES_MAX || section.seed !== seed) {
    return {
      error: `Names section has ${bucketCount} buckets, probes to ${section.bound(0)} and seed ${section.seed}`,
    };
  }
  const linkCount = section.count(SharedTable.links);
  const targets = new Int32Array(linkCount);
  const keys = section.wordBase(SharedTable.links);
  const kinds = section.table(NamesTableId.linkKinds).offset;
  for (let link = 0; link < linkCount; link++) {
    const low = section.words[keys + link * 2]!;
    const high = section.words[keys + link * 2 + 1]!;
    targets[link] = resolveTarget(section.bytes[kinds + link]!, low, high);
  }
  return new NamesChunk(section, targets);
}

/** Offsets of the labels of a wire name, root label not included. */
export function labelOffsets(name: Uint8Array): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < name.length && name[at] !== 0; at += name[at]! + 1) offsets.push(at);
  return offsets;
}
