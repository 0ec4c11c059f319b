// SPDX-License-Identifier: Apache-2.0
import type { OverlayMoment, OverlayObserver } from "@meridian/snapshot";
import type { Cause } from "./change-set.ts";
import type { MaskedChange } from "./overlay-driver.ts";

/** Sends changes to the overlay's writer; resolves when they are published. */
export type SendChanges = (changes: readonly MaskedChange[], cause: Cause) => Promise<unknown>;

interface Sent {
  readonly mask: number;
  readonly value: number;
  readonly turn: number;
}

/** The overlay of one revision as others than its writer have it: they read it as it is, and ask for changes. */
export class SharedOverlay {
  readonly revision: number;
  readonly #observer: OverlayObserver;
  readonly #send: SendChanges;
  /** What was asked for and is not published yet, by slot. */
  readonly #sent = new Map<number, Sent>();
  #turn = 0;
  /** The newest request, which ends after those before it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(revision: number, observer: OverlayObserver, send: SendChanges) {
    this.revision = revision;
    this.#observer = observer;
    this.#send = send;
  }

  get buffer(): SharedArrayBuffer {
    return this.#observer.buffer;
  }

  get slotCount(): number {
    return this.#observer.slotCount;
  }

  /** Sequence of the newest published change set. */
  get sequence(): number {
    return this.#observer.sequence;
  }

  /** The newest published slots, a copy, with their sequence. */
  moment(): OverlayMoment {
    return this.#observer.moment();
  }

  /** Newest value of a slot, published or asked for. */
  read(slot: number): number {
    const value = this.#observer.read(slot);
    const sent = this.#sent.get(slot);
    return sent === undefined ? value : merged(value, sent);
  }

  /** Asks for a change set; resolves when it is published, and what was asked for before. Later changes of the same bits win. */
  async apply(changes: readonly MaskedChange[], cause: Cause): Promise<void> {
    // Who finds nothing left to change may have read what another has asked for.
    if (changes.length === 0) {
      // If that fails it is told, and this has not.
      await this.#last.catch(() => undefined);
      return;
    }
    const turn = ++this.#turn;
    for (const { slot, mask, value } of changes) {
      const before = this.#sent.get(slot) ?? { mask: 0, value: 0 };
      const all = merged(before.value, { mask, value });
      this.#sent.set(slot, { mask: (before.mask | mask) >>> 0, value: all, turn });
    }
    this.#last = this.#send(changes, cause);
    try {
      await this.#last;
    } finally {
      for (const { slot } of changes)
        if (this.#sent.get(slot)?.turn === turn) this.#sent.delete(slot);
    }
  }

  /** Whether every one of so many workers answers by the newest change set, if at all. */
  isSettled(workers: number): boolean {
    return this.#observer.isSettled(workers);
  }

  /** Frees the bank of an edge's worker that died. */
  forget(worker: number): void {
    this.#observer.forget(worker);
  }
}

function merged(slot: number, { mask, value }: Pick<Sent, "mask" | "value">): number {
  return ((slot & ~mask) | (value & mask)) >>> 0;
}
