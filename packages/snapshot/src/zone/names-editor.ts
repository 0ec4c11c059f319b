// SPDX-License-Identifier: Apache-2.0

// A names section with some of its owners changed: the bytes that a zone written anew would have, at the price of copying one section.
// Nodes that nobody touches are copied as they lie, with links and shapes numbered anew; touched ones are taken apart.

import { key64 } from "@meridian/core";
import type { WrittenSection } from "../section-writer.ts";
import { SharedTable, type Section } from "../section.ts";
import { NamesLayout, putWord } from "./names-layout.ts";
import { readShape, type ShapeContent } from "./shape-encoding.ts";
import {
  BOUND_SET,
  NamesTableId,
  namesKeyText,
  NODE_HEADER_BYTES,
  NodeFlag,
  SERIAL_BYTES_BEFORE_END,
  SET_BYTES,
} from "./zone-format.ts";

/** A bound set, independent of the section that it is in. */
export interface BoundSet {
  readonly mask: number;
  readonly targetKey: bigint;
  /** `TargetKind`. */
  readonly targetKind: number;
  readonly shape: ShapeContent;
}

/** An RRset: the first three words of its entry but for the place, and its RRs. */
export interface RecordSet {
  readonly typeAndCount: number;
  readonly ttl: number;
  readonly bytes: Uint8Array;
}

/** An owner taken apart, to be changed. */
export interface EditedNode {
  readonly hash: number;
  /** Relative to the origin, lower case. */
  readonly name: Uint8Array;
  flags: number;
  cutDepth: number;
  childCount: number;
  bound: readonly BoundSet[];
  /** Types rising. */
  records: readonly RecordSet[];
  /** It is to be left out. */
  isGone: boolean;
  /** Byte offset in the nodes of the section before; -1 for a new one. */
  readonly at: number;
}

export class NamesEditor {
  readonly #section: Section;
  readonly #nodes: number;
  readonly #edited = new Map<number, EditedNode[]>();

  /** Of a section that the reader has found good. */
  constructor(section: Section) {
    this.#section = section;
    this.#nodes = section.table(NamesTableId.nodes).offset;
  }

  /** Whether any owner was asked for, so that it may have been changed. */
  get isTouched(): boolean {
    return this.#edited.size > 0;
  }

  /** The owner with the relative name `name[start..end)`, to be read and changed. */
  find(hash: number, name: Uint8Array, start: number, end: number): EditedNode | undefined {
    const wanted = name.subarray(start, end);
    const touched = this.#edited.get(hash)?.find((node) => isSame(node.name, wanted));
    if (touched !== undefined) return touched.isGone ? undefined : touched;
    const at = this.#offsetOf(hash, wanted);
    return at < 0 ? undefined : this.#touch(this.#read(at, hash));
  }

  /** Adds an owner that is not there. */
  add(hash: number, name: Uint8Array, cutDepth: number): EditedNode {
    const gone = this.#edited.get(hash)?.find((node) => isSame(node.name, name));
    if (gone !== undefined) {
      gone.isGone = false;
      gone.cutDepth = cutDepth;
      return gone;
    }
    const parts = { bound: [], records: [], isGone: false, at: -1 };
    return this.#touch({ hash, name: name.slice(), flags: 0, cutDepth, childCount: 0, ...parts });
  }

  /** The section as it is now; `index` is its place among those of the zone. */
  write(origin: string, index: number): WrittenSection {
    const section = this.#section;
    const key = key64(namesKeyText(origin, index));
    const layout = new NamesLayout(key, section.seed, section.count(SharedTable.links));
    const copy = new NodeCopy(section, layout);
    const rows = this.#rows();
    const hashes = new Uint32Array(rows.length);
    const offsets = new Uint32Array(rows.length);
    let count = 0;
    for (const { hash, node, at } of rows) {
      hashes[count] = hash;
      offsets[count] = node === undefined ? copy.raw(at) : copy.edited(node);
      count += 1;
    }
    return layout.finish(hashes, offsets);
  }

  #touch(node: EditedNode): EditedNode {
    const same = this.#edited.get(node.hash);
    if (same === undefined) this.#edited.set(node.hash, [node]);
    else same.push(node);
    return node;
  }

  #offsetOf(hash: number, name: Uint8Array): number {
    const { words, bytes } = this.#section;
    const base = this.#section.wordBase(NamesTableId.buckets);
    const mask = this.#section.count(NamesTableId.buckets) - 1;
    for (let bucket = hash & mask; ; bucket = (bucket + 1) & mask) {
      const entry = words[base + bucket * 2 + 1]!;
      if (entry === 0) return -1;
      if (words[base + bucket * 2] !== hash) continue;
      const at = this.#nodes + entry - 1;
      if (isSame(nameOf(bytes, at), name)) return entry - 1;
    }
  }

  #read(at: number, hash: number): EditedNode {
    const { bytes, words } = this.#section;
    const start = this.#nodes + at;
    const bound: BoundSet[] = [];
    const records: RecordSet[] = [];
    for (let set = 0; set < bytes[start + 2]!; set++) {
      const word = (start + NODE_HEADER_BYTES + set * SET_BYTES) >>> 2;
      const typeAndCount = words[word]!;
      if (typeAndCount >>> 16 === BOUND_SET) {
        const link = words[word + 1]!;
        bound.push({
          mask: typeAndCount & 0xffff,
          targetKey: this.#section.keyAt(SharedTable.links, link),
          targetKind: bytes[this.#section.table(NamesTableId.linkKinds).offset + link]!,
          shape: readShape(this.#section, words[word + 2]!),
        });
      } else {
        const from = this.#nodes + words[word + 2]!;
        records.push({
          typeAndCount,
          ttl: words[word + 1]!,
          bytes: bytes.slice(from, from + words[word + 3]!),
        });
      }
    }
    return {
      hash,
      name: nameOf(bytes, start).slice(),
      flags: bytes[start]!,
      cutDepth: bytes[start + 3]!,
      childCount: words[(start >>> 2) + 1]!,
      bound,
      records,
      isGone: false,
      at,
    };
  }

  /** All owners by hash, then name: those of the section lie in that order. */
  #rows(): Row[] {
    const { words } = this.#section;
    const base = this.#section.wordBase(NamesTableId.buckets);
    const count = this.#section.count(NamesTableId.buckets);
    const pairs: number[] = [];
    for (let bucket = 0; bucket < count; bucket++) {
      const entry = words[base + bucket * 2 + 1]!;
      if (entry > 0) pairs.push((entry - 1) * 2 ** 32 + words[base + bucket * 2]!);
    }
    const all = [...this.#edited.values()].flat();
    const byOffset = new Map(all.map((node) => [node.at, node]));
    const rows: Row[] = [];
    for (const pair of Float64Array.from(pairs).sort()) {
      const at = Math.floor(pair / 2 ** 32);
      const node = byOffset.get(at);
      if (node?.isGone !== true) rows.push({ hash: pair % 2 ** 32, at, node });
    }
    // Few among thousands that are in their order: each is put in its place.
    for (const node of all) {
      if (node.at >= 0 || node.isGone) continue;
      const row = { hash: node.hash, at: -1, node };
      rows.splice(this.#placeOf(row, rows), 0, row);
    }
    return rows;
  }

  /** How many rows come before one. */
  #placeOf(row: Row, rows: readonly Row[]): number {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = rows[middle]!;
      const order = other.hash - row.hash || Buffer.compare(this.#nameAt(other), this.#nameAt(row));
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #nameAt({ at, node }: Row): Uint8Array {
    return node?.name ?? nameOf(this.#section.bytes, this.#nodes + at);
  }
}

interface Row {
  readonly hash: number;
  readonly at: number;
  readonly node: EditedNode | undefined;
}

/** Puts nodes of one section into another. */
class NodeCopy {
  readonly #section: Section;
  readonly #layout: NamesLayout;
  readonly #nodes: number;
  /** By number in the section before: number in the new one, + 1. */
  readonly #links: Uint32Array;
  readonly #shapes: Uint32Array;

  constructor(section: Section, layout: NamesLayout) {
    this.#section = section;
    this.#layout = layout;
    this.#nodes = section.table(NamesTableId.nodes).offset;
    this.#links = new Uint32Array(section.count(SharedTable.links));
    this.#shapes = new Uint32Array(section.count(NamesTableId.shapes));
  }

  /** A node as it lies at `at`; returns where it lies now. */
  raw(at: number): number {
    const { bytes, words } = this.#section;
    const { nodes } = this.#layout;
    const from = this.#nodes + at;
    const setCount = bytes[from + 2]!;
    const head = NODE_HEADER_BYTES + setCount * SET_BYTES;
    nodes.zeros(-nodes.length & 3);
    const to = nodes.append(bytes, from, from + head + bytes[from + 1]!);
    for (let set = 0; set < setCount; set++) {
      const entry = to + NODE_HEADER_BYTES + set * SET_BYTES;
      const word = (from + NODE_HEADER_BYTES + set * SET_BYTES) >>> 2;
      if (words[word]! >>> 16 === BOUND_SET) {
        putWord(nodes.bytes, entry + 4, this.#link(words[word + 1]!));
        putWord(nodes.bytes, entry + 8, this.#shape(words[word + 2]!));
      } else {
        const start = this.#nodes + words[word + 2]!;
        const placed = nodes.append(bytes, start, start + words[word + 3]!);
        putWord(nodes.bytes, entry + 8, placed);
      }
    }
    return to;
  }

  edited({ name, flags, cutDepth, childCount, bound, records }: EditedNode): number {
    const { nodes } = this.#layout;
    nodes.zeros(-nodes.length & 3);
    const setCount = bound.length + records.length;
    const to = nodes.zeros(NODE_HEADER_BYTES + setCount * SET_BYTES);
    nodes.bytes[to] = flags;
    nodes.bytes[to + 1] = name.length;
    nodes.bytes[to + 2] = setCount;
    nodes.bytes[to + 3] = cutDepth;
    putWord(nodes.bytes, to + 4, childCount);
    nodes.append(name, 0, name.length);
    let entry = to + NODE_HEADER_BYTES;
    for (const { mask, targetKey, targetKind, shape } of bound) {
      putWord(nodes.bytes, entry, mask | (BOUND_SET << 16));
      putWord(nodes.bytes, entry + 4, this.#layout.link(targetKey, targetKind));
      putWord(nodes.bytes, entry + 8, this.#layout.shape(shape));
      entry += SET_BYTES;
    }
    for (const { typeAndCount, ttl, bytes } of records) {
      const start = nodes.append(bytes, 0, bytes.length);
      putWord(nodes.bytes, entry, typeAndCount);
      putWord(nodes.bytes, entry + 4, ttl);
      putWord(nodes.bytes, entry + 8, start);
      putWord(nodes.bytes, entry + 12, bytes.length);
      entry += SET_BYTES;
    }
    return to;
  }

  #link(before: number): number {
    const known = this.#links[before]!;
    if (known > 0) return known - 1;
    const link = this.#layout.copyLink(this.#section, before);
    this.#links[before] = link + 1;
    return link;
  }

  #shape(before: number): number {
    const known = this.#shapes[before]!;
    if (known > 0) return known - 1;
    const shape = this.#layout.shape(readShape(this.#section, before));
    this.#shapes[before] = shape + 1;
    return shape;
  }
}

/** The relative name of the node at byte `at`. */
function nameOf(bytes: Uint8Array, at: number): Uint8Array {
  const start = at + NODE_HEADER_BYTES + bytes[at + 2]! * SET_BYTES;
  return bytes.subarray(start, start + bytes[at + 1]!);
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

const TYPE_SOA = 6;

/** Gives the SOA of an apex another serial. */
export function putSerial({ records }: EditedNode, serial: number): void {
  const soa = soaOf(records);
  if (soa === undefined) return;
  const view = new DataView(soa.bytes.buffer, soa.bytes.byteOffset, soa.bytes.length);
  view.setUint32(soa.bytes.length - SERIAL_BYTES_BEFORE_END, serial);
}

/** The SOA of an apex, encoded, and its TTL. */
export function soaOf(
  records: EditedNode["records"],
): { readonly bytes: Uint8Array; readonly ttl: number } | undefined {
  return records.find(({ typeAndCount }) => (typeAndCount & 0xffff) === TYPE_SOA);
}

/** Whether an owner stops look-ups below it. */
export function isStop({ flags }: EditedNode): boolean {
  return (flags & (NodeFlag.isCut | NodeFlag.hasDname)) !== 0;
}
