// SPDX-License-Identifier: Apache-2.0

import { GIVE_WAY_AGAIN_MS, GIVE_WAY_MS, GIVE_WAY_NUDGE_MS } from "./limits.ts";

/**
 * Leaves the core to whoever answers, as soon as there is something new to answer: what else a verdict thread does about a change
 * (latches, reports, hanging up) takes as long as the answer, and nobody waits for it.
 *
 * It sleeps twice. The kernel lets in whom the core is owed to, and that may be a compiler of V8 that this thread has just
 * set to work: for a millisecond, as nothing makes the kernel choose anew meanwhile. Somebody who wakes does. By then a compiler
 * has had what it was owed, and the worker is next.
 */
export class GivingWay {
  readonly #nowMs: () => number;
  readonly #sleep: (ms: number) => void;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: () => number = () => performance.now(), sleep: (ms: number) => void = nap()) {
    this.#nowMs = nowMs;
    this.#sleep = sleep;
  }

  /** Something was published. Of many changes at once the first gives way for all. */
  giveWay(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#lastMs < GIVE_WAY_AGAIN_MS) return;
    this.#lastMs = nowMs;
    this.#sleep(GIVE_WAY_NUDGE_MS);
    this.#sleep(GIVE_WAY_MS);
  }
}

function nap(): (ms: number) => void {
  // Nobody wakes who sleeps on it.
  const word = new Int32Array(new SharedArrayBuffer(4));
  return (ms) => void Atomics.wait(word, 0, 0, ms);
}
