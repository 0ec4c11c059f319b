// SPDX-License-Identifier: Apache-2.0
import { ByteList, hash32, WordList } from "@meridian/core";

/** Words of an entry: hash, offset and length of the name. */
const ENTRY_WORDS = 3;
const DOT = 0x2e;

/** A name to be looked up: its wire form in lower case, and a hash. One is filled again and again. */
export class NameKey {
  readonly bytes: Uint8Array = new Uint8Array(256);
  length = 0;

  get hash(): number {
    return hash32(this.bytes, 0, this.length, 0);
  }

  /** Takes a name in wire form. */
  setWire(wire: Uint8Array): this {
    for (let at = 0; at < wire.length; at += 1) this.bytes[at] = lower(wire[at] ?? 0);
    return this.#filled(wire.length);
  }

  /**
   * Takes the text of a host name without escapes, as the schema's domain names are: with or without its
   * last dot, `.` for the root.
   */
  setText(text: Uint8Array, start: number, end: number): this {
    const last = text[end - 1] === DOT ? end - 1 : end;
    if (last === start) {
      this.bytes[0] = 0;
      return this.#filled(1);
    }
    let labelAt = 0;
    let to = 1;
    for (let at = start; at < last; at += 1, to += 1) {
      const byte = text[at] ?? 0;
      if (byte === DOT) {
        this.bytes[labelAt] = to - labelAt - 1;
        labelAt = to;
      } else this.bytes[to] = lower(byte);
    }
    this.bytes[labelAt] = to - labelAt - 1;
    this.bytes[to] = 0;
    return this.#filled(to + 1);
  }

  #filled(length: number): this {
    this.length = length;
    return this;
  }
}

/**
 * Domain names by number, from 0 in the order in which they are added. An open-addressed table over
 * flat lists: a Map of a million texts costs four times the memory and three times the time.
 */
export class NameTable {
  readonly #names: ByteList = new ByteList();
  readonly #entries: WordList = new WordList();
  #slots: Uint32Array = new Uint32Array(64);

  get count(): number {
    return this.#entries.length / ENTRY_WORDS;
  }

  /** The number of a name, which is added where it is new. */
  add(key: NameKey): number {
    const { hash } = key;
    const known = this.#find(key, hash);
    if (known >= 0) return known;
    const number = this.count;
    this.#entries.push(hash);
    this.#entries.push(this.#names.append(key.bytes, 0, key.length));
    this.#entries.push(key.length);
    if (this.count * 2 > this.#slots.length) this.#grow();
    else this.#place(number);
    return number;
  }

  /** The number of a name, or -1. */
  find(key: NameKey): number {
    return this.count === 0 ? -1 : this.#find(key, key.hash);
  }

  #find({ bytes, length }: NameKey, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = (this.#slots[slot] ?? 0) - 1;
      if (number < 0) return -1;
      if (this.#entry(number, 0) === hash && this.#isAt(number, bytes, length)) return number;
    }
  }

  /** The wire form of a name, in lower case, as a view. */
  name(number: number): Uint8Array {
    const start = this.#entry(number, 1);
    return this.#names.bytes.subarray(start, start + this.#entry(number, 2));
  }

  #isAt(number: number, bytes: Uint8Array, length: number): boolean {
    if (this.#entry(number, 2) !== length) return false;
    const own = this.#names.bytes;
    const start = this.#entry(number, 1);
    for (let index = 0; index < length; index += 1) {
      if (own[start + index] !== bytes[index]) return false;
    }
    return true;
  }

  #place(number: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#entry(number, 0) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = number + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let number = 0; number < this.count; number += 1) this.#place(number);
  }

  #entry(number: number, word: number): number {
    return this.#entries.words[number * ENTRY_WORDS + word] ?? 0;
  }
}

/** The byte in lower case if it is an ASCII letter. */
function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
