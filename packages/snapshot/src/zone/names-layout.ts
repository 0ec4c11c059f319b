// SPDX-License-Identifier: Apache-2.0

// The tables of a names section while it is written, whether its nodes come from a whole zone or mostly from the section before it.

import { assert, ByteList, keyHigh, keyLow } from "@meridian/core";
import { SectionWriter, type WrittenSection } from "../section-writer.ts";
import { SectionKind, type Section } from "../section.ts";
import { putShape, type ShapeContent } from "./shape-encoding.ts";
import { NamesTableId, PROBES_MAX, SHAPE_WORDS } from "./zone-format.ts";

/** Links and shapes get their numbers in the order in which nodes name them first. */
export class NamesLayout {
  readonly nodes: ByteList = new ByteList(1 << 16);
  readonly #writer: SectionWriter;
  readonly #linkKinds: number[] = [];
  readonly #shapes: number[] = [];
  readonly #shapeIndex = new Map<string, number>();

  /** `linkCount`: so many links will come, and some more. */
  constructor(key: bigint, seed: number, linkCount = 0) {
    this.#writer = new SectionWriter(SectionKind.names, key, seed);
    this.#writer.expectLinks(linkCount);
  }

  /** The number of a link to a policy or pool (`TargetKind`). */
  link(key: bigint, kind: number): number {
    return this.linkOf(keyLow(key), keyHigh(key), kind);
  }

  /** The same, of a key given by halves. */
  linkOf(low: number, high: number, kind: number): number {
    const link = this.#writer.linkOf(low, high);
    this.#linkKinds[link] = kind;
    return link;
  }

  /** The same for a link of another section. */
  copyLink(section: Section, index: number): number {
    const link = this.#writer.copyLink(section, index);
    this.#linkKinds[link] = section.bytes[section.table(NamesTableId.linkKinds).offset + index]!;
    return link;
  }

  /** The number of a shape, the same for equal ones. */
  shape(content: ShapeContent): number {
    let shape = this.#shapeIndex.get(content.key);
    if (shape === undefined) {
      shape = this.#shapeIndex.size;
      this.#shapeIndex.set(content.key, shape);
      this.#shapes.push(...putShape(content, this.#writer));
    }
    return shape;
  }

  /** Where each node lies, in the order of `hashes`. */
  finish(hashes: Uint32Array, offsets: Uint32Array): WrittenSection {
    const { nodes } = this;
    assert(hashes.length === offsets.length, "each node has a hash");
    nodes.zeros(-nodes.length & 7);
    const { buckets, probes } = layBuckets(hashes, offsets);
    const writer = this.#writer;
    writer.bound(0, probes);
    writer.table(NamesTableId.buckets, 8, buckets);
    writer.table(NamesTableId.nodes, 1, nodes.bytes.subarray(0, nodes.length));
    writer.table(NamesTableId.shapes, SHAPE_WORDS * 4, Uint32Array.from(this.#shapes));
    writer.table(NamesTableId.linkKinds, 1, Uint8Array.from(this.#linkKinds));
    return writer.finish();
  }
}

/** The hash index: at most two thirds full, grown further while a probe would be too long. */
function layBuckets(
  hashes: Uint32Array,
  offsets: Uint32Array,
): { buckets: Uint32Array; probes: number } {
  let size = 2;
  while (size * 2 < hashes.length * 3) size *= 2;
  for (; ; size *= 2) {
    const buckets = new Uint32Array(size * 2);
    const probes = fillBuckets(buckets, hashes, offsets);
    if (probes <= PROBES_MAX) return { buckets, probes };
  }
}

function fillBuckets(buckets: Uint32Array, hashes: Uint32Array, offsets: Uint32Array): number {
  const mask = buckets.length / 2 - 1;
  let probes = 1;
  hashes.forEach((hash, index) => {
    let bucket = hash & mask;
    let steps = 1;
    for (; buckets[bucket * 2 + 1] !== 0; steps++) bucket = (bucket + 1) & mask;
    buckets[bucket * 2] = hash;
    buckets[bucket * 2 + 1] = offsets[index]! + 1;
    probes = Math.max(probes, steps);
  });
  return probes;
}

/** Writes a little-endian word. */
export function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
