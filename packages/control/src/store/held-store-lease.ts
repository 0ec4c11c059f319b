// SPDX-License-Identifier: Apache-2.0

// A lease while it is held. It is renewed three times in its life; it counts as lost as soon as its time, reckoned from when the last successful
// renewal was *asked for*, has passed on this machine's monotonic clock: the store, which reckons from a later moment, gives it to nobody before.

import type { Clock } from "@meridian/core";
import type { HeldLease, StoreBackend } from "./store-backend.ts";
import type { Lease } from "./store.ts";

export class HeldStoreLease implements Lease {
  readonly name: string;
  readonly term: number;
  readonly #clock: Clock;
  readonly #backend: StoreBackend;
  readonly #held: HeldLease;
  readonly #lost = new AbortController();
  #validUntilMs: number;
  #renewal: NodeJS.Timeout | undefined;
  #expiry: NodeJS.Timeout | undefined;

  /** `askedMs`: monotonic milliseconds when `held` was asked for. */
  constructor(clock: Clock, backend: StoreBackend, held: HeldLease, askedMs: number) {
    this.#clock = clock;
    this.#backend = backend;
    this.#held = held;
    this.name = held.name;
    this.term = held.term;
    this.#validUntilMs = askedMs + held.ttlMs;
    this.#schedule();
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  async release(): Promise<void> {
    this.#lose("it was released");
    await this.#backend.releaseLease(this.#held);
  }

  #schedule(): void {
    this.#renewal = setTimeout(() => void this.#renew(), this.#held.ttlMs / 3);
    clearTimeout(this.#expiry);
    const leftMs = this.#validUntilMs - this.#clock.monotonicMs();
    this.#expiry = setTimeout(() => this.#lose("its time ran out"), Math.max(0, leftMs));
    this.#renewal.unref();
    this.#expiry.unref();
  }

  async #renew(): Promise<void> {
    const askedMs = this.#clock.monotonicMs();
    const isHeld = await this.#backend.renewLease(this.#held).catch(() => undefined);
    if (this.#lost.signal.aborted) return;
    if (isHeld === false) {
      this.#lose("another may hold it");
      return;
    }
    // A store that cannot be asked is asked again until the time has run out.
    if (isHeld === true) this.#validUntilMs = askedMs + this.#held.ttlMs;
    this.#schedule();
  }

  #lose(why: string): void {
    clearTimeout(this.#renewal);
    clearTimeout(this.#expiry);
    this.#lost.abort(new Error(`The lease "${this.name}" is not held: ${why}`));
  }
}
