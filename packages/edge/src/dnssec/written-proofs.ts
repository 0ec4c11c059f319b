// SPDX-License-Identifier: Apache-2.0

// Which records of a chain a response has already: one proof may need a record that another one has brought.

/** Of more, a record may come twice; no response needs more than three a step of an alias chain. */
const PROOFS_MAX = 32;

/** The records of orders of names `Order` that a response has so far. */
export class WrittenProofs<Order> {
  readonly #positions = new Int32Array(PROOFS_MAX);
  readonly #orders: Order[] = [];
  #count = 0;

  /** For the next response. */
  clear(): void {
    this.#count = 0;
  }

  /** Whether the response has the record at `position` of `order`; from now on it does. */
  has(order: Order, position: number): boolean {
    for (let index = 0; index < this.#count; index++)
      if (this.#orders[index] === order && this.#positions[index] === position) return true;
    if (this.#count < PROOFS_MAX) {
      this.#orders[this.#count] = order;
      this.#positions[this.#count] = position;
      this.#count += 1;
    }
    return false;
  }
}
