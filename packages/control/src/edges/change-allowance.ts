// SPDX-License-Identifier: Apache-2.0

// How much of what changes may be sent to edges besides the table of each second, so that a link costs the same on the day on which everything
// flips: three hundredths of a table a second, and as much as some tables at once where little was sent before. What is more waits for the next
// table. Of a service, a region, or all endpoints that fail after calm minutes edges hear at once, if in sets of some tens; of those that
// fail one by one, of the first 3,400.
//
// What people move (shifts, routing controls, weights) is always sent at once. An edge takes no change set but the next one, so where
// one was held back it is the whole table that says it.

import { comesByItself, type Cause } from "@meridian/health";

/** What is added each second: of a table's bytes, in percent, and at least. */
const REFILL_PERCENT = 3;
const REFILL_BYTES_MIN = 1024;
/** What may have gathered, at least, and in tables: a change is as long as three slots, so that all endpoints may change in sets of some tens. */
const GATHERED_BYTES_MIN = 256 * 1024;
const GATHERED_TABLES = 4;
/** Of each message, besides its changes: frames and records around it. */
const MESSAGE_BYTES = 64;
const CHANGE_BYTES = 12;

/** How a change set is to be sent. */
export type ChangeWay = "changes" | "table" | "later";

export class ChangeAllowance {
  #left = GATHERED_BYTES_MIN;
  #isHolding = false;

  /** Whether edges lack a change set that is older than the newest table. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** A second has passed. */
  refill(tableBytes: number): void {
    const added = Math.max(REFILL_BYTES_MIN, (tableBytes * REFILL_PERCENT) / 100);
    this.#left = Math.min(
      this.#left + added,
      Math.max(GATHERED_BYTES_MIN, tableBytes * GATHERED_TABLES),
    );
  }

  /** Edges are sent the whole table. */
  caughtUp(): void {
    this.#isHolding = false;
  }

  /** How this many changes with this cause are sent. */
  wayOf(count: number, cause: Cause): ChangeWay {
    if (!comesByItself(cause)) return this.#isHolding ? "table" : "changes";
    const bytes = MESSAGE_BYTES + count * CHANGE_BYTES;
    if (this.#isHolding || bytes > this.#left) {
      this.#isHolding = true;
      return "later";
    }
    this.#left -= bytes;
    return "changes";
  }
}
