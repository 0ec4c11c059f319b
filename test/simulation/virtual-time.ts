// SPDX-License-Identifier: Apache-2.0

// Time that goes in steps, for a thousand edges at once: what is due in one step happens together. Between two steps everything that waits on a promise
// runs, so that equal seeds give equal runs, however busy the machine is. test/consistency/event-time.ts goes from event to event instead.

import { EventQueue, settled } from "./event-queue.ts";

const STEP_MS = 5;

export class VirtualTime {
  nowMs = 0;
  readonly #events = new EventQueue();

  /** Runs `what` after some milliseconds, in steps of `STEP_MS`. */
  after(ms: number, what: () => void): void {
    this.#events.add(this.nowMs + Math.ceil(Math.max(0, ms) / STEP_MS) * STEP_MS, what);
  }

  /** Lets time pass up to a moment. */
  async runUntil(endMs: number): Promise<void> {
    for (;;) {
      const { nextMs } = this.#events;
      if (nextMs === undefined || nextMs > endMs) break;
      this.nowMs = nextMs;
      while (this.#events.nextMs === this.nowMs) this.#events.runNext();
      await settled();
    }
    this.nowMs = endMs;
  }
}
