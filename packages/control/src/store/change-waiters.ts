// SPDX-License-Identifier: Apache-2.0

/** Those who wait until head moves. */
export class ChangeWaiters {
  readonly #waiting = new Map<number, () => void>();
  #isClosed = false;

  /** Ends with the next `wake`, `cancel` of this id, or `close`. */
  wait(id: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(id, resolve);
    return promise;
  }

  wake(): void {
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
  }

  cancel(id: number): void {
    this.#waiting.get(id)?.();
    this.#waiting.delete(id);
  }

  close(): void {
    this.#isClosed = true;
    this.wake();
  }
}
