// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { assert, keyHigh, keyLow, mix32, WordList } from "@meridian/core";
import {
  CHECKSUM_OFFSET,
  SECTION_BYTES_MAX,
  SECTION_FLAG_REQUIRED,
  SECTION_HEADER_BYTES,
  SECTION_MAGIC,
  SECTION_TABLES_MAX,
  SECTION_VERSION,
  SharedTable,
  sectionChecksum,
  type Section,
} from "./section.ts";

/** A finished section: its bytes and the SHA-256 (hex) that names it. */
export interface WrittenSection {
  readonly kind: number;
  readonly key: bigint;
  readonly name: string;
  readonly buffer: SharedArrayBuffer;
}

interface PendingTable {
  readonly id: number;
  readonly stride: number;
  readonly bytes: Uint8Array;
}

/** Collects the tables of one section; `finish()` lays them out. The same calls give the same bytes. */
export class SectionWriter {
  readonly #kind: number;
  readonly #key: bigint;
  readonly #seed: number;
  readonly #bounds = new Uint32Array(7);
  readonly #tables: PendingTable[] = [];
  readonly #links = new LinkTable();
  #heap: Uint8Array = new Uint8Array(1024);
  #heapLength = 0;
  readonly #heapTexts = new Map<string, number>();

  constructor(kind: number, key: bigint, seed = 0) {
    this.#kind = kind;
    this.#key = key;
    this.#seed = seed;
  }

  /** Most of another section will be copied: what is made for it is large enough from the start. */
  expect(before: Section): void {
    const { count } = before.table(SharedTable.heap);
    this.#heap = new Uint8Array(Math.max(this.#heap.length, count + (count >>> 3)));
  }

  /** So many links will come, and some more. */
  expectLinks(count: number): void {
    this.#links.expect(count);
  }

  bound(index: number, value: number): void {
    this.#bounds[index] = value;
  }

  /** Adds a table of whole entries; `data` is copied as it lies in memory (little-endian hosts only, as Node's all are). */
  table(
    id: number,
    stride: number,
    data: Uint8Array | Uint16Array | Uint32Array | BigUint64Array,
  ): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    assert(bytes.length % stride === 0, "a table holds whole entries");
    this.#tables.push({ id, stride, bytes });
  }

  /** Index of `key` in the link table, the same for the same key. */
  link(key: bigint): number {
    return this.linkOf(keyLow(key), keyHigh(key));
  }

  /** The same, of a key given by halves. */
  linkOf(low: number, high: number): number {
    return this.#links.add(low, high);
  }

  /** The same for link `index` of another section. */
  copyLink(section: Section, index: number): number {
    const at = section.wordBase(SharedTable.links) + index * 2;
    return this.#links.add(section.words[at]!, section.words[at + 1]!);
  }

  /** The same for one that is not there, and that is asked for by nobody again: it is not looked for, nor found later. */
  appendLink(section: Section, index: number): number {
    const at = section.wordBase(SharedTable.links) + index * 2;
    return this.#links.append(section.words[at]!, section.words[at + 1]!);
  }

  /** Offset of `bytes` in the heap (not shared with equal bytes). */
  heap(bytes: Uint8Array): number {
    return this.heapFrom(bytes, 0, bytes.length);
  }

  /** The same for `source[start..end)`, without a view: most of what is copied has a few bytes. */
  heapFrom(source: Uint8Array, start: number, end: number): number {
    const offset = this.#heapLength;
    const length = offset + end - start;
    if (length > this.#heap.length) {
      const grown = new Uint8Array(Math.max(length, this.#heap.length * 2));
      grown.set(this.#heap.subarray(0, offset));
      this.#heap = grown;
    }
    const heap = this.#heap;
    for (let from = start, to = offset; from < end; from++, to++) heap[to] = source[from]!;
    this.#heapLength = length;
    return offset;
  }

  /** Offset and byte length of a text in the heap; equal texts share one place. */
  text(text: string): { offset: number; length: number } {
    const bytes = Buffer.from(text, "utf8");
    let offset = this.#heapTexts.get(text);
    if (offset === undefined) {
      offset = this.heap(bytes);
      this.#heapTexts.set(text, offset);
    }
    return { offset, length: bytes.length };
  }

  finish(): WrittenSection {
    const tables = this.#allTables();
    assert(tables.length <= SECTION_TABLES_MAX, "a section has a bounded directory");
    let end = SECTION_HEADER_BYTES + tables.length * 16;
    const offsets = tables.map((table) => {
      const offset = (end + 7) & ~7;
      end = offset + table.bytes.length;
      return offset;
    });
    const length = (end + 7) & ~7;
    assert(length <= SECTION_BYTES_MAX, "a section stays within 32-bit offsets");
    const buffer = new SharedArrayBuffer(length);
    const bytes = new Uint8Array(buffer);
    const view = new DataView(buffer);
    tables.forEach((table, index) => {
      const at = SECTION_HEADER_BYTES + index * 16;
      const offset = offsets[index] ?? 0;
      view.setUint32(at, table.id, true);
      view.setUint32(at + 4, offset, true);
      view.setUint32(at + 8, table.bytes.length / table.stride, true);
      view.setUint32(at + 12, table.stride, true);
      bytes.set(table.bytes, offset);
    });
    this.#header(view, length, tables.length);
    return sealSection(this.#kind, this.#key, buffer);
  }

  #allTables(): PendingTable[] {
    const tables = [...this.#tables];
    if (this.#heapLength > 0)
      tables.push({
        id: SharedTable.heap,
        stride: 1,
        bytes: this.#heap.subarray(0, this.#heapLength),
      });
    const links = this.#links.bytes();
    if (links.length > 0) tables.push({ id: SharedTable.links, stride: 8, bytes: links });
    return tables;
  }

  #header(view: DataView, length: number, tableCount: number): void {
    view.setUint32(0, SECTION_MAGIC, true);
    view.setUint16(4, SECTION_VERSION, true);
    view.setUint16(6, this.#kind, true);
    view.setUint32(8, length, true);
    view.setUint32(12, tableCount, true);
    view.setBigUint64(16, this.#key, true);
    view.setUint32(24, this.#seed, true);
    view.setUint32(28, SECTION_FLAG_REQUIRED, true);
    this.#bounds.forEach((bound, index) => view.setUint32(32 + index * 4, bound, true));
  }
}

/** Gives a section that is complete its checksum, which may be known, and its name. */
export function sealSection(
  kind: number,
  key: bigint,
  buffer: SharedArrayBuffer,
  checksum?: number,
): WrittenSection {
  const bytes = new Uint8Array(buffer);
  new DataView(buffer).setUint32(CHECKSUM_OFFSET, checksum ?? sectionChecksum(bytes), true);
  const name = createHash("sha256").update(bytes).digest("hex");
  return { kind, key, name, buffer };
}

/** 64-bit keys by number, from 0 in the order in which they come: open addressing, as a Map of bigints takes five times as long. */
class LinkTable {
  readonly #words = new WordList();
  #slots: Uint32Array = new Uint32Array(64);
  /** Those that have a slot. */
  #found = 0;

  /** Before the first one: so many will come, and some more. */
  expect(count: number): void {
    let size = this.#slots.length;
    while (size < count * 2) size *= 2;
    if (size > this.#slots.length) this.#slots = new Uint32Array(size);
  }

  /** The number of a key, given by halves. */
  add(low: number, high: number): number {
    const words = this.#words.words;
    const mask = this.#slots.length - 1;
    let slot = slotOf(low, high) & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const known = this.#slots[slot]! - 1;
      if (words[known * 2] === low && words[known * 2 + 1] === high) return known;
    }
    const index = this.append(low, high);
    this.#slots[slot] = index + 1;
    this.#found += 1;
    if (this.#found * 2 > mask) this.#grow();
    return index;
  }

  /** Without a slot. */
  append(low: number, high: number): number {
    const index = this.#words.push(low) / 2;
    this.#words.push(high);
    return index;
  }

  bytes(): Uint8Array {
    const { words, length } = this.#words;
    return new Uint8Array(words.buffer, words.byteOffset, length * 4);
  }

  #grow(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const { words } = this.#words;
    for (const known of this.#slots) {
      if (known === 0) continue;
      let slot = slotOf(words[known * 2 - 2]!, words[known * 2 - 1]!) & (slots.length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = known;
    }
    this.#slots = slots;
  }
}

function slotOf(low: number, high: number): number {
  return mix32(low ^ Math.imul(high, 0x9e37_79b1));
}
