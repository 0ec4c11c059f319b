// SPDX-License-Identifier: Apache-2.0

import { TRANSITIONS_REMEMBERED_MAX } from "./limits.ts";
import type { HealthRunnerOptions, Outlook } from "./runner-options.ts";
import { TransitionHistory, type Transition } from "./transition.ts";

/** Changed verdicts and outlooks on their way to who listens: all of one turn of the event loop as one batch. */
export class TransitionOutbox {
  readonly #options: Pick<HealthRunnerOptions, "onTransitions" | "onOutlook">;
  readonly #history = new TransitionHistory(TRANSITIONS_REMEMBERED_MAX);
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
    const numbered = { ...transition, sequence: ++this.#sequence };
    this.#transitions.push(numbered);
    this.#outlooks.delete(transition.key);
    this.#history.add(numbered);
  }

  addOutlook(outlook: Outlook): void {
    if (this.#options.onOutlook !== undefined) this.#outlooks.set(outlook.key, outlook);
  }

  /** The last transitions, oldest first; of one target where a key is given. */
  history(key?: string): readonly Transition[] {
    return this.#history.list(key);
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
    this.#outlooks = new Map();
    if (transitions.length > 0) this.#options.onTransitions(transitions);
    if (outlooks.size > 0) this.#options.onOutlook?.([...outlooks.values()]);
  };
}
