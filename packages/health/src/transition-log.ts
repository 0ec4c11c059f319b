// SPDX-License-Identifier: Apache-2.0
import type { Verdict } from "./check.ts";
import { LOGGED_PER_SECOND_MAX } from "./limits.ts";
import { verdictAt, type TransitionBatch } from "./transition-batch.ts";
import type { Transition } from "./transition.ts";

const WINDOW_MS = 1000;

export interface TransitionLogOptions {
  readonly nowMs: () => number;
  readonly one: (transition: Transition) => void;
  /** How many more became each verdict in a second than were told one by one. */
  readonly more: (counts: Readonly<Record<Verdict, number>>) => void;
}

/**
 * Tells of transitions one by one as long as they are few, and of more in one second in one line at its end: each line takes as long as a
 * fifth of a probe, so that on the day on which everything flips a log would cost more than all else that is done about it.
 */
export class TransitionLog {
  readonly #options: TransitionLogOptions;
  #windowMs = Number.NEGATIVE_INFINITY;
  #left = LOGGED_PER_SECOND_MAX;
  #counts: Record<Verdict, number> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TransitionLogOptions) {
    this.#options = options;
  }

  add(batch: TransitionBatch): void {
    const { nowMs, one } = this.#options;
    const atMs = nowMs();
    if (atMs - this.#windowMs >= WINDOW_MS) {
      this.#tell();
      this.#windowMs = atMs;
      this.#left = LOGGED_PER_SECOND_MAX;
    }
    let index = 0;
    for (; index < batch.length && this.#left > 0; index++, this.#left--) {
      const transition = batch.at(index);
      if (transition !== undefined) one(transition);
    }
    if (index === batch.length) return;
    const counts = (this.#counts ??= { unknown: 0, healthy: 0, unhealthy: 0 });
    for (; index < batch.length; index++) counts[verdictAt(batch, index)] += 1;
    this.#timer ??= setTimeout(this.#tell, WINDOW_MS).unref();
  }

  /** Tells what is left. */
  close(): void {
    this.#tell();
  }

  readonly #tell = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counts = this.#counts;
    this.#counts = undefined;
    if (counts !== undefined) this.#options.more(counts);
  };
}
