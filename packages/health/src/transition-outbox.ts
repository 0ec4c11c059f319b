// SPDX-License-Identifier: Apache-2.0

import { TRANSITIONS_SPACING_MS } from "./limits.ts";
import type { HealthRunnerOptions, Outlook } from "./runner-options.ts";
import type { NumberedTransition } from "./transition.ts";

type OutboxOptions = Pick<HealthRunnerOptions, "clock" | "timers" | "onTransitions" | "onOutlook">;

/**
 * Changed verdicts and outlooks on their way to who listens: all of one turn of the event loop as one batch. Where one batch follows another,
 * those of some milliseconds are one: on the day on which all flips there are 800 turns a second that change something, and a batch takes as long
 * as three transitions.
 */
export class TransitionOutbox {
  readonly #options: OutboxOptions;
  #transitions: NumberedTransition[] = [];
  /** The newest of each endpoint, where no transition came behind it: that says the same, of now. */
  #outlooks = new Map<string, Outlook>();
  #sequence = 0;
  #isFlushQueued = false;
  #isClosed = false;
  /** When transitions were told last. */
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Takes a changed verdict, and numbers it. */
  add(transition: Omit<NumberedTransition, "sequence">): void {
    this.#transitions.push({ ...transition, sequence: ++this.#sequence });
    if (this.#outlooks.size > 0) this.#outlooks.delete(transition.key);
  }

  addOutlook(outlook: Outlook): void {
    if (this.#options.onOutlook !== undefined) this.#outlooks.set(outlook.key, outlook);
  }

  /** Tells what there is when the present turn has ended; `spaced`: a while after the batch before, where that was told just now. */
  flush(pace: "at once" | "spaced"): void {
    const isWaiting = this.#transitions.length > 0 || this.#outlooks.size > 0;
    if (!isWaiting || this.#isFlushQueued || this.#isClosed) return;
    if (pace === "spaced" && this.#isSpaced()) return;
    this.#isFlushQueued = true;
    queueMicrotask(this.#tell);
  }

  /** Tells what waits, in this turn: what comes next is to be told after it. */
  tellWaiting(): void {
    if (this.#transitions.length > 0 || this.#outlooks.size > 0) this.#tell();
  }

  /** Nothing is told from now on. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Whether a timer sees to it. */
  #isSpaced(): boolean {
    if (this.#timer !== undefined) return true;
    const { clock, timers } = this.#options;
    if (timers === "manual") return false;
    if (clock.monotonicMs() - this.#toldAtMs >= TRANSITIONS_SPACING_MS) return false;
    this.#timer = setTimeout(this.#tell, TRANSITIONS_SPACING_MS);
    return true;
  }

  readonly #tell = (): void => {
    this.#isFlushQueued = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isClosed) return;
    const transitions = this.#transitions;
    const outlooks = this.#outlooks;
    this.#transitions = [];
    if (outlooks.size > 0) this.#outlooks = new Map();
    if (transitions.length > 0) {
      this.#toldAtMs = this.#options.clock.monotonicMs();
      this.#options.onTransitions(transitions);
    }
    if (outlooks.size > 0) this.#options.onOutlook?.([...outlooks.values()]);
  };
}
