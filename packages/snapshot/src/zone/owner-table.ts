// SPDX-License-Identifier: Apache-2.0

import { ByteList, WordList } from "@meridian/core";

/**
 * The owners of a zone while it is built: an open-addressed table over flat lists, since a million small objects would cost more
 * than the rest of the build. An owner's name is kept relative to the origin, in lower case.
 */
export class OwnerTable {
  readonly hashes: WordList = new WordList();
  readonly nameOffsets: WordList = new WordList();
  readonly nameBytes: WordList = new WordList();
  /** Owner index of the parent; the apex is its own. */
  readonly parents: WordList = new WordList();
  readonly childCounts: WordList = new WordList();
  /** Labels of the whole name, origin included. */
  readonly labelCounts: WordList = new WordList();
  readonly names: ByteList = new ByteList();
  #slots: Uint32Array = new Uint32Array(1024);

  get count(): number {
    return this.hashes.length;
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
    const owner = this.hashes.push(hash >>> 0);
    this.nameOffsets.push(this.names.append(name, start, end));
    this.nameBytes.push(end - start);
    this.parents.push(parent < 0 ? owner : parent);
    this.childCounts.push(0);
    this.labelCounts.push(labelCount);
    if (parent >= 0) this.childCounts.put(parent, this.childCounts.at(parent) + 1);
    this.#place(owner);
    return owner;
  }

  #isAt(owner: number, hash: number, name: Uint8Array, start: number, end: number): boolean {
    if (this.hashes.words[owner] !== hash >>> 0) return false;
    if (this.nameBytes.words[owner] !== end - start) return false;
    const bytes = this.names.bytes;
    const shift = this.nameOffsets.words[owner]! - start;
    for (let index = start; index < end; index++) {
      if (bytes[index + shift] !== name[index]) return false;
    }
    return true;
  }

  #place(owner: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.hashes.words[owner]! & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = owner + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let owner = 0; owner < this.count; owner++) this.#place(owner);
  }
}
