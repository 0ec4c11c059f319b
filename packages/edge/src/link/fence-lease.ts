// SPDX-License-Identifier: Apache-2.0

// Whether an edge may answer what panels with fenced hand-over govern. It may for as long as it holds a lease, and it holds one from a
// control that has looked at the store a moment ago, for the slots that say what that control saw:
//
//   ask (own clock) ─► grant (as of a state of the store, for a sequence) ─► workers answer by that sequence ─► held until asked + lease
//
// So a lease counts from when this edge asked: a grant that lay in a buffer while the process stood still is worth nothing when it is read. What
// was asked for before a start is not known any more: an edge starts without a lease. Of an edge that goes over to another control, what that
// one says counts only if it knows all that this edge has acted on; else a control that is behind could have it turn back what it has confirmed.

import { isAtLeast, type LeaseGrant, type LeaseRequest, type StoreMark } from "@meridian/snapshot";

/** What is served here, as the lease looks at it. */
export interface LeasedSlots {
  /** Of the snapshot. */
  readonly revision: number;
  /** That workers read, of the control that is followed; undefined where its first table has not come. */
  readonly sequence: number | undefined;
  /** Whether no worker answers by anything else. */
  readonly isSettled: boolean;
}

export class FenceLease {
  readonly #instance: string;
  readonly #nowMs: () => number;
  /** Of the clock; what is past is no lease. */
  #untilMs = -Infinity;
  #holds: StoreMark = { epoch: 0, revision: 0 };
  /** The newest change of fenced panels that was acted on. */
  #moved: StoreMark = { epoch: 0, revision: 0 };
  /** Control of this connection gives leases. */
  #isOffered = false;
  /** What it is known to know. */
  #asOf: StoreMark | undefined;
  #pending: LeaseGrant | undefined;

  /** `nowMs` is of a clock that never goes back and that workers have, too. */
  constructor(instance: string, nowMs: () => number) {
    this.#instance = instance;
    this.#nowMs = nowMs;
  }

  /** Of the clock; −Infinity where there is none. */
  get untilMs(): number {
    return this.#untilMs;
  }

  get isHeld(): boolean {
    return this.#nowMs() < this.#untilMs;
  }

  /** What is to be asked now; undefined where control gives none. */
  get request(): LeaseRequest | undefined {
    if (!this.#isOffered) return undefined;
    return { askedAtMs: this.#nowMs(), instance: this.#instance, holds: this.#holds };
  }

  /** Whether a grant waits for workers to answer as it says. */
  get isPending(): boolean {
    return this.#pending !== undefined;
  }

  /** Another connection: of what its control knows nothing is known yet. */
  begin(): void {
    this.#isOffered = false;
    this.#asOf = undefined;
    this.#pending = undefined;
  }

  /** Slots of the control that is followed are about to be served. Of one that may be behind they are served without a lease. */
  beforeSlots(): void {
    if (this.#asOf === undefined || !isAtLeast(this.#asOf, this.#moved)) this.#untilMs = -Infinity;
  }

  /** Control says what it knows. True where it is to be asked, as it was not on this connection. */
  offer(grant: LeaseGrant): boolean {
    const isFirst = !this.#isOffered;
    this.#isOffered = true;
    this.#asOf = grant.asOf;
    if (isAtLeast(grant.asOf, this.#moved)) this.#pending = grant;
    return isFirst;
  }

  /**
   * To be called when a grant has come and when slots have changed. True where this edge answers by a later state than it has said: control is to
   * be told. `keep` has the disk hold what is fenced, without which nothing is confirmed.
   */
  settle(slots: LeasedSlots, keep: () => boolean): boolean {
    const grant = this.#pending;
    if (grant === undefined || !slots.isSettled || slots.revision !== grant.revision) return false;
    if (slots.sequence === undefined || slots.sequence < grant.sequence) return false;
    if (!keep()) return false;
    this.#pending = undefined;
    if (grant.leaseMs > 0) this.#untilMs = Math.max(this.#untilMs, grant.askedAtMs + grant.leaseMs);
    this.#moved = { epoch: grant.asOf.epoch, revision: grant.movedRevision };
    const isNews = !isAtLeast(this.#holds, grant.asOf);
    if (isNews) this.#holds = grant.asOf;
    return isNews;
  }
}
