// SPDX-License-Identifier: Apache-2.0

// The most asked names of one worker, in constant memory and time: the space-saving sketch (Metwally 2005) cut into sets of eight, as
// a processor's cache is. A sampled name raises its own counter; one without a counter takes over the least of its set, and its count,
// so a counter is never too low and at most as much too high as it says. One query in sixteen is looked at, which keeps the cost below
// 2 % of a query's.
//
//   per entry   u32 hash, u32 count, u32 error, u32 name bytes, then 256 bytes of lower-case wire name

import type { QueryName } from "@meridian/snapshot";

const SETS = 64;
const WAYS = 8;
const ENTRY_WORDS = 68;
/** One query in 1 to 32, 16 on average, is counted, as that many. */
const STEP_MASK = 31;
/** Bytes of the shared buffer. */
export const TOP_NAMES_BYTES: number = SETS * WAYS * ENTRY_WORDS * 4;

/** A name and how often it was asked, within `error`. */
export interface TopName {
  /** Lower-case wire form. */
  readonly name: Uint8Array;
  readonly count: number;
  readonly error: number;
}

/** The worker's side. */
export class TopNames {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #countdown = 1;
  #step = 1;
  #state = 1;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Uint32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
  }

  /** Takes note of one query; most calls only count down. Steps vary, so that a regular pattern of queries is not missed. */
  note(name: QueryName): void {
    this.#countdown -= 1;
    if (this.#countdown > 0) return;
    this.#count(name, name.hashes[0]! >>> 0, this.#step);
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) | 0;
    this.#step = 1 + ((this.#state >>> 24) & STEP_MASK);
    this.#countdown = this.#step;
  }

  #count(name: QueryName, hash: number, weight: number): void {
    const words = this.#words;
    const first = (hash % SETS) * WAYS * ENTRY_WORDS;
    let least = first;
    for (let way = 0; way < WAYS; way++) {
      const entry = first + way * ENTRY_WORDS;
      if (words[entry] === hash && words[entry + 1] !== 0) {
        words[entry + 1]! += weight;
        return;
      }
      if (words[entry + 1]! < words[least + 1]!) least = entry;
    }
    const error = words[least + 1]!;
    words[least] = hash;
    words[least + 2] = error;
    words[least + 3] = name.length;
    this.#bytes.set(name.bytes, (least + 4) * 4);
    words[least + 1] = error + weight;
  }
}

/** The `count` most asked names over the buffers of all workers. */
export function topNames(buffers: readonly SharedArrayBuffer[], count: number): TopName[] {
  const sums = new Map<string, TopName>();
  for (const buffer of buffers) {
    const words = new Uint32Array(buffer);
    for (let entry = 0; entry < words.length; entry += ENTRY_WORDS) {
      if (words[entry + 1] === 0) continue;
      const name = Uint8Array.from(
        new Uint8Array(buffer, (entry + 4) * 4, Math.min(255, words[entry + 3]!)),
      );
      const key = Buffer.from(name).toString("latin1");
      const sum = sums.get(key);
      sums.set(key, {
        name,
        count: (sum?.count ?? 0) + words[entry + 1]!,
        error: (sum?.error ?? 0) + words[entry + 2]!,
      });
    }
  }
  return [...sums.values()].toSorted((a, b) => b.count - a.count).slice(0, count);
}
