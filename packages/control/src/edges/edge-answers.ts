// SPDX-License-Identifier: Apache-2.0

// How an edge answers, as it says each second: sums for the revision that it serves and the one before, to be held against each other.

import type { AnswerCounts } from "@meridian/snapshot";

/** How an edge answered from one revision, for as long as it served it. */
export interface AnswerSums {
  readonly epoch: number;
  readonly revision: number;
  readonly queries: number;
  readonly servfail: number;
  readonly empty: number;
}

/** How an edge answered in the second or so of its last word. */
export interface AnswerRate {
  readonly queriesPerSecond: number;
  /** Share of the queries that were answered with SERVFAIL, 0..1. */
  readonly servfailShare: number;
  /** Share of the queries that were answered with NOERROR and no record, 0..1. */
  readonly emptyShare: number;
}

export class EdgeAnswers {
  #current: AnswerSums | undefined;
  #before: AnswerSums | undefined;
  #last: AnswerCounts | undefined;

  /** Of the revision that the edge serves; undefined before its first word. */
  get current(): AnswerSums | undefined {
    return this.#current;
  }

  /** Of the revision that it served before. */
  get before(): AnswerSums | undefined {
    return this.#before;
  }

  get rate(): AnswerRate | undefined {
    if (this.#last === undefined) return undefined;
    const { queries, servfail, empty, elapsedMs } = this.#last;
    return {
      queriesPerSecond: Math.round((queries * 1000) / Math.max(1, elapsedMs)),
      servfailShare: servfail / Math.max(1, queries),
      emptyShare: empty / Math.max(1, queries),
    };
  }

  take(counts: AnswerCounts): void {
    this.#last = counts;
    const { epoch, revision, queries, servfail, empty } = counts;
    const known = this.#current;
    if (known === undefined || known.epoch !== epoch || known.revision !== revision) {
      this.#before = known;
      this.#current = { epoch, revision, queries, servfail, empty };
      return;
    }
    this.#current = {
      epoch,
      revision,
      queries: known.queries + queries,
      servfail: known.servfail + servfail,
      empty: known.empty + empty,
    };
  }
}
