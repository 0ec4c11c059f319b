// SPDX-License-Identifier: Apache-2.0

import type { HealthRunnerOptions, Outlook } from "./runner-options.ts";
import type { Transition } from "./transition.ts";

/** Changed verdicts and outlooks on their way to who listens: all of one turn of the event loop as one batch. */
export class TransitionOutbox {
  readonly #options: Pick<HealthRunnerOptions, "onTransitions" | "onOutlook">;
  #transitions: Transition[] = [];
  /** The newest of each endpoint, where no transition came behind it: that says the same, of now. */
  #outlooks = new Map<string, Outlook>();
  #sequence = 0;
  #isFlushQueued = false;
  #isClosed = false;

  constructor(options: Pick<HealthRunnerOptions, "onTransitions" | "onOutlook">) {
    this.#options = options;
  }

  /** Takes a changed verdict, and numbers it. */
  add(transition: Omit<Transition, "sequence">): void {
    this.#transitions.push({ ...transition, sequence: ++this.#sequence });
    if (this.#outlooks.size > 0) this.#outlooks.delete(transition.key);
  }

  addOutlook(outlook: Outlook): void {
    if (this.#options.onOutlook !== undefined) this.#outlooks.set(outlook.key, outlook);
  }

  /** Tells what there is when the present turn has ended. */
  flush(): void {
    const isWaiting = this.#transitions.length > 0 || this.#outlooks.size > 0;
    if (!isWaiting || this.#isFlushQueued || this.#isClosed) return;
    this.#isFlushQueued = true;
    queueMicrotask(this.#tell);
  }

  /** Nothing is told from now on. */
  close(): void {
    this.#isClosed = true;
  }

  readonly #tell = (): void => {
    this.#isFlushQueued = false;
    if (this.#isClosed) return;
    const transitions = this.#transitions;
    const outlooks = this.#outlooks;
    this.#transitions = [];
    if (outlooks.size > 0) this.#outlooks = new Map();
    if (transitions.length > 0) this.#options.onTransitions(transitions);
    if (outlooks.size > 0) this.#options.onOutlook?.([...outlooks.values()]);
  };
}
