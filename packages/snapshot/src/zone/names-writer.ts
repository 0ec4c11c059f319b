// SPDX-License-Identifier: Apache-2.0

import { assert, type ByteList, key64, keyHigh, keyLow, type WordList } from "@meridian/core";
import type { WrittenSection } from "../section-writer.ts";
import { NamesLayout, putWord } from "./names-layout.ts";
import { Owner, OWNER_WORDS, type OwnerTable } from "./owner-table.ts";
import { shapeOf, type ShapeContent } from "./shape-encoding.ts";
import { BOUND_SET, namesKeyText, NODE_HEADER_BYTES, NodeFlag, SET_BYTES } from "./zone-format.ts";
import type { Binding } from "./zone-writer.ts";

const TYPE_NS = 2;
const TYPE_CNAME = 5;
const TYPE_DNAME = 39;
/** Words of a pending record. */
export const PendingRecord = {
  type: 0,
  /** Seconds. */
  ttl: 1,
  /** Offset and length of its encoded bytes. */
  at: 2,
  bytes: 3,
  /** Offset + 1 of the owner's record before. */
  previous: 4,
} as const;
export const RECORD_WORDS = 5;

/** Words of a pending binding. */
export const PendingBinding = {
  mask: 0,
  /** Index into `bindings`. */
  binding: 1,
  /** Offset + 1 of the owner's binding before. */
  previous: 2,
} as const;
export const BOUND_WORDS = 3;

/** Types of one owner. */
export const SETS_MAX = 255;
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
  /** To what owners are bound (`BOUND_WORDS` each): a million owners mostly share few bindings. */
  readonly bound: WordList;
  readonly bindings: readonly Binding[];
}

/** Lays out the names sections of a zone, 2^chunkBits of them; each can be laid out again after a record's bytes were changed. */
export class NamesWriter {
  /** The section that the apex lies in. */
  readonly apexChunk: number;
  readonly #build: ZoneBuild;
  readonly #chunks: readonly ChunkOwners[];
  readonly #places: BindingPlaces;

  constructor(build: ZoneBuild, chunkBits: number) {
    const { owners } = build;
    const flags = ownerFlags(build);
    packFacts(owners, flags, cutDepths(owners, flags));
    this.#build = build;
    this.#places = new BindingPlaces(build.bindings);
    this.#chunks = chunkOwners(owners, chunkBits);
    this.apexChunk = chunkOf(owners.rows.at(Owner.hash), chunkBits);
  }

  writeAll(): WrittenSection[] {
    return this.#chunks.map((_, index) => this.write(index));
  }

  write(index: number): WrittenSection {
    const key = key64(namesKeyText(this.#build.originText, index));
    return new ChunkWriter(this.#build, this.#places, key).write(this.#chunks[index]!);
  }
}

/** The owners of a chunk by hash, then name. */
interface ChunkOwners {
  readonly owners: Uint32Array;
  readonly hashes: Uint32Array;
}

function ownerFlags({ owners, records }: ZoneBuild): Uint8Array {
  const flags = new Uint8Array(owners.count);
  const { words } = owners.rows;
  const nameBytes = owners.names.bytes;
  for (let owner = 0; owner < owners.count; owner++) {
    const row = owner * OWNER_WORDS;
    let own = owner === 0 ? NodeFlag.isApex : 0;
    for (let next = words[row + Owner.lastRecord]!; next > 0;) {
      const type = records.words[next - 1 + PendingRecord.type]!;
      if (type === TYPE_NS && owner !== 0) own |= NodeFlag.isCut;
      if (type === TYPE_DNAME) own |= NodeFlag.hasDname;
      if (type === TYPE_CNAME) own |= NodeFlag.hasCname;
      next = records.words[next - 1 + PendingRecord.previous]!;
    }
    if (words[row + Owner.lastBound] !== 0) own |= NodeFlag.isBound;
    flags[owner]! |= own;
    const at = words[row + Owner.name]!;
    const isWildcard = owner !== 0 && nameBytes[at] === 1 && nameBytes[at + 1] === 0x2a;
    if (isWildcard) flags[words[row + Owner.parent]!]! |= NodeFlag.hasWildcard;
  }
  return flags;
}

/** A parent always has a smaller index than its children, so one pass from the top is enough. */
function cutDepths(owners: OwnerTable, flags: Uint8Array): Uint8Array {
  const depths = new Uint8Array(owners.count);
  const { words } = owners.rows;
  for (let owner = 1; owner < owners.count; owner++) {
    const parent = words[owner * OWNER_WORDS + Owner.parent]!;
    assert(parent < owner, "a parent comes before its children");
    const stops = (flags[parent]! & (NodeFlag.isCut | NodeFlag.hasDname)) !== 0;
    depths[owner] =
      depths[parent] !== 0 ? depths[parent]! : stops ? owners.labelCount(parent) + 1 : 0;
  }
  return depths;
}

function packFacts(owners: OwnerTable, flags: Uint8Array, depths: Uint8Array): void {
  const { words } = owners.rows;
  for (let owner = 0; owner < owners.count; owner++)
    words[owner * OWNER_WORDS + Owner.packed]! |= (flags[owner]! << 16) | (depths[owner]! << 24);
}

function chunkOwners(owners: OwnerTable, chunkBits: number): ChunkOwners[] {
  const { words } = owners.rows;
  const hashOf = (owner: number): number => words[owner * OWNER_WORDS + Owner.hash]!;
  const sizes = new Uint32Array(1 << chunkBits);
  for (let owner = 0; owner < owners.count; owner++) sizes[chunkOf(hashOf(owner), chunkBits)]! += 1;
  const members = Array.from(sizes, (size) => new Uint32Array(size));
  const keys = Array.from(sizes, (size) => new Float64Array(size));
  sizes.fill(0);
  for (let owner = 0; owner < owners.count; owner++) {
    const hash = hashOf(owner);
    const chunk = chunkOf(hash, chunkBits);
    const place = sizes[chunk]!;
    members[chunk]![place] = owner;
    keys[chunk]![place] = hash * CHUNK_OWNERS_MAX + place;
    sizes[chunk]! += 1;
  }
  return members.map((each, chunk) => sortOwners(owners, each, keys[chunk]!));
}

/** Sorted by numbers of hash and place, without a comparing function: a third of the time for a million owners. */
function sortOwners(owners: OwnerTable, members: Uint32Array, keys: Float64Array): ChunkOwners {
  assert(members.length <= CHUNK_OWNERS_MAX, "a hash and a place fit a double");
  keys.sort();
  const sorted = new Uint32Array(members.length);
  const hashes = new Uint32Array(members.length);
  let run = 0;
  for (let at = 0; at < keys.length; at++) {
    const owner = members[keys[at]! % CHUNK_OWNERS_MAX]!;
    hashes[at] = Math.floor(keys[at]! / CHUNK_OWNERS_MAX);
    if (hashes[at] !== hashes[run]) run = at;
    let to = at;
    // Owners of one hash go by name; there is hardly ever more than one.
    for (; to > run && Buffer.compare(owners.name(sorted[to - 1]!), owners.name(owner)) > 0; to--)
      sorted[to] = sorted[to - 1]!;
    sorted[to] = owner;
  }
  return { owners: sorted, hashes };
}

/** The names section that a hash lies in. */
export function chunkOf(hash: number, chunkBits: number): number {
  return chunkBits === 0 ? 0 : hash >>> (32 - chunkBits);
}

/** Lays out one names section. */
class ChunkWriter {
  readonly #build: ZoneBuild;
  readonly #places: BindingPlaces;
  readonly #layout: NamesLayout;
  readonly #nodes: ByteList;
  readonly #lone: number[] = [0];
  readonly #loneSets = [this.#lone];

  constructor(build: ZoneBuild, places: BindingPlaces, key: bigint) {
    this.#build = build;
    this.#places = places;
    this.#layout = new NamesLayout(key, build.seed);
    this.#nodes = this.#layout.nodes;
    places.startSection();
  }

  write({ owners, hashes }: ChunkOwners): WrittenSection {
    const offsets = owners.map((owner) => this.#node(owner));
    return this.#layout.finish(hashes, offsets);
  }

  /** Appends a node and returns where it lies. */
  #node(owner: number): number {
    const { owners, bound } = this.#build;
    const nodes = this.#nodes;
    const { words } = owners.rows;
    const row = owner * OWNER_WORDS;
    const lastRecord = words[row + Owner.lastRecord]!;
    const sets = lastRecord === 0 ? noSets : this.#setsOf(lastRecord);
    const lastBound = words[row + Owner.lastBound]!;
    const boundCount = chainLength(bound, lastBound, PendingBinding.previous);
    const setCount = sets.length + boundCount;
    assert(setCount <= SETS_MAX, "an owner has at most 255 types");
    nodes.zeros(-nodes.length & 3);
    const at = nodes.zeros(NODE_HEADER_BYTES + setCount * SET_BYTES);
    const packed = words[row + Owner.packed]!;
    const nameOffset = words[row + Owner.name]!;
    const nameBytes = packed & 0xff;
    nodes.bytes[at] = packed >>> 16;
    nodes.bytes[at + 1] = nameBytes;
    nodes.bytes[at + 2] = setCount;
    nodes.bytes[at + 3] = packed >>> 24;
    putWord(nodes.bytes, at + 4, words[row + Owner.childCount]!);
    nodes.append(owners.names.bytes, nameOffset, nameOffset + nameBytes);
    let set = at + NODE_HEADER_BYTES;
    // A list for each of a million owners that have one took half a second.
    if (boundCount === 1) this.#boundSet(set, lastBound - 1);
    else if (boundCount > 1)
      for (const [index, binding] of chain(bound, lastBound, PendingBinding.previous).entries())
        this.#boundSet(set + index * SET_BYTES, binding);
    set += boundCount * SET_BYTES;
    for (const members of sets) {
      this.#recordSet(set, members);
      set += SET_BYTES;
    }
    return at;
  }

  /** The same lists again and again for owners with one record, as most have. */
  #setsOf(last: number): readonly (readonly number[])[] {
    const { records } = this.#build;
    if (records.words[last - 1 + PendingRecord.previous] !== 0)
      return this.#recordSets(chain(records, last, PendingRecord.previous));
    this.#lone[0] = last - 1;
    return this.#loneSets;
  }

  /** Records of an owner grouped by type, types rising, each group in canonical order without doubles (RFC 2181 §5). */
  #recordSets(all: number[]): readonly (readonly number[])[] {
    const { records } = this.#build;
    all.sort(
      (a, b) =>
        records.at(a + PendingRecord.type) - records.at(b + PendingRecord.type) ||
        this.#compareRdata(a, b),
    );
    const sets: number[][] = [];
    let previous = -1;
    for (const record of all) {
      const isSameType =
        previous >= 0 &&
        records.at(previous + PendingRecord.type) === records.at(record + PendingRecord.type);
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
    const at = records.at(record + PendingRecord.at);
    return recordBytes.bytes.subarray(at, at + records.at(record + PendingRecord.bytes));
  }

  #recordSet(set: number, members: readonly number[]): void {
    const { records, recordBytes } = this.#build;
    const nodes = this.#nodes;
    const start = nodes.length;
    let ttl = 0xffff_ffff;
    for (const record of members) {
      const from = records.words[record + PendingRecord.at]!;
      nodes.append(recordBytes.bytes, from, from + records.words[record + PendingRecord.bytes]!);
      // The TTLs of an RRset are equal (RFC 2181 §5.2); where the input differs, the least one is safe.
      ttl = Math.min(ttl, records.words[record + PendingRecord.ttl]!);
    }
    assert(members.length < BOUND_SET, "an RRset has fewer than 65,535 records");
    putWord(
      nodes.bytes,
      set,
      records.words[members[0]! + PendingRecord.type]! | (members.length << 16),
    );
    putWord(nodes.bytes, set + 4, ttl);
    putWord(nodes.bytes, set + 8, start);
    putWord(nodes.bytes, set + 12, nodes.length - start);
  }

  #boundSet(set: number, bound: number): void {
    const { words } = this.#build.bound;
    const binding = words[bound + PendingBinding.binding]!;
    const places = this.#places;
    places.place(binding, this.#layout);
    putWord(this.#nodes.bytes, set, words[bound + PendingBinding.mask]! | (BOUND_SET << 16));
    putWord(this.#nodes.bytes, set + 4, places.links[binding]!);
    putWord(this.#nodes.bytes, set + 8, places.shapeAt(binding));
  }
}

/**
 * What bindings are in the section that is being written: numbers of links and shapes. Hundreds of sections have names of each of thousands
 * of bindings, so what does not depend on the section is made once, and what does is kept in flat lists (a million names: 0.5 s less).
 */
class BindingPlaces {
  /** By binding, once it is placed. */
  readonly links: Uint32Array;
  readonly #bindings: readonly Binding[];
  /** The section that a binding was placed in last, from 1. */
  readonly #placedIn: Uint32Array;
  readonly #lows: Uint32Array;
  readonly #highs: Uint32Array;
  /** Different shapes, and by binding which it has. */
  readonly #contents: readonly ShapeContent[];
  readonly #contentOf: Uint32Array;
  /** By content. */
  readonly #shapes: Uint32Array;
  readonly #shapedIn: Uint32Array;
  #section = 0;

  constructor(bindings: readonly Binding[]) {
    const contents = new Map<string, { readonly content: ShapeContent; readonly index: number }>();
    this.#bindings = bindings;
    this.#contentOf = Uint32Array.from(bindings, (binding) => {
      const content = shapeOf(binding);
      const known = contents.get(content.key) ?? { content, index: contents.size };
      contents.set(content.key, known);
      return known.index;
    });
    this.#contents = Array.from(contents.values(), ({ content }) => content);
    this.#lows = Uint32Array.from(bindings, ({ targetKey }) => keyLow(targetKey));
    this.#highs = Uint32Array.from(bindings, ({ targetKey }) => keyHigh(targetKey));
    this.links = new Uint32Array(bindings.length);
    this.#placedIn = new Uint32Array(bindings.length);
    this.#shapes = new Uint32Array(contents.size);
    this.#shapedIn = new Uint32Array(contents.size);
  }

  /** Nothing is placed in the next one. */
  startSection(): void {
    this.#section += 1;
  }

  /** Gives a binding its places, link first, unless it has them. */
  place(binding: number, layout: NamesLayout): void {
    const section = this.#section;
    if (this.#placedIn[binding] === section) return;
    this.#placedIn[binding] = section;
    const { targetKind } = this.#bindings[binding]!;
    this.links[binding] = layout.linkOf(this.#lows[binding]!, this.#highs[binding]!, targetKind);
    const content = this.#contentOf[binding]!;
    if (this.#shapedIn[content] === section) return;
    this.#shapedIn[content] = section;
    this.#shapes[content] = layout.shape(this.#contents[content]!);
  }

  /** The shape of a binding that is placed. */
  shapeAt(binding: number): number {
    return this.#shapes[this.#contentOf[binding]!]!;
  }
}

/** The rows of a chain in the order in which they were added; `last` is the offset + 1 of the last. */
function chain(list: WordList, last: number, previous: number): number[] {
  const rows: number[] = [];
  for (let next = last; next > 0; next = list.words[next - 1 + previous]!) rows.push(next - 1);
  return rows.reverse();
}

function chainLength(list: WordList, last: number, previous: number): number {
  let length = 0;
  for (let next = last; next > 0; next = list.words[next - 1 + previous]!) length += 1;
  return length;
}

const noSets: readonly (readonly number[])[] = [];
