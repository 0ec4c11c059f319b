// SPDX-License-Identifier: Apache-2.0

// The names of a zone in the order of their hashes, for the chain of NSEC3 records (RFC 5155 §7.1) without salt or further iterations (RFC
// 9276): what the zone is authoritative for, empty non-terminals among it.
//
//   five words of SHA-1, the first byte highest, u32 chunk, u32 offset of the node in the chunk's nodes

import { hash } from "node:crypto";
import type { NamesChunk } from "../zone/names-chunk.ts";
import type { LoadedZone } from "../zone/zone-table.ts";
import { forEachNode, nameStart } from "./canonical-order.ts";
import { orderedZone, type OrderedZone } from "./ordered-zone.ts";

const HASH_WORDS = 5;
const ENTRY_WORDS = HASH_WORDS + 2;
export const NSEC3_HASH_BYTES: number = HASH_WORDS * 4;

/** As `orderZone()`, by hash. */
export function hashZone(
  zone: LoadedZone,
  sections: readonly object[],
  before?: OrderedZone,
): OrderedZone {
  return orderedZone(sections, before, {
    entryWords: ENTRY_WORDS,
    sectionWord: HASH_WORDS,
    entriesOf: (chunks) => {
      const entries: Uint32Array[] = [];
      for (const chunk of chunks) entriesOf(zone, zone.chunkAt(chunk), chunk, entries);
      entries.sort((one, other) => compareEntries(one, 0, other, 0));
      const words = new Uint32Array(entries.length * ENTRY_WORDS);
      for (const [index, entry] of entries.entries()) words.set(entry, index * ENTRY_WORDS);
      return words;
    },
    placesIn: (kept) => (entries, at) => lastUpTo(kept, entries, at) + 1,
  });
}

/** The hash of a name, in wire form and lower case. */
export function nsec3Hash(name: Uint8Array): Buffer {
  return hash("sha1", name, "buffer");
}

function entriesOf(zone: LoadedZone, chunk: NamesChunk, index: number, to: Uint32Array[]): void {
  const { bytes, nodesBase } = chunk;
  forEachNode(chunk, (node) => {
    // What lies below a delegation or a DNAME is not the zone's.
    if (bytes[node + 3] !== 0) return;
    const start = nameStart(bytes, node);
    const name = Buffer.concat([bytes.subarray(start, start + bytes[node + 1]!), zone.origin]);
    const entry = new Uint32Array(ENTRY_WORDS);
    const hashed = nsec3Hash(name);
    for (let word = 0; word < HASH_WORDS; word++) entry[word] = hashed.readUInt32BE(word * 4);
    entry[HASH_WORDS] = index;
    entry[HASH_WORDS + 1] = node - nodesBase;
    to.push(entry);
  });
}

function compareEntries(one: Uint32Array, at: number, other: Uint32Array, otherAt: number): number {
  for (let word = 0; word < HASH_WORDS; word++) {
    const order = one[at + word]! - other[otherAt + word]!;
    if (order !== 0) return order;
  }
  return 0;
}

/** Position of the last entry at or before another one; -1 where there is none. */
function lastUpTo(words: Uint32Array, target: Uint32Array, at: number): number {
  let low = -1;
  let high = words.length / ENTRY_WORDS - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (compareEntries(words, middle * ENTRY_WORDS, target, at) <= 0) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** An order of hashes as it is asked. */
export class HashedOrder {
  readonly #zone: LoadedZone;
  readonly #words: Uint32Array;
  readonly #target = new Uint32Array(ENTRY_WORDS);
  /** Number of names. */
  readonly count: number;

  constructor(zone: LoadedZone, words: Uint32Array) {
    this.#zone = zone;
    this.#words = words;
    this.count = words.length / ENTRY_WORDS;
  }

  /** Position of the last hash at or before that of a name; the last of all where there is none. */
  floor(name: Uint8Array): number {
    const target = this.#target;
    const hashed = nsec3Hash(name);
    for (let word = 0; word < HASH_WORDS; word++) target[word] = hashed.readUInt32BE(word * 4);
    const low = lastUpTo(this.#words, target, 0);
    return low < 0 ? this.count - 1 : low;
  }

  /** Whether that hash is the one of the last `floor()`. */
  isTarget(position: number): boolean {
    return compareEntries(this.#words, position * ENTRY_WORDS, this.#target, 0) === 0;
  }

  /** Writes the hash at a position. */
  copyHash(position: number, to: Uint8Array, at: number): void {
    for (let byte = 0; byte < NSEC3_HASH_BYTES; byte++)
      to[at + byte] = this.#words[position * ENTRY_WORDS + (byte >> 2)]! >>> (24 - (byte & 3) * 8);
  }

  chunkAt(position: number): NamesChunk {
    return this.#zone.chunkAt(this.#words[position * ENTRY_WORDS + HASH_WORDS]!);
  }

  /** Byte offset of the node in the chunk's bytes. */
  nodeAt(position: number): number {
    return this.chunkAt(position).nodesBase + this.#words[position * ENTRY_WORDS + HASH_WORDS + 1]!;
  }
}
