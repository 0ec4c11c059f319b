// SPDX-License-Identifier: Apache-2.0

// An overlay as seen by who writes it not and answers from it not: explain, views, shifts. It claims no bank, so that the writer never
// waits for it; instead it looks again at what it read:
//
//   published word w ─► read the bank of w ─► published word still w?   the writer touches that bank only after the set after w
//
// A change set in between means another try; copying 100,000 slots takes less time than there is between two of them.

import { FIRST_BANK, forgetWorker, isSettled } from "./overlay.ts";

/** What an overlay was at one moment: both belong together. */
export interface OverlayMoment {
  readonly sequence: number;
  /** A copy. */
  readonly slots: Uint32Array;
}

/** Reads an overlay that another thread writes. */
export class OverlayObserver {
  readonly buffer: SharedArrayBuffer;
  readonly slotCount: number;
  readonly #words: Uint32Array;

  constructor(buffer: SharedArrayBuffer, slotCount: number) {
    this.buffer = buffer;
    this.slotCount = slotCount;
    this.#words = new Uint32Array(buffer);
  }

  /** Sequence of the newest published change set. */
  get sequence(): number {
    return Atomics.load(this.#words, 0) >>> 1;
  }

  /** Newest published value of a slot. */
  read(slot: number): number {
    const words = this.#words;
    for (;;) {
      const word = Atomics.load(words, 0);
      const value = Atomics.load(words, FIRST_BANK + (word & 1) * this.slotCount + slot);
      if (Atomics.load(words, 0) === word) return value;
    }
  }

  /** All slots as one change set left them. */
  moment(): OverlayMoment {
    const words = this.#words;
    for (;;) {
      const word = Atomics.load(words, 0);
      const from = FIRST_BANK + (word & 1) * this.slotCount;
      const slots = words.slice(from, from + this.slotCount);
      if (Atomics.load(words, 0) === word) return { sequence: word >>> 1, slots };
    }
  }

  /** Whether every one of so many workers answers by the newest change set, if at all, and by no overlay before this one. */
  isSettled(workers: number): boolean {
    return isSettled(this.#words, workers);
  }

  /** Frees the acknowledgement of a worker that died, so that the writer does not wait for it. */
  forget(worker: number): void {
    forgetWorker(this.#words, worker);
  }
}
