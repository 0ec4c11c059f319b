// SPDX-License-Identifier: Apache-2.0

/** Clocks run apart by at most this share of the time. */
const DRIFT_MAX = 0.0005;

/**
 * When something was said, on the hearer's clock, where the clocks of the two have nothing to do with one another: the report that took
 * the least time says how far they are apart, and one that took longer is older than it looks.
 */
export class HeardClock {
  #offsetMs = Number.POSITIVE_INFINITY;
  #lastMs = 0;

  /** Time on the hearer's clock at which a report was sent, at most `receivedMs`. */
  sentAt(sentMs: number, receivedMs: number): number {
    const drifted = this.#offsetMs + Math.max(0, receivedMs - this.#lastMs) * DRIFT_MAX;
    this.#offsetMs = Math.min(drifted, receivedMs - sentMs);
    this.#lastMs = receivedMs;
    return sentMs + this.#offsetMs;
  }
}
