// SPDX-License-Identifier: Apache-2.0

// What becomes of requests at endpoints: each serves so many a second, lets some wait, and turns the others away. Requests are a fluid: of a
// step's, all fare alike. What fails is tried again in the step after, at the same endpoint, as clients keep the address that they have.
//
//   first attempts ──┐                    ┌─► served in time
//   retries ─────────┴─► queue ─► server ─┤
//        ▲                 │ full         └─► late or an error ─┐
//        └─────────────────┴──────── attempts left ◄────────────┴─► failed in the end

import type { Condition } from "./troubles.ts";

/** What an endpoint is like when nothing is wrong. */
export interface StationSpec {
  /** Requests a second; undefined where it carries anything. */
  readonly capacity: number | undefined;
  /** Requests that wait at most. */
  readonly queue: number;
  readonly latencyMs: number;
}

/** What came to an endpoint in a step; rates a second. */
export interface StationStep {
  readonly offered: number;
  readonly served: number;
  /** Attempts that failed. */
  readonly failed: number;
  /** Attempts that failed and are not made again. */
  readonly lost: number;
  readonly retried: number;
  readonly isOver: boolean;
}

const LOAD_MAX = 10;

export class Station {
  readonly spec: StationSpec;
  /** Requests that wait. */
  backlog = 0;
  #condition: Condition = { dead: undefined, capacity: 1, slow: 1, errors: 0 };
  /** Attempts of the last step, and the share of them that were turned away. */
  #offered = 0;
  #turnedAway = 0;
  /** Rates of attempts to come, by how many came before: the first of them are retries. */
  #again: number[];

  /** `retries` is how often each request is tried again. */
  constructor(spec: StationSpec, retries: number) {
    this.spec = spec;
    this.#again = Array.from({ length: retries }, () => 0);
  }

  /** What it can do now, requests a second. */
  get capacity(): number {
    if (this.#condition.dead !== undefined) return 0;
    return (this.spec.capacity ?? Number.POSITIVE_INFINITY) * this.#condition.capacity;
  }

  /** How much of what it can do was asked for: 1 is full. */
  get load(): number {
    const { capacity } = this;
    if (capacity === Number.POSITIVE_INFINITY || Number.isNaN(capacity)) return 0;
    return capacity === 0 ? LOAD_MAX : Math.min(LOAD_MAX, this.#offered / capacity);
  }

  /** How long an answer takes, in milliseconds; for ever where it is dead. */
  get latencyMs(): number {
    const { capacity } = this;
    if (capacity === 0) return Number.POSITIVE_INFINITY;
    const waitMs = capacity === Number.POSITIVE_INFINITY ? 0 : (this.backlog / capacity) * 1000;
    return this.spec.latencyMs * this.#condition.slow + (Number.isNaN(waitMs) ? 0 : waitMs);
  }

  /** Share of attempts that get an error or no place in the queue. */
  get failing(): number {
    return 1 - (1 - this.#turnedAway) * (1 - this.#condition.errors);
  }

  /** From now on it is in this condition. */
  become(condition: Condition): void {
    // Who waits at one that dies waits for nothing.
    if (condition.dead !== undefined && this.#condition.dead === undefined) this.backlog = 0;
    this.#condition = condition;
  }

  /**
   * A step of `seconds`: `first` requests a second come anew, and `cut` more of clients that do not get through. Clients wait no longer
   * than `timeoutMs`.
   */
  step(first: number, cut: number, seconds: number, timeoutMs: number): StationStep {
    const retried = this.#again.reduce((sum, rate) => sum + rate, 0);
    const offered = first + retried;
    const share = this.#shareServed(offered, seconds);
    const isLate = this.latencyMs > timeoutMs;
    const good = isLate ? 0 : share * (1 - this.#condition.errors);
    // Who does not get through now does not a moment later.
    const lost = this.#tryAgain(first, 1 - good) + cut;
    const { capacity } = this;
    this.#offered = offered;
    this.#turnedAway = offered === 0 ? 0 : 1 - share;
    return {
      offered,
      served: offered * good,
      failed: offered * (1 - good) + cut,
      lost,
      retried,
      isOver: this.spec.capacity !== undefined && capacity > 0 && offered > capacity * 1.000001,
    };
  }

  /** Share of attempts that get in; those that got in before are served first. */
  #shareServed(offered: number, seconds: number): number {
    const { capacity, spec } = this;
    if (capacity === Number.POSITIVE_INFINITY) return 1;
    if (capacity === 0) return 0;
    const all = this.backlog + offered * seconds;
    const waiting = Math.max(0, all - capacity * seconds);
    this.backlog = Math.min(spec.queue, waiting);
    const turnedAway = waiting - this.backlog;
    return offered === 0 ? 1 : Math.max(0, 1 - turnedAway / (offered * seconds));
  }

  /** Makes attempts that fail the next ones; gives the rate of those that have none left. */
  #tryAgain(first: number, failing: number): number {
    let rate = first * failing;
    for (let attempt = 0; attempt < this.#again.length; attempt++) {
      const next = (this.#again[attempt] ?? 0) * failing;
      this.#again[attempt] = rate;
      rate = next;
    }
    return rate;
  }
}
