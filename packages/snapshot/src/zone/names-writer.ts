// SPDX-License-Identifier: Apache-2.0

import { assert, ByteList, key64, type WordList } from "@meridian/core";
import type { WrittenSection } from "../section-writer.ts";
import { SectionWriter } from "../section-writer.ts";
import { SectionKind } from "../section.ts";
import type { OwnerTable } from "./owner-table.ts";
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
/** Words of a pending binding: owner, type mask, index into `bindings`. */
const BOUND_WORDS = 3;
const SETS_MAX = 255;
/** Owners of one chunk, as the low digits of a sort key; 4,096 are expected. */
const CHUNK_OWNERS_MAX = 2 ** 21;

/** What `ZoneWriter` has collected. */
export interface ZoneBuild {
  readonly origin: Uint8Array;
  readonly originText: string;
  readonly seed: number;
  readonly owners: OwnerTable;
  readonly records: WordList;
  readonly recordBytes: ByteList;
  /** Who is bound (`BOUND_WORDS` each), and to what: a million owners mostly share few bindings. */
  readonly bound: WordList;
  readonly bindings: readonly Binding[];
}

/** Lays out the names sections of a zone, 2^chunkBits of them; each can be laid out again after a record's bytes were changed. */
export class NamesWriter {
  /** The section that the apex lies in. */
  readonly apexChunk: number;
  readonly #build: ZoneBuild;
  readonly #facts: OwnerFacts;
  readonly #chunks: Uint32Array[];

  constructor(build: ZoneBuild, chunkBits: number) {
    const { owners } = build;
    const flags = ownerFlags(build);
    this.#build = build;
    this.#facts = {
      flags,
      depths: cutDepths(owners, flags),
      recordsOf: groupByOwner(build.records, RECORD_WORDS, owners.count),
      boundOf: groupByOwner(build.bound, BOUND_WORDS, owners.count),
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
  readonly boundOf: Grouping;
}

/** For each owner, `items[starts[owner]..starts[owner + 1])`. */
interface Grouping {
  readonly starts: Uint32Array;
  readonly items: Uint32Array;
}

function ownerFlags({ owners, records, bound }: ZoneBuild): Uint8Array {
  const flags = new Uint8Array(owners.count);
  flags[0] = NodeFlag.isApex;
  const recordWords = records.words;
  for (let at = 0; at < records.length; at += RECORD_WORDS) {
    const owner = recordWords[at]!;
    const type = recordWords[at + 1]!;
    if (type === TYPE_NS && owner !== 0) flags[owner]! |= NodeFlag.isCut;
    if (type === TYPE_DNAME) flags[owner]! |= NodeFlag.hasDname;
    if (type === TYPE_CNAME) flags[owner]! |= NodeFlag.hasCname;
  }
  const boundWords = bound.words;
  for (let at = 0; at < bound.length; at += BOUND_WORDS)
    flags[boundWords[at]!]! |= NodeFlag.isBound;
  const nameBytes = owners.names.bytes;
  for (let owner = 1; owner < owners.count; owner++) {
    const at = owners.nameOffsets.words[owner]!;
    const isWildcard = nameBytes[at] === 1 && nameBytes[at + 1] === 0x2a;
    if (isWildcard) flags[owners.parents.words[owner]!]! |= NodeFlag.hasWildcard;
  }
  return flags;
}

/** A parent always has a smaller index than its children, so one pass from the top is enough. */
function cutDepths(owners: OwnerTable, flags: Uint8Array): Uint8Array {
  const depths = new Uint8Array(owners.count);
  const parents = owners.parents.words;
  for (let owner = 1; owner < owners.count; owner++) {
    const parent = parents[owner]!;
    assert(parent < owner, "a parent comes before its children");
    const stops = (flags[parent]! & (NodeFlag.isCut | NodeFlag.hasDname)) !== 0;
    depths[owner] =
      depths[parent] !== 0 ? depths[parent]! : stops ? owners.labelCounts.at(parent) + 1 : 0;
  }
  return depths;
}

function groupByOwner(list: WordList, stride: number, ownerCount: number): Grouping {
  const { words, length } = list;
  const starts = new Uint32Array(ownerCount + 1);
  for (let at = 0; at < length; at += stride) starts[words[at]! + 1]! += 1;
  for (let owner = 0; owner < ownerCount; owner++) starts[owner + 1]! += starts[owner]!;
  const items = new Uint32Array(length / stride);
  const next = starts.slice();
  for (let at = 0; at < length; at += stride) {
    const owner = words[at]!;
    items[next[owner]!] = at;
    next[owner]! += 1;
  }
  return { starts, items };
}

/** The owners of each chunk by hash, then name. */
function chunkOwners(owners: OwnerTable, chunkBits: number): Uint32Array[] {
  const hashes = owners.hashes.words;
  const sizes = new Uint32Array(1 << chunkBits);
  for (let owner = 0; owner < owners.count; owner++)
    sizes[chunkOf(hashes[owner]!, chunkBits)]! += 1;
  const chunks = Array.from(sizes, (size) => new Uint32Array(size));
  sizes.fill(0);
  for (let owner = 0; owner < owners.count; owner++) {
    const chunk = chunkOf(hashes[owner]!, chunkBits);
    chunks[chunk]![sizes[chunk]!] = owner;
    sizes[chunk]! += 1;
  }
  return chunks.map((members) => sortOwners(owners, members));
}

/** Sorted by numbers of hash and place, without a comparing function: a third of the time for a million owners. */
function sortOwners(owners: OwnerTable, members: Uint32Array): Uint32Array {
  const hashes = owners.hashes.words;
  assert(members.length <= CHUNK_OWNERS_MAX, "a hash and a place fit a double");
  const keys = new Float64Array(members.length);
  for (let place = 0; place < members.length; place++)
    keys[place] = hashes[members[place]!]! * CHUNK_OWNERS_MAX + place;
  keys.sort();
  const sorted = new Uint32Array(members.length);
  let run = 0;
  for (let at = 0; at < keys.length; at++) {
    const owner = members[keys[at]! % CHUNK_OWNERS_MAX]!;
    if (at > run && hashes[owner] !== hashes[sorted[run]!]) run = at;
    let to = at;
    // Owners of one hash go by name; there is hardly ever more than one.
    for (; to > run && compareOwners(owners, sorted[to - 1]!, owner) > 0; to--)
      sorted[to] = sorted[to - 1]!;
    sorted[to] = owner;
  }
  return sorted;
}

function compareOwners(
  { names, nameOffsets, nameBytes }: OwnerTable,
  a: number,
  b: number,
): number {
  const name = (owner: number): Uint8Array =>
    names.bytes.subarray(nameOffsets.at(owner), nameOffsets.at(owner) + nameBytes.at(owner));
  return Buffer.compare(name(a), name(b));
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
  /** By binding: its link and its shape in this chunk. */
  readonly #places = new Map<number, BindingPlace>();

  constructor(build: ZoneBuild, key: bigint, facts: OwnerFacts) {
    this.#build = build;
    this.#facts = facts;
    this.#writer = new SectionWriter(SectionKind.names, key, build.seed);
  }

  write(members: Uint32Array): WrittenSection {
    const hashes = this.#build.owners.hashes.words;
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

  /** Appends a node and returns where it lies. */
  #node(owner: number): number {
    const { owners } = this.#build;
    const { flags, depths, boundOf, recordsOf } = this.#facts;
    const nodes = this.#nodes;
    const sets =
      recordsOf.starts[owner] === recordsOf.starts[owner + 1] ? noSets : this.#recordSets(owner);
    const boundStart = boundOf.starts[owner]!;
    const boundEnd = boundOf.starts[owner + 1]!;
    const setCount = sets.length + boundEnd - boundStart;
    assert(setCount <= SETS_MAX, "an owner has at most 255 types");
    nodes.zeros(-nodes.length & 3);
    const at = nodes.zeros(NODE_HEADER_BYTES + setCount * SET_BYTES);
    const nameOffset = owners.nameOffsets.words[owner]!;
    const nameBytes = owners.nameBytes.words[owner]!;
    nodes.bytes[at] = flags[owner]!;
    nodes.bytes[at + 1] = nameBytes;
    nodes.bytes[at + 2] = setCount;
    nodes.bytes[at + 3] = depths[owner]!;
    putWord(nodes.bytes, at + 4, owners.childCounts.words[owner]!);
    nodes.append(owners.names.bytes, nameOffset, nameOffset + nameBytes);
    let set = at + NODE_HEADER_BYTES;
    for (let bound = boundStart; bound < boundEnd; bound++) {
      this.#boundSet(set, boundOf.items[bound]!);
      set += SET_BYTES;
    }
    for (const records of sets) {
      this.#recordSet(set, records);
      set += SET_BYTES;
    }
    return at;
  }

  /** The records of an owner grouped by type, types rising, each group in canonical order without doubles (RFC 2181 §5). */
  #recordSets(owner: number): readonly (readonly number[])[] {
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
      const from = records.words[record + 3]!;
      nodes.append(recordBytes.bytes, from, from + records.words[record + 4]!);
      // The TTLs of an RRset are equal (RFC 2181 §5.2); where the input differs, the least one is safe.
      ttl = Math.min(ttl, records.words[record + 2]!);
    }
    assert(members.length < BOUND_SET, "an RRset has fewer than 65,535 records");
    putWord(nodes.bytes, set, records.words[members[0]! + 1]! | (members.length << 16));
    putWord(nodes.bytes, set + 4, ttl);
    putWord(nodes.bytes, set + 8, start);
    putWord(nodes.bytes, set + 12, nodes.length - start);
  }

  #boundSet(set: number, bound: number): void {
    const { words } = this.#build.bound;
    const { link, shape } = this.#placeOf(words[bound + 2]!);
    putWord(this.#nodes.bytes, set, words[bound + 1]! | (BOUND_SET << 16));
    putWord(this.#nodes.bytes, set + 4, link);
    putWord(this.#nodes.bytes, set + 8, shape);
  }

  #placeOf(index: number): BindingPlace {
    const known = this.#places.get(index);
    if (known !== undefined) return known;
    const binding = this.#build.bindings[index]!;
    const link = this.#writer.link(binding.targetKey);
    this.#linkKinds[link] = binding.targetKind;
    const key = shapeKey(binding);
    let shape = this.#shapeIndex.get(key);
    if (shape === undefined) {
      shape = this.#shapeIndex.size;
      this.#shapeIndex.set(key, shape);
      this.#shapes.push(...shapeWords(binding, this.#writer));
    }
    const place = { link, shape };
    this.#places.set(index, place);
    return place;
  }
}

interface BindingPlace {
  readonly link: number;
  readonly shape: number;
}

const noSets: readonly (readonly number[])[] = [];

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

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
