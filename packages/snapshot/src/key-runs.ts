// SPDX-License-Identifier: Apache-2.0

// Where the keys of a table are in the table of the snapshot after it. Entries lie in the order of their names, so that after a small
// change they are mostly where they were or a few places further: long runs, which are copied as such.

import type { Section } from "./section.ts";

/** Entries `from..from + length` of the table before are `to..to + length` of the one after. */
export interface KeyRun {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

/** How far ahead the two are compared with each other where they differ. */
const AHEAD_MAX = 64;
/** Entries that are compared at once: 4 KiB. */
const BLOCK = 512;

/** The runs of equal keys, by `to` but for those that changed places; every key that is in both tables is in one of them. */
export function keyRuns(before: Section, after: Section, table: number): KeyRun[] {
  const count = after.count(table);
  if (before === after) return count === 0 ? [] : [{ from: 0, to: 0, length: count }];
  const old = new KeyTable(before, table);
  const now = new KeyTable(after, table);
  const runs: KeyRun[] = [];
  const lostOld: number[] = [];
  const lostNow: number[] = [];
  let from = 0;
  let to = 0;
  while (from < old.count && to < now.count) {
    const length = runLength(old, from, now, to);
    if (length > 0) runs.push({ from, to, length });
    from += length;
    to += length;
    const [skippedOld, skippedNow] = nextEqual(old, from, now, to);
    for (let left = skippedOld; left > 0; left--) lostOld.push(from++);
    for (let left = skippedNow; left > 0; left--) lostNow.push(to++);
  }
  while (from < old.count) lostOld.push(from++);
  while (to < now.count) lostNow.push(to++);
  return [...runs, ...moved(old, lostOld, now, lostNow)];
}

class KeyTable {
  readonly words: Uint32Array;
  readonly base: number;
  readonly count: number;

  constructor(section: Section, table: number) {
    this.words = section.words;
    this.base = section.wordBase(table);
    this.count = section.count(table);
  }

  /** The keys of entries as they lie in memory. */
  bytes(index: number, count: number): Uint8Array {
    const { buffer, byteOffset } = this.words;
    return new Uint8Array(buffer, byteOffset + (this.base + index * 2) * 4, count * 8);
  }

  text(index: number): string {
    const at = this.base + index * 2;
    return `${this.words[at]!} ${this.words[at + 1]!}`;
  }
}

function isEqual(a: KeyTable, indexA: number, b: KeyTable, indexB: number): boolean {
  const atA = a.base + indexA * 2;
  const atB = b.base + indexB * 2;
  return a.words[atA] === b.words[atB] && a.words[atA + 1] === b.words[atB + 1];
}

function runLength(a: KeyTable, startA: number, b: KeyTable, startB: number): number {
  const most = Math.min(a.count - startA, b.count - startB);
  let length = 0;
  while (length < most && isEqual(a, startA + length, b, startB + length)) {
    length++;
    // Past the first few mostly all that follow are.
    if (length === BLOCK) length += equalBlocks(a, startA + length, b, startB + length);
  }
  return length;
}

/** How many entries from there on are equal, in whole blocks, which the C library compares: a tenth of the time. */
function equalBlocks(a: KeyTable, startA: number, b: KeyTable, startB: number): number {
  const most = Math.min(a.count - startA, b.count - startB);
  let length = 0;
  while (length + BLOCK <= most) {
    const [partA, partB] = [a.bytes(startA + length, BLOCK), b.bytes(startB + length, BLOCK)];
    if (Buffer.compare(partA, partB) !== 0) break;
    length += BLOCK;
  }
  return length;
}

/** How many entries of each lie before the nearest two that are equal; one of each where none are near. */
function nextEqual(a: KeyTable, startA: number, b: KeyTable, startB: number): [number, number] {
  if (startA >= a.count || startB >= b.count) return [0, 0];
  for (let ahead = 1; ahead <= AHEAD_MAX; ahead++) {
    for (let inA = 0; inA <= ahead; inA++) {
      const inB = ahead - inA;
      const isInside = startA + inA < a.count && startB + inB < b.count;
      if (isInside && isEqual(a, startA + inA, b, startB + inB)) return [inA, inB];
    }
  }
  return [1, 1];
}

/** Entries that are in both, though not in order. */
function moved(
  a: KeyTable,
  lostA: readonly number[],
  b: KeyTable,
  lostB: readonly number[],
): KeyRun[] {
  if (lostA.length === 0 || lostB.length === 0) return [];
  const places = new Map(lostA.map((index) => [a.text(index), index]));
  return lostB.flatMap((to) => {
    const from = places.get(b.text(to));
    return from === undefined ? [] : [{ from, to, length: 1 }];
  });
}
