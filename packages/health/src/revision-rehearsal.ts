// SPDX-License-Identifier: Apache-2.0

// When a thread goes once more through what revisions ask of it, so that no change waits for code that runs for the first time, and when
// it collects what revisions leave behind: while nobody waits for either.

import { reasonOf } from "@meridian/core";
import { GarbageCollections } from "./young-collector.ts";

/** After so many times nothing gets faster any more. */
const PASSES = 12;
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
  #passTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: RehearsalOptions) {
    this.#options = options;
    this.#collections = new GarbageCollections(options.wholeEvery);
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

  #pass(): void {
    try {
      this.#rehearse();
    } catch (error) {
      // Who answers goes on: what is wrong is told with the next revision, or was memory that there is not.
      this.#left = 0;
      this.#options.onFailed(reasonOf(error));
    }
    if (this.#left > 0 && !this.#isClosed)
      this.#passTimer = setTimeout(() => this.#pass(), PAUSE_MS).unref();
  }

  #rehearse(): void {
    if (!this.#options.rehearse()) return;
    this.#left -= 1;
    if (this.#left > 0) this.#collections.young();
    else if (this.#options.wholeEvery !== undefined) this.#collections.whole();
  }
}
