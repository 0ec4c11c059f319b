// SPDX-License-Identifier: Apache-2.0

import { ByteList, WordList } from "@meridian/core";

/** Words of an owner. A row is half a cache line: owners are written in the order of their hashes, so each comes from anywhere. */
export const Owner = {
  hash: 0,
  /** Offset of its name in `names`. */
  name: 1,
  /** Bytes of the name; labels of the whole name, origin included; `NodeFlag`s; cut depth: a byte each. */
  packed: 2,
  /** The apex is its own. */
  parent: 3,
  childCount: 4,
  /** Offset + 1 of its last record, and of its last binding, in their lists; each names the one before. */
  lastRecord: 5,
  lastBound: 6,
} as const;
export const OWNER_WORDS = 8;

const NAME_BYTES_EXPECTED = 16;

/**
 * The owners of a zone while it is built: an open-addressed table over flat lists, since a million small objects would cost more
 * than the rest of the build. An owner's name is kept relative to the origin, in lower case.
 */
export class OwnerTable {
  readonly rows: WordList;
  readonly names: ByteList;
  #slots: Uint32Array;

  /** With room for some owners; there may be more. */
  constructor(owners: number) {
    this.rows = new WordList(OWNER_WORDS * (owners + 32));
    this.names = new ByteList(NAME_BYTES_EXPECTED * (owners + 32));
    let slots = 1024;
    while (slots < owners * 2) slots *= 2;
    this.#slots = new Uint32Array(slots);
  }

  get count(): number {
    return this.rows.length / OWNER_WORDS;
  }

  /** Index of the owner, or -1. `name[start..end)` is relative and lower case. */
  find(hash: number, name: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]!;
      if (entry === 0) return -1;
      if (this.#isAt(entry - 1, hash, name, start, end)) return entry - 1;
    }
  }

  /** Adds an owner that is not there and returns its index. */
  add(
    hash: number,
    name: Uint8Array,
    start: number,
    end: number,
    parent: number,
    labelCount: number,
  ): number {
    if (this.count * 2 >= this.#slots.length) this.#grow();
    const owner = this.count;
    const at = this.rows.zeros(OWNER_WORDS);
    const { words } = this.rows;
    words[at + Owner.hash] = hash;
    words[at + Owner.name] = this.names.append(name, start, end);
    words[at + Owner.packed] = (end - start) | (labelCount << 8);
    words[at + Owner.parent] = parent < 0 ? owner : parent;
    if (parent >= 0) words[parent * OWNER_WORDS + Owner.childCount]! += 1;
    this.#place(owner);
    return owner;
  }

  nameBytes(owner: number): number {
    return this.rows.words[owner * OWNER_WORDS + Owner.packed]! & 0xff;
  }

  labelCount(owner: number): number {
    return (this.rows.words[owner * OWNER_WORDS + Owner.packed]! >>> 8) & 0xff;
  }

  /** The name, as a view. */
  name(owner: number): Uint8Array {
    const start = this.rows.words[owner * OWNER_WORDS + Owner.name]!;
    return this.names.bytes.subarray(start, start + this.nameBytes(owner));
  }

  #isAt(owner: number, hash: number, name: Uint8Array, start: number, end: number): boolean {
    const { words } = this.rows;
    const row = owner * OWNER_WORDS;
    if (words[row + Owner.hash] !== hash >>> 0) return false;
    if ((words[row + Owner.packed]! & 0xff) !== end - start) return false;
    const bytes = this.names.bytes;
    const shift = words[row + Owner.name]! - start;
    for (let index = start; index < end; index++) {
      if (bytes[index + shift] !== name[index]) return false;
    }
    return true;
  }

  #place(owner: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.rows.words[owner * OWNER_WORDS + Owner.hash]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = owner + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let owner = 0; owner < this.count; owner++) this.#place(owner);
  }
}
