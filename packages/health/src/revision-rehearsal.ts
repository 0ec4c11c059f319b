// SPDX-License-Identifier: Apache-2.0

// When a thread goes once more through what revisions ask of it, so that no change waits for code that runs for the first time, and when
// it collects what revisions leave behind: while nobody waits for either.

import { reasonOf } from "@meridian/core";
import { GarbageCollections } from "./young-collector.ts";

/** After so many times nothing gets faster any more. */
const PASSES = 12;
/**
 * So many come after each look through the whole heap: with the last object of a kind V8 forgets what it had compiled for that kind. The
 * first policy more was loaded in 15 ms where the look came last, in 7 with two or more passes behind it.
 */
const PASSES_AFTER_WHOLE = 4;
/** What a start leaves to be done comes first. */
const FIRST_MS = 1000;
/** In turns, as a revision may come meanwhile. */
const PAUSE_MS = 100;

export interface RehearsalOptions {
  /** Goes through it once, for some milliseconds; false where this is no time for it. */
  readonly rehearse: () => boolean;
  /** Nothing is rehearsed any more. */
  readonly onFailed: (reason: string) => void;
  /** As of `GarbageCollections`. */
  readonly wholeEvery?: number;
}

/** What a thread does for the next revision while none is waited for. */
export class RevisionRehearsal {
  readonly #options: RehearsalOptions;
  readonly #collections: GarbageCollections;
  #left = PASSES;
  #hasFailed = false;
  #passTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: RehearsalOptions) {
    this.#options = options;
    this.#collections = new GarbageCollections(options.wholeEvery, () => this.#again());
  }

  /** A revision is served. */
  follow(): void {
    if (this.#isClosed) return;
    if (this.#left === PASSES) this.#passTimer ??= setTimeout(() => this.#pass(), FIRST_MS).unref();
    this.#collections.soon();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#passTimer);
    this.#collections.close();
  }

  /** The whole heap was looked through. */
  #again(): void {
    if (this.#isClosed || this.#hasFailed || this.#left > 0) return;
    this.#left = PASSES_AFTER_WHOLE;
    this.#passTimer = setTimeout(() => this.#pass(), PAUSE_MS).unref();
  }

  #pass(): void {
    try {
      this.#rehearse();
    } catch (error) {
      // Who answers goes on: what is wrong is told with the next revision, or was memory that there is not.
      this.#left = 0;
      this.#hasFailed = true;
      this.#options.onFailed(reasonOf(error));
    }
    if (this.#left > 0 && !this.#isClosed)
      this.#passTimer = setTimeout(() => this.#pass(), PAUSE_MS).unref();
  }

  #rehearse(): void {
    if (!this.#options.rehearse()) return;
    this.#left -= 1;
    // What a start has left behind goes before the last of them.
    const isWhole = this.#left === PASSES_AFTER_WHOLE && this.#options.wholeEvery !== undefined;
    if (isWhole) this.#collections.whole();
    else this.#collections.young();
  }
}
