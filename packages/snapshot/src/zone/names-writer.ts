// SPDX-License-Identifier: Apache-2.0

import { assert, key64 } from "@meridian/core";
import type { WrittenSection } from "../section-writer.ts";
import { SectionWriter } from "../section-writer.ts";
import { SectionKind } from "../section.ts";
import { ByteList, WordList, type OwnerTable } from "./owner-table.ts";
import { shapeKey, shapeWords } from "./shape-encoding.ts";
import {
  BOUND_SET,
  namesKeyText,
  NamesTableId,
  NODE_HEADER_BYTES,
  NodeFlag,
  PROBES_MAX,
  SET_BYTES,
  SHAPE_WORDS,
} from "./zone-format.ts";
import type { Binding } from "./zone-writer.ts";

const TYPE_NS = 2;
const TYPE_CNAME = 5;
const TYPE_DNAME = 39;
/** Words of a pending record: owner, type, TTL, offset and length of its encoded bytes. */
const RECORD_WORDS = 5;
const SETS_MAX = 255;

interface PendingBinding {
  readonly owner: number;
  readonly mask: number;
  readonly binding: Binding;
}

/** What `ZoneWriter` has collected. */
export interface ZoneBuild {
  readonly origin: Uint8Array;
  readonly originText: string;
  readonly seed: number;
  readonly owners: OwnerTable;
  readonly records: WordList;
  readonly recordBytes: ByteList;
  readonly bindings: PendingBinding[];
  readonly shapes: Map<string, number>;
}

/** Lays out the names sections of a zone, 2^chunkBits of them; each can be laid out again after a record's bytes were changed. */
export class NamesWriter {
  /** The section that the apex lies in. */
  readonly apexChunk: number;
  readonly #build: ZoneBuild;
  readonly #facts: OwnerFacts;
  readonly #chunks: number[][];

  constructor(build: ZoneBuild, chunkBits: number) {
    const { owners } = build;
    const flags = ownerFlags(build);
    this.#build = build;
    this.#facts = {
      flags,
      depths: cutDepths(owners, flags),
      recordsOf: groupByOwner(build.records, RECORD_WORDS, owners.count),
      bindingsOf: groupBindings(build.bindings, owners.count),
    };
    this.#chunks = chunkOwners(owners, chunkBits);
    this.apexChunk = chunkOf(owners.hashes.at(0), chunkBits);
  }

  writeAll(): WrittenSection[] {
    return this.#chunks.map((_, index) => this.write(index));
  }

  write(index: number): WrittenSection {
    const key = key64(namesKeyText(this.#build.originText, index));
    return new ChunkWriter(this.#build, key, this.#facts).write(this.#chunks[index]!);
  }
}

interface OwnerFacts {
  readonly flags: Uint8Array;
  readonly depths: Uint8Array;
  readonly recordsOf: Grouping;
  readonly bindingsOf: Grouping;
}

/** For each owner, `items[starts[owner]..starts[owner + 1])`. */
interface Grouping {
  readonly starts: Uint32Array;
  readonly items: Uint32Array;
}

function ownerFlags(build: ZoneBuild): Uint8Array {
  const { owners, records, bindings } = build;
  const flags = new Uint8Array(owners.count);
  flags[0] = NodeFlag.isApex;
  for (let at = 0; at < records.length; at += RECORD_WORDS) {
    const owner = records.at(at);
    const type = records.at(at + 1);
    if (type === TYPE_NS && owner !== 0) flags[owner]! |= NodeFlag.isCut;
    if (type === TYPE_DNAME) flags[owner]! |= NodeFlag.hasDname;
    if (type === TYPE_CNAME) flags[owner]! |= NodeFlag.hasCname;
  }
  for (const { owner } of bindings) flags[owner]! |= NodeFlag.isBound;
  for (let owner = 1; owner < owners.count; owner++) {
    const at = owners.nameOffsets.at(owner);
    const isWildcard = owners.names.bytes[at] === 1 && owners.names.bytes[at + 1] === 0x2a;
    if (isWildcard) flags[owners.parents.at(owner)]! |= NodeFlag.hasWildcard;
  }
  return flags;
}

/** A parent always has a smaller index than its children, so one pass from the top is enough. */
function cutDepths(owners: OwnerTable, flags: Uint8Array): Uint8Array {
  const depths = new Uint8Array(owners.count);
  for (let owner = 1; owner < owners.count; owner++) {
    const parent = owners.parents.at(owner);
    assert(parent < owner, "a parent comes before its children");
    const stops = (flags[parent]! & (NodeFlag.isCut | NodeFlag.hasDname)) !== 0;
    depths[owner] =
      depths[parent] !== 0 ? depths[parent]! : stops ? owners.labelCounts.at(parent) + 1 : 0;
  }
  return depths;
}

function groupByOwner(list: WordList, stride: number, ownerCount: number): Grouping {
  const starts = new Uint32Array(ownerCount + 1);
  for (let at = 0; at < list.length; at += stride) starts[list.at(at) + 1]! += 1;
  for (let owner = 0; owner < ownerCount; owner++) starts[owner + 1]! += starts[owner]!;
  const items = new Uint32Array(list.length / stride);
  const next = starts.slice();
  for (let at = 0; at < list.length; at += stride) {
    const owner = list.at(at);
    items[next[owner]!] = at;
    next[owner]! += 1;
  }
  return { starts, items };
}

function groupBindings(bindings: readonly PendingBinding[], ownerCount: number): Grouping {
  const list = new WordList(Math.max(1, bindings.length));
  for (const { owner } of bindings) list.push(owner);
  return groupByOwner(list, 1, ownerCount);
}

function chunkOwners(owners: OwnerTable, chunkBits: number): number[][] {
  const chunks: number[][] = Array.from({ length: 1 << chunkBits }, () => []);
  for (let owner = 0; owner < owners.count; owner++) {
    chunks[chunkOf(owners.hashes.at(owner), chunkBits)]!.push(owner);
  }
  return chunks;
}

function chunkOf(hash: number, chunkBits: number): number {
  return chunkBits === 0 ? 0 : hash >>> (32 - chunkBits);
}

/** Lays out one names section. */
class ChunkWriter {
  readonly #build: ZoneBuild;
  readonly #facts: OwnerFacts;
  readonly #writer: SectionWriter;
  readonly #nodes: ByteList = new ByteList(1 << 16);
  readonly #linkKinds: number[] = [];
  readonly #shapes: number[] = [];
  readonly #shapeIndex = new Map<string, number>();

  constructor(build: ZoneBuild, key: bigint, facts: OwnerFacts) {
    this.#build = build;
    this.#facts = facts;
    this.#writer = new SectionWriter(SectionKind.names, key, build.seed);
  }

  write(members: number[]): WrittenSection {
    const { owners } = this.#build;
    const hashes = owners.hashes.words;
    members.sort((a, b) => hashes[a]! - hashes[b]! || this.#compareNames(a, b));
    const offsets = members.map((owner) => this.#node(owner));
    this.#nodes.zeros(-this.#nodes.length & 7);
    const { buckets, probes } = layBuckets(
      members.map((owner) => hashes[owner]!),
      offsets,
    );
    const writer = this.#writer;
    writer.bound(0, probes);
    writer.table(NamesTableId.buckets, 8, buckets);
    writer.table(NamesTableId.nodes, 1, this.#nodes.bytes.subarray(0, this.#nodes.length));
    writer.table(NamesTableId.shapes, SHAPE_WORDS * 4, Uint32Array.from(this.#shapes));
    writer.table(NamesTableId.linkKinds, 1, Uint8Array.from(this.#linkKinds));
    return writer.finish();
  }

  #compareNames(a: number, b: number): number {
    const { names, nameOffsets, nameBytes } = this.#build.owners;
    const name = (owner: number): Uint8Array =>
      names.bytes.subarray(nameOffsets.at(owner), nameOffsets.at(owner) + nameBytes.at(owner));
    return Buffer.compare(name(a), name(b));
  }

  /** Appends a node and returns where it lies. */
  #node(owner: number): number {
    const { owners } = this.#build;
    const { flags, depths, bindingsOf } = this.#facts;
    const nodes = this.#nodes;
    const sets = this.#recordSets(owner);
    const bindings = bindingsOf.items.subarray(
      bindingsOf.starts[owner],
      bindingsOf.starts[owner + 1],
    );
    const setCount = sets.length + bindings.length;
    assert(setCount <= SETS_MAX, "an owner has at most 255 types");
    nodes.zeros(-nodes.length & 3);
    const at = nodes.zeros(NODE_HEADER_BYTES + setCount * SET_BYTES);
    const nameOffset = owners.nameOffsets.at(owner);
    const nameBytes = owners.nameBytes.at(owner);
    nodes.bytes[at] = flags[owner]!;
    nodes.bytes[at + 1] = nameBytes;
    nodes.bytes[at + 2] = setCount;
    nodes.bytes[at + 3] = depths[owner]!;
    putWord(nodes.bytes, at + 4, owners.childCounts.at(owner));
    nodes.append(owners.names.bytes, nameOffset, nameOffset + nameBytes);
    let set = at + NODE_HEADER_BYTES;
    for (const binding of bindings) {
      this.#boundSet(set, this.#build.bindings[binding]!);
      set += SET_BYTES;
    }
    for (const records of sets) {
      this.#recordSet(set, records);
      set += SET_BYTES;
    }
    return at;
  }

  /** The records of an owner grouped by type, types rising, each group in canonical order without doubles (RFC 2181 §5). */
  #recordSets(owner: number): number[][] {
    const { recordsOf } = this.#facts;
    const { records } = this.#build;
    const start = recordsOf.starts[owner]!;
    const end = recordsOf.starts[owner + 1]!;
    if (end - start === 1) return [[recordsOf.items[start]!]];
    const all = [...recordsOf.items.subarray(start, end)];
    all.sort((a, b) => records.at(a + 1) - records.at(b + 1) || this.#compareRdata(a, b));
    const sets: number[][] = [];
    let previous = -1;
    for (const record of all) {
      const isSameType = previous >= 0 && records.at(previous + 1) === records.at(record + 1);
      if (!isSameType) sets.push([record]);
      else if (this.#compareRdata(previous, record) !== 0) sets.at(-1)!.push(record);
      previous = record;
    }
    return sets;
  }

  #compareRdata(a: number, b: number): number {
    return Buffer.compare(this.#recordView(a).subarray(4), this.#recordView(b).subarray(4));
  }

  #recordView(record: number): Uint8Array {
    const { records, recordBytes } = this.#build;
    const at = records.at(record + 3);
    return recordBytes.bytes.subarray(at, at + records.at(record + 4));
  }

  #recordSet(set: number, members: readonly number[]): void {
    const { records, recordBytes } = this.#build;
    const nodes = this.#nodes;
    const start = nodes.length;
    let ttl = 0xffff_ffff;
    for (const record of members) {
      const from = records.at(record + 3);
      nodes.append(recordBytes.bytes, from, from + records.at(record + 4));
      // The TTLs of an RRset are equal (RFC 2181 §5.2); where the input differs, the least one is safe.
      ttl = Math.min(ttl, records.at(record + 2));
    }
    assert(members.length < BOUND_SET, "an RRset has fewer than 65,535 records");
    putWord(nodes.bytes, set, records.at(members[0]! + 1) | (members.length << 16));
    putWord(nodes.bytes, set + 4, ttl);
    putWord(nodes.bytes, set + 8, start);
    putWord(nodes.bytes, set + 12, nodes.length - start);
  }

  #boundSet(set: number, pending: PendingBinding): void {
    const { binding, mask } = pending;
    const link = this.#writer.link(binding.targetKey);
    this.#linkKinds[link] = binding.targetKind;
    const key = shapeKey(binding);
    let shape = this.#shapeIndex.get(key);
    if (shape === undefined) {
      shape = this.#shapeIndex.size;
      this.#shapeIndex.set(key, shape);
      this.#shapes.push(...shapeWords(binding, this.#writer));
    }
    putWord(this.#nodes.bytes, set, mask | (BOUND_SET << 16));
    putWord(this.#nodes.bytes, set + 4, link);
    putWord(this.#nodes.bytes, set + 8, shape);
  }
}

/** The hash index: at most two thirds full, grown further while a probe would be too long. */
function layBuckets(
  hashes: readonly number[],
  offsets: readonly number[],
): { buckets: Uint32Array; probes: number } {
  let size = 2;
  while (size * 2 < hashes.length * 3) size *= 2;
  for (; ; size *= 2) {
    const buckets = new Uint32Array(size * 2);
    const probes = fillBuckets(buckets, hashes, offsets);
    if (probes <= PROBES_MAX) return { buckets, probes };
  }
}

function fillBuckets(
  buckets: Uint32Array,
  hashes: readonly number[],
  offsets: readonly number[],
): number {
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

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
