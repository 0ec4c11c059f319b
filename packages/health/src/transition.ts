// SPDX-License-Identifier: Apache-2.0

import type { Verdict } from "./check.ts";

/** A changed verdict. */
export interface Transition {
  readonly key: string;
  readonly verdict: Verdict;
  readonly previous: Verdict;
  readonly reason: string;
  readonly vantage: string;
  /** Wall time. */
  readonly atMs: number;
  /** Time until the verdict could change again at the earliest, for the TTL of answers. */
  readonly earliestChangeMs: number;
  /** Counts the transitions of this runner, from 1. */
  readonly sequence: number;
}

/** The last transitions in a ring of fixed size. */
export class TransitionHistory {
  readonly #limit: number;
  readonly #ring: Transition[] = [];
  #next = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Keeps a transition, and forgets the oldest where there are too many. */
  add(transition: Transition): void {
    this.#ring[this.#next] = transition;
    this.#next = (this.#next + 1) % this.#limit;
  }

  /** What is kept, oldest first; of one target where a key is given. */
  list(key?: string): readonly Transition[] {
    const isFull = this.#ring.length === this.#limit;
    const start = isFull ? this.#next : 0;
    const ordered = [...this.#ring.slice(start), ...this.#ring.slice(0, start)];
    return key === undefined ? ordered : ordered.filter((each) => each.key === key);
  }
}
