// SPDX-License-Identifier: Apache-2.0
import { MeridianError, WordList } from "@meridian/core";
import type { Section } from "./section.ts";

/** So many keys are looked for one by one; sorting all takes as long as some hundred searches. */
const ADDED_SOUGHT_MAX = 64;

/** 64-bit keys of a table that is written, as words: of a hundred thousand most are copied. */
export class KeyList {
  readonly #words: WordList;
  /** Indices of those that were not copied. */
  readonly #added: number[] = [];

  constructor(expected = 128) {
    this.#words = new WordList(Math.max(2, expected * 2));
  }

  get count(): number {
    return this.#words.length / 2;
  }

  add(key: bigint): void {
    this.#added.push(this.count);
    this.#words.push(Number(key & 0xffff_ffffn));
    this.#words.push(Number(key >> 32n));
  }

  /** Adds the keys from `start` up to `end` of another section's table. */
  copy(from: Section, table: number, start: number, end: number): void {
    const base = from.wordBase(table) + start * 2;
    const length = (end - start) * 2;
    // A loop beats a view: pools come one by one.
    const to = this.#words.zeros(length);
    const own = this.#words.words;
    for (let word = 0; word < length; word++) own[to + word] = from.words[base + word]!;
  }

  /** The table. Refuses a revision in which two names have one key; renaming either cures it. Copied keys of a patch differ already. */
  finish(what: string, isPatch: boolean): Uint32Array {
    const words = this.#words.words.subarray(0, this.#words.length);
    const isSmall = isPatch && this.#added.length <= ADDED_SOUGHT_MAX;
    const isRepeated = isSmall
      ? this.#added.some((index) => countOf(words, index) > 1)
      : hasRepeated(words);
    if (!isRepeated) return words;
    throw new MeridianError(
      "KEY_COLLISION",
      "user",
      `Cannot compile: two ${what} names share a key, expected distinct keys`,
    );
  }
}

function hasRepeated(words: Uint32Array): boolean {
  const sorted = new BigUint64Array(words.slice().buffer).sort();
  for (let index = 1; index < sorted.length; index++)
    if (sorted[index] === sorted[index - 1]) return true;
  return false;
}

function countOf(words: Uint32Array, index: number): number {
  const low = words[index * 2];
  const high = words[index * 2 + 1];
  let count = 0;
  for (let at = 0; at < words.length; at += 2)
    if (words[at] === low && words[at + 1] === high) count += 1;
  return count;
}
