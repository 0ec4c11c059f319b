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
  /** Number by what is at it; undefined until it is asked, and where each is its own. */
  #numbers: Int32Array | undefined;
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
    const after = this.targetsAfter(moves);
    const isThere = new Uint8Array(tableLength(counts));
    const gone = new Map(this.#gone);
    for (let number = 0; number < before.length; number++) {
      const target = after[number]!;
      if (target >= 0) isThere[target] = 1;
      else if (before[number]! >= 0)
        gone.set(keyed(number & 1, keys.before(before[number]!)), number);
      if (gone.size > GONE_MAX) return undefined;
    }
    const added: number[] = [];
    for (let target = 0; target < isThere.length; target++) {
      if (isThere[target] !== 0 || target >> 1 >= countOf(counts, target & 1)) continue;
      const key = gone.size === 0 ? "" : keyed(target & 1, keys.after(target));
      const number = gone.get(key);
      gone.delete(key);
      if (number === undefined) added.push(target);
      else after[number] = target;
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
    for (let number = 0; number < targets.length; number++)
      if (targets[number]! >= 0) targets[number] = movedTarget(targets[number]!, moves);
    return targets;
  }

  /** The number of a policy or pool of this snapshot, given as index × 2 + kind. */
  numberOf(target: number): number {
    const number = this.#isOwn ? target : (this.#numbers ??= invert(this.words))[target];
    assert(this.words[number ?? NO_TARGET] === target, "a link leads to what the snapshot has");
    return number ?? NO_TARGET;
  }
}

/** Where a policy or pool, given as index × 2 + kind, is in the snapshot after. */
function movedTarget(target: number, { policies, pools }: TargetMoves): number {
  const kind = target & 1;
  const moves = kind === 0 ? policies : pools;
  const index = moves === undefined ? target >> 1 : (moves[target >> 1] ?? NO_TARGET);
  return index < 0 ? NO_TARGET : index * 2 + kind;
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
