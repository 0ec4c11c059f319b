// SPDX-License-Identifier: Apache-2.0

// The names of a zone in canonical order (RFC 4034 §6.1), for the chain of NSEC records: what the zone is authoritative for and has a
// record. Empty non-terminals, and what lies below delegations and DNAMEs, are not in it.
//
//   u32 chunk, u32 offset of the node in the chunk's nodes        one pair a name, the apex first
//
// It is worked out by the thread that publishes, for signed zones alone, and shared by all. A million names take some two seconds, and
// where a few sections of a zone changed, their names are put in the places of those before.

import { lowerByte } from "@meridian/dns";
import { findSet } from "../zone/name-lookup.ts";
import { NODE_HEADER_BYTES, SET_BYTES } from "../zone/zone-format.ts";
import type { NamesChunk } from "../zone/names-chunk.ts";
import type { LoadedZone } from "../zone/zone-table.ts";
import { orderedZone, type OrderedZone } from "./ordered-zone.ts";

const ENTRY_WORDS = 2;
const LABELS_MAX = 128;

/**
 * The names of a zone that was signed elsewhere at which it has a record that proves what is not there, of type NSEC or NSEC3: the owners of
 * NSEC3 records in canonical order are in the order of their hashes (RFC 5155 §1.3).
 */
export function orderProofs(zone: LoadedZone, type: number): Uint32Array {
  const keys: string[] = [];
  for (let index = 0; index < zone.chunkCount; index++) {
    const chunk = zone.chunkAt(index);
    keysOfChunk(chunk, index, keys, (_bytes, node) => findSet(chunk, node, type) >= 0);
  }
  const places = keys.sort().flatMap(placeOf);
  const words = new Uint32Array(new SharedArrayBuffer(places.length * 4));
  words.set(places);
  return words;
}

/** The order of a zone whose names sections are `sections`; what `before` holds of the same sections is taken over. */
export function orderZone(
  zone: LoadedZone,
  sections: readonly object[],
  before?: OrderedZone,
): OrderedZone {
  return orderedZone(sections, before, {
    entryWords: ENTRY_WORDS,
    sectionWord: 0,
    entriesOf: (chunks) => {
      const keys: string[] = [];
      for (const chunk of chunks) keysOfChunk(zone.chunkAt(chunk), chunk, keys);
      return Uint32Array.from(keys.sort().flatMap(placeOf));
    },
    placesIn: (kept) => {
      const order = new CanonicalOrder(zone, kept);
      return (entries, at) => {
        const chunk = zone.chunkAt(entries[at]!);
        const node = chunk.nodesBase + entries[at + 1]!;
        const length = chunk.bytes[node + 1]!;
        // The apex comes before all others, wherever it is.
        if (length === 0 || order.count === 0) return 0;
        return order.floor(chunk.bytes, nameStart(chunk.bytes, node), length) + 1;
      };
    },
  });
}

/**
 * Sort keys of the chunk's names: labels from the right with 1 between them, 0, the place. In a label 0 to 2 are written as two
 * characters, so that a name comes before those below it and both before a longer label.
 */
function keysOfChunk(
  chunk: NamesChunk,
  index: number,
  to: string[],
  isWanted: (bytes: Uint8Array, node: number) => boolean = isListed,
): void {
  forEachNode(chunk, (node) => {
    const { bytes } = chunk;
    if (!isWanted(bytes, node)) return;
    const place = String.fromCharCode(
      index,
      (node - chunk.nodesBase) >>> 16,
      node - chunk.nodesBase,
    );
    to.push(`${sortKey(bytes, nameStart(bytes, node), bytes[node + 1]!)}\0${place}`);
  });
}

function placeOf(key: string): [number, number] {
  const at = key.length - 3;
  return [key.charCodeAt(at), key.charCodeAt(at + 1) * 0x10000 + key.charCodeAt(at + 2)];
}

function sortKey(bytes: Uint8Array, start: number, length: number): string {
  const labels: string[] = [];
  for (let at = start; at < start + length; at += bytes[at]! + 1) {
    let label = "";
    for (let index = at + 1; index <= at + bytes[at]!; index++) {
      const byte = lowerByte(bytes[index]!);
      label += byte <= 2 ? `\u0002${String.fromCharCode(byte)}` : String.fromCharCode(byte);
    }
    labels.push(label);
  }
  return labels.toReversed().join("\u0001");
}

/** Compares relative names with one of them, without allocating. */
class NameOrder {
  readonly #starts = new Uint32Array(LABELS_MAX);
  readonly #otherStarts = new Uint32Array(LABELS_MAX);
  #bytes: Uint8Array = new Uint8Array(0);
  #count = 0;

  /** The name that nodes are compared with; lower case, without the labels of the origin. */
  setTarget(bytes: Uint8Array, start: number, length: number): void {
    this.#bytes = bytes;
    this.#count = labelStartsIn(bytes, start, length, this.#starts);
  }

  /** The node's name less the target: negative, zero or positive. */
  compareNode(bytes: Uint8Array, node: number): number {
    const starts = this.#otherStarts;
    const count = labelStartsIn(bytes, nameStart(bytes, node), bytes[node + 1]!, starts);
    const shared = Math.min(count, this.#count);
    for (let label = 1; label <= shared; label++) {
      const at = starts[count - label]!;
      const targetAt = this.#starts[this.#count - label]!;
      const length = bytes[at]!;
      const targetLength = this.#bytes[targetAt]!;
      const least = Math.min(length, targetLength);
      for (let index = 1; index <= least; index++) {
        const order = bytes[at + index]! - this.#bytes[targetAt + index]!;
        if (order !== 0) return order;
      }
      if (length !== targetLength) return length - targetLength;
    }
    return count - this.#count;
  }
}

/** An order as it is asked: which name is the last at or before another one. */
export class CanonicalOrder {
  readonly #zone: LoadedZone;
  readonly #words: Uint32Array;
  readonly #order = new NameOrder();
  /** Number of names. */
  readonly count: number;

  constructor(zone: LoadedZone, words: Uint32Array) {
    this.#zone = zone;
    this.#words = words;
    this.count = words.length / ENTRY_WORDS;
  }

  /** Position of the last name at or before `bytes[start..start + length)`, relative to the origin and in lower case. */
  floor(bytes: Uint8Array, start: number, length: number): number {
    this.#order.setTarget(bytes, start, length);
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#order.compareNode(this.chunkAt(middle).bytes, this.nodeAt(middle)) <= 0)
        low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Whether that name is the target of the last `floor()`. */
  isTarget(position: number): boolean {
    return this.#order.compareNode(this.chunkAt(position).bytes, this.nodeAt(position)) === 0;
  }

  /** Whether that name comes after the target of the last `floor()`, as the first may. */
  isAfterTarget(position: number): boolean {
    return this.#order.compareNode(this.chunkAt(position).bytes, this.nodeAt(position)) > 0;
  }

  chunkAt(position: number): NamesChunk {
    return this.#zone.chunkAt(this.#words[position * ENTRY_WORDS]!);
  }

  /** Byte offset of the node in the chunk's bytes. */
  nodeAt(position: number): number {
    return this.chunkAt(position).nodesBase + this.#words[position * ENTRY_WORDS + 1]!;
  }
}

/** Whether a node owns a record that the zone is authoritative for, or is a delegation. */
function isListed(bytes: Uint8Array, node: number): boolean {
  return bytes[node + 3] === 0 && bytes[node + 2]! > 0;
}

/** Where the relative name of a node begins. */
export function nameStart(bytes: Uint8Array, node: number): number {
  return node + NODE_HEADER_BYTES + bytes[node + 2]! * SET_BYTES;
}

/** Calls `visit` with the byte offset of each node. */
export function forEachNode(chunk: NamesChunk, visit: (node: number) => void): void {
  const { words, bucketBase, bucketMask, nodesBase, bytes } = chunk;
  for (let bucket = 0; bucket <= bucketMask; bucket++) {
    const entry = words[bucketBase + bucket * 2 + 1]!;
    const node = nodesBase + entry - 1;
    if (entry !== 0 && node + NODE_HEADER_BYTES <= bytes.length) visit(node);
  }
}

function labelStartsIn(bytes: Uint8Array, start: number, length: number, to: Uint32Array): number {
  let count = 0;
  for (let at = start; at < start + length && count < LABELS_MAX; at += bytes[at]! + 1)
    to[count++] = at;
  return count;
}
