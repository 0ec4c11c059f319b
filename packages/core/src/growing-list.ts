// SPDX-License-Identifier: Apache-2.0

// Flat lists for what would otherwise be a million small objects. Build phase only: a finished structure holds plain typed arrays.

import { assert } from "./assert.ts";

/** 32-bit words that are appended to. */
export class WordList {
  /** The first `length` words count; loops over a whole zone read them here (a call a word made 1 M owners 3 s slower). */
  words: Uint32Array;
  length: number = 0;

  constructor(initial = 256) {
    this.words = new Uint32Array(initial);
  }

  push(value: number): number {
    if (this.length === this.words.length) {
      const grown = new Uint32Array(this.words.length * 2);
      grown.set(this.words);
      this.words = grown;
    }
    this.words[this.length] = value;
    this.length += 1;
    return this.length - 1;
  }

  /** Appends `count` zero words and returns the index of the first; what is written there goes to `words`. */
  zeros(count: number): number {
    const at = this.length;
    if (at + count > this.words.length) {
      const grown = new Uint32Array(Math.max(at + count, this.words.length * 2));
      grown.set(this.words);
      this.words = grown;
    }
    this.length = at + count;
    return at;
  }

  /** Appends `source[start..end)` and returns where it lies. */
  append(source: Uint32Array, start: number, end: number): number {
    const at = this.zeros(end - start);
    this.words.set(source.subarray(start, end), at);
    return at;
  }

  at(index: number): number {
    assert(index < this.length, "the index is inside the list");
    return this.words[index] ?? 0;
  }

  put(index: number, value: number): void {
    assert(index < this.length, "the index is inside the list");
    this.words[index] = value;
  }
}

/** Bytes that are appended to. */
export class ByteList {
  bytes: Uint8Array;
  length: number = 0;

  constructor(initial = 4096) {
    this.bytes = new Uint8Array(initial);
  }

  /** Appends `source[start..end)` and returns where it lies. */
  append(source: Uint8Array, start: number, end: number): number {
    const at = this.length;
    this.#reserve(end - start);
    // Names and addresses are short: a loop beats a view (1 M owners: 0.35 s less).
    const bytes = this.bytes;
    for (let index = start, to = at; index < end; index++, to++) bytes[to] = source[index] ?? 0;
    this.length = at + end - start;
    return at;
  }

  /** Appends `count` zero bytes: nothing is ever written behind the end. */
  zeros(count: number): number {
    const at = this.length;
    this.#reserve(count);
    this.length = at + count;
    return at;
  }

  #reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.length + count, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}
