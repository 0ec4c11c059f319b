// SPDX-License-Identifier: Apache-2.0

// What links of names sections lead to. A link has a number, and each snapshot a table of what is at it, so that a policy more among thousands,
// which moves all behind it, changes that table and not a million links:
//
//   words    a word a link: its number, or NO_TARGET
//   places   by number: index of the policy or pool × 2 + TargetKind in this snapshot, NO_TARGET where it is gone
//
// A number is even for a policy and odd for a pool, as `TargetKind` is. Words of sections that a change makes anew are put behind those that are
// there, in memory that is shared by one snapshot after the other: no thread that reads an older one ever sees a word change.

import { assert } from "@meridian/core";

/** Number of a link that leads nowhere. */
export const NO_TARGET = -1;

/** Room for what changes bring, as a part of what is there; and at least. */
const SPARE_PART = 4;
const SPARE_WORDS_MIN = 4096;
/** Numbers that stand for nothing any more, before all begin anew. */
const GONE_MAX = 1024;
/** Of so many targets the number is looked for among all. */
const SOUGHT_MAX = 64;

/** Words of links, by the thread that loads snapshots. */
export class TargetSpace {
  /** In shared memory. */
  readonly words: Int32Array;
  /** Some link led nowhere: it may lead somewhere in another snapshot. */
  hasStray = false;
  #used = 0;

  constructor(count: number) {
    const room = count + Math.max(SPARE_WORDS_MIN, Math.floor(count / SPARE_PART));
    this.words = new Int32Array(new SharedArrayBuffer(room * 4));
  }

  /** Where so many words are free from now on, −1 where there is no room. Who drops a snapshot leaves them behind. */
  take(count: number): number {
    if (this.#used + count > this.words.length) return -1;
    const start = this.#used;
    this.#used += count;
    return start;
  }
}

/** How many there are of each in a snapshot. */
export interface TargetCounts {
  readonly policyCount: number;
  readonly poolCount: number;
}

/** Where policies and pools of the snapshot before are; −1 where one is gone, undefined where all are where they were and there are no others. */
export interface TargetMoves {
  readonly policies: Int32Array | undefined;
  readonly pools: Int32Array | undefined;
}

/** What policies and pools are called in the two snapshots, given as index × 2 + kind. */
export interface TargetKeys {
  readonly before: (target: number) => string;
  readonly after: (target: number) => string;
}

/** What is at each number, by the thread that loads snapshots. */
export class TargetPlaces {
  /** In shared memory. */
  readonly words: Int32Array;
  /** Number by what is at it; undefined until many are asked for, and where each is its own. */
  #numbers: Int32Array | undefined;
  /** How many were. */
  #sought = 0;
  readonly #isOwn: boolean;
  /** Numbers of what is gone, by kind and key: it may come back, and names may lead to it all the while. */
  readonly #gone: ReadonlyMap<string, number>;

  private constructor(words: Int32Array, isOwn: boolean, gone: ReadonlyMap<string, number>) {
    this.words = words;
    this.#isOwn = isOwn;
    this.#gone = gone;
  }

  /** Each number is what is at it. */
  static first(counts: TargetCounts): TargetPlaces {
    const words = shared(tableLength(counts)).fill(NO_TARGET);
    for (let number = 0; number < words.length; number++)
      if (number >> 1 < countOf(counts, number & 1)) words[number] = number;
    return new TargetPlaces(words, true, new Map());
  }

  /** The same numbers in the snapshot after; undefined where too many of them would stand for nothing. */
  moved(moves: TargetMoves, counts: TargetCounts, keys: TargetKeys): TargetPlaces | undefined {
    const before = this.words;
    const after = before.slice();
    const gone = new Map(this.#gone);
    const added: number[] = [];
    for (const [kind, indexes] of movedKinds(moves)) {
      for (const number of moveTargets(after, kind, indexes)) {
        gone.set(keyed(kind, keys.before(before[number]!)), number);
        if (gone.size > GONE_MAX) return undefined;
      }
      for (const index of freshIndexes(indexes, countOf(counts, kind))) {
        const target = index * 2 + kind;
        const key = gone.size === 0 ? "" : keyed(kind, keys.after(target));
        const number = gone.get(key);
        gone.delete(key);
        if (number === undefined) added.push(target);
        else after[number] = target;
      }
    }
    const words = shared(before.length + added.length * 2).fill(NO_TARGET, before.length);
    words.set(after);
    // Each in a pair of its own: numbers of pools are odd.
    for (const [index, target] of added.entries())
      words[before.length + index * 2 + (target & 1)] = target;
    return new TargetPlaces(words, false, gone);
  }

  /** By number, what is at it in the snapshot after. */
  targetsAfter(moves: TargetMoves): Int32Array {
    const targets = this.words.slice();
    for (const [kind, indexes] of movedKinds(moves)) moveTargets(targets, kind, indexes);
    return targets;
  }

  /** The number of a policy or pool of this snapshot, given as index × 2 + kind. */
  numberOf(target: number): number {
    const number = this.#isOwn ? target : this.#soughtNumber(target);
    assert(this.words[number] === target, "a link leads to what the snapshot has");
    return number;
  }

  /** A few are looked for by the C library, 0.02 ms of 60,000. */
  #soughtNumber(target: number): number {
    if (this.#numbers === undefined && this.#sought++ < SOUGHT_MAX)
      return this.words.indexOf(target);
    return (this.#numbers ??= invert(this.words))[target] ?? NO_TARGET;
  }
}

function movedKinds({ policies, pools }: TargetMoves): [kind: number, indexes: Int32Array][] {
  const kinds = [policies, pools].map((indexes, kind) => [kind, indexes] as const);
  return kinds.flatMap(([kind, indexes]) => (indexes === undefined ? [] : [[kind, indexes]]));
}

/**
 * Puts in place of each target of a kind where it is in the snapshot after, and gives the numbers of those that are gone. It takes words alone:
 * with objects of the kind that a rehearsal had and no change has, V8 began anew when the first policy came, and 60,000 numbers took 4 ms.
 */
function moveTargets(targets: Int32Array, kind: number, indexes: Int32Array): number[] {
  const gone: number[] = [];
  for (let number = kind; number < targets.length; number += 2) {
    const target = targets[number]!;
    if (target < 0) continue;
    const index = indexes[target >> 1] ?? NO_TARGET;
    targets[number] = index < 0 ? NO_TARGET : index * 2 + kind;
    if (index < 0) gone.push(number);
  }
  return gone;
}

/** What is in the snapshot after, of so many, and was not in the one before. */
function freshIndexes(indexes: Int32Array, count: number): number[] {
  const isThere = new Uint8Array(count);
  for (const index of indexes) if (index >= 0) isThere[index] = 1;
  const fresh: number[] = [];
  for (let index = isThere.indexOf(0); index >= 0; index = isThere.indexOf(0, index + 1))
    fresh.push(index);
  return fresh;
}

function keyed(kind: number, key: string): string {
  return `${kind} ${key}`;
}

function tableLength({ policyCount, poolCount }: TargetCounts): number {
  return Math.max(policyCount, poolCount) * 2;
}

function countOf({ policyCount, poolCount }: TargetCounts, kind: number): number {
  return kind === 0 ? policyCount : poolCount;
}

function invert(words: Int32Array): Int32Array {
  const numbers = new Int32Array(words.length).fill(NO_TARGET);
  for (let number = 0; number < words.length; number++) {
    const target = words[number]!;
    if (target >= 0) numbers[target] = number;
  }
  return numbers;
}

function shared(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(count * 4));
}
