// SPDX-License-Identifier: Apache-2.0

import { DnssecAlgorithm } from "@meridian/dns";
import { SigningRole } from "./signing-role.ts";

/** Microseconds that a signature takes, about: 29, 41 and 265 were measured. */
const ED25519_COST = 41;
const RSA_COST = 265;
const ECDSA_COST = 29;
/** Share of a thread's time that it may spend on signatures for clients of each kind. */
const MICROSECONDS_PER_MS = 200;
/** What may be spent at once. */
const BURST_MICROSECONDS = 50_000;

/**
 * How much a thread signs for clients that wait: a fifth of its time for sources that may be made up, and as much for proven ones (TCP,
 * or a good cookie), so that a flood of names that were never asked takes no more than that, and the first kind nothing of the second.
 */
export class SigningBudget {
  #anybody: number = BURST_MICROSECONDS;
  #proven: number = BURST_MICROSECONDS;
  #atMs = 0;
  readonly #role: number;

  /** Who signs ahead may sign all, who only looks nothing (`SigningRole`). */
  constructor(role: number) {
    this.#role = role;
  }

  /** Wall time in milliseconds. */
  refill(nowMs: number): void {
    const gained = Math.max(0, nowMs - this.#atMs) * MICROSECONDS_PER_MS;
    this.#atMs = nowMs;
    this.#anybody = Math.min(BURST_MICROSECONDS, this.#anybody + gained);
    this.#proven = Math.min(BURST_MICROSECONDS, this.#proven + gained);
  }

  /** Whether one more signature may be made; it is paid for then. */
  take(algorithm: number, isProven: boolean): boolean {
    if (this.#role !== SigningRole.answerer) return this.#role === SigningRole.ahead;
    if ((isProven ? this.#proven : this.#anybody) <= 0) return false;
    const cost = costOf(algorithm);
    if (isProven) this.#proven -= cost;
    else this.#anybody -= cost;
    return true;
  }
}

function costOf(algorithm: number): number {
  if (algorithm === DnssecAlgorithm.RSASHA256) return RSA_COST;
  return algorithm === DnssecAlgorithm.ED25519 ? ED25519_COST : ECDSA_COST;
}
