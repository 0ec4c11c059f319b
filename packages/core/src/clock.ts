// SPDX-License-Identifier: Apache-2.0

/** Time as an input, so that state machines can be replayed. Both readings are milliseconds. */
export interface Clock {
  /** Wall time since the Unix epoch, for stamps that people read. */
  wallMs(): number;
  /** Time that never goes back, for intervals and timeouts. */
  monotonicMs(): number;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A clock that a test or the simulation moves by hand. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  advance(byMs: number): void {
    this.#nowMs += byMs;
  }
}
