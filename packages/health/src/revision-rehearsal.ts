// SPDX-License-Identifier: Apache-2.0

// When a thread goes once more through what revisions ask of it, so that no change waits for code that runs for the first time, and when
// it collects what revisions leave behind: while nobody waits for either.

import { constants, PerformanceObserver } from "node:perf_hooks";
import { reasonOf } from "@meridian/core";
import { GarbageCollections } from "./young-collector.ts";

/** After so many times nothing gets faster any more. */
const PASSES = 16;
/**
 * So many come after each look through the whole heap: with the last object of a kind V8 forgets what it had compiled for that kind. The
 * first policy more was loaded in 15 ms where the look came last, in 7 with two or more passes behind it; a compiler of a
 * million names had compiled all that it needs after six.
 */
const PASSES_AFTER_WHOLE = 8;
/** What a start leaves to be done comes first. */
const FIRST_MS = 1000;
/** In turns, as a revision may come meanwhile. */
const PAUSE_MS = 40;
/** After a revision, or a part of one, or a look through the heap in the middle of it: the next part may follow. */
const QUIET_MS = 300;

export interface RehearsalOptions {
  /** Goes through it once, for some milliseconds; false where this is no time for it: it is tried again. */
  readonly rehearse: () => boolean;
  /** Nothing is rehearsed any more. */
  readonly onFailed: (reason: string) => void;
  /** As of `GarbageCollections`; where it is left out, V8 alone looks through the whole heap later on. */
  readonly wholeEvery?: number;
}

/** What a thread does for the next revision while none is waited for. */
export class RevisionRehearsal {
  readonly #options: RehearsalOptions;
  readonly #collections: GarbageCollections;
  readonly #looks: PerformanceObserver;
  #left = PASSES;
  #hasFailed = false;
  /** By the monotonic clock; nothing yet where it is missing. */
  #followedAtMs: number | undefined;
  /** A revision came since it was rehearsed because of such a look: a rehearsal's own garbage asks for none. */
  #isDue = false;
  #passTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: RehearsalOptions) {
    this.#options = options;
    this.#collections = new GarbageCollections(options.wholeEvery);
    this.#looks = new PerformanceObserver((list) => {
      if (list.getEntries().some(isWhole)) this.#again();
    });
    this.#looks.observe({ entryTypes: ["gc"] });
  }

  /** A revision is served, or a part of what it asks of this thread is done. */
  follow(): void {
    if (this.#isClosed) return;
    if (this.#left > 0) this.#passAfter(this.#followedAtMs === undefined ? FIRST_MS : QUIET_MS);
    this.#followedAtMs = performance.now();
    this.#isDue = true;
    this.#collections.soon();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#passTimer);
    this.#looks.disconnect();
    this.#collections.close();
  }

  /** The whole heap was looked through, in a calm moment or when V8 had to. */
  #again(): void {
    if (this.#isClosed || this.#hasFailed || this.#left > 0 || !this.#isDue) return;
    this.#isDue = false;
    this.#left = PASSES_AFTER_WHOLE;
    this.#passAfter(Math.max(PAUSE_MS, (this.#followedAtMs ?? 0) + QUIET_MS - performance.now()));
  }

  #passAfter(ms: number): void {
    clearTimeout(this.#passTimer);
    this.#passTimer = setTimeout(() => this.#pass(), ms).unref();
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
    if (this.#left > 0 && !this.#isClosed) this.#passAfter(PAUSE_MS);
  }

  #rehearse(): void {
    if (!this.#options.rehearse()) return;
    this.#left -= 1;
    // What a start has left behind goes before the last of them.
    if (this.#left === PASSES_AFTER_WHOLE) this.#collections.whole();
    else this.#collections.young();
  }
}

function isWhole(entry: object): boolean {
  const detail = "detail" in entry ? entry.detail : undefined;
  return (
    typeof detail === "object" &&
    detail !== null &&
    "kind" in detail &&
    detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR
  );
}
