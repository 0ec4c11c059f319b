// SPDX-License-Identifier: Apache-2.0

// Links of a section that was made of another one: most have the keys of those before, in their order, and lead where those led.

import { SharedTable, type Section } from "./section.ts";

/** How far ahead a key is looked for among those before. */
const AHEAD_MAX = 8;

export class CarriedLinks {
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #count: number;
  #next = 0;

  /** `before` is the section whose links they were. */
  constructor(before: Section) {
    this.#words = before.words;
    this.#base = before.wordBase(SharedTable.links);
    this.#count = before.count(SharedTable.links);
  }

  /** Which link before had this key; −1 where it is not near the one that was found last. To be asked in the order of the links. */
  find(low: number, high: number): number {
    const words = this.#words;
    const end = Math.min(this.#count, this.#next + AHEAD_MAX);
    for (let link = this.#next; link < end; link++) {
      const at = this.#base + link * 2;
      if (words[at] !== low || words[at + 1] !== high) continue;
      this.#next = link + 1;
      return link;
    }
    return -1;
  }
}
