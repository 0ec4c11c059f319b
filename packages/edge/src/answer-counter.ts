// SPDX-License-Identifier: Apache-2.0

// How the workers of an edge have answered, by revision: control watches it while a revision goes out. Workers count on in the same words
// when they change over, so each says what they were at that very moment: what is counted before belongs to the revision before.

import { FixedCounter } from "./counter-layout.ts";
import type { HandlerReport } from "./handler.ts";

/** Revisions whose totals are kept: what workers still serve, and what they served just before. */
const REVISIONS_MAX = 4;

/** Since this process began. */
export interface AnswerTotals {
  readonly queries: number;
  readonly servfail: number;
  readonly empty: number;
}

interface Counting {
  readonly fixed: Uint32Array;
  revision: number;
  /** As last read: the words wrap. */
  last: readonly number[];
}

export class AnswerCounter {
  readonly #workers = new Map<number, Counting>();
  readonly #totals = new Map<number, number[]>();

  /** Takes what a worker posted. */
  take(report: HandlerReport): void {
    if (report.kind === "buffers") {
      const before = this.#workers.get(report.worker);
      if (before !== undefined) this.#add(before, wordsOf(before.fixed));
      const fixed = new Uint32Array(report.counters);
      this.#workers.set(report.worker, { fixed, revision: 0, last: [0, 0, 0] });
    } else if (report.kind === "serving") {
      const counting = this.#workers.get(report.worker);
      if (counting === undefined) return;
      this.#add(counting, report.countedBefore);
      counting.revision = report.revision;
    }
  }

  /** What was answered from a revision; nothing of one that is long gone. */
  of(revision: number): AnswerTotals {
    for (const counting of this.#workers.values()) this.#add(counting, wordsOf(counting.fixed));
    const [queries = 0, servfail = 0, empty = 0] = this.#totals.get(revision) ?? [];
    return { queries, servfail, empty };
  }

  #add(counting: Counting, words: readonly number[]): void {
    const { revision, last } = counting;
    counting.last = words;
    const totals = this.#totalsOf(revision);
    words.forEach((word, index) => {
      totals[index] = (totals[index] ?? 0) + ((word - (last[index] ?? 0)) >>> 0);
    });
  }

  #totalsOf(revision: number): number[] {
    const known = this.#totals.get(revision);
    if (known !== undefined) return known;
    const totals = [0, 0, 0];
    this.#totals.set(revision, totals);
    const [oldest] = this.#totals.keys();
    if (this.#totals.size > REVISIONS_MAX && oldest !== undefined) this.#totals.delete(oldest);
    return totals;
  }
}

/** Of a worker's fixed words: queries, SERVFAIL and empty answers, modulo 2³². */
export function wordsOf(fixed: Uint32Array): number[] {
  const word = (index: number): number => fixed[index] ?? 0;
  return [
    (word(FixedCounter.udpQueries) + word(FixedCounter.tcpQueries)) >>> 0,
    word(FixedCounter.firstRcode + 2),
    word(FixedCounter.empty),
  ];
}
