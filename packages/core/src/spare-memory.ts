// SPDX-License-Identifier: Apache-2.0

/** Room beyond what is asked for: the next one to ask may have a few entries more. */
const MORE_BYTES = 16 * 1024;

/**
 * Memory that nobody reads any more, for the next array of about that size. What is dropped instead outlives two collections of young garbage
 * where it was in use for a while, and then lies there until V8 looks through the whole heap, the sooner the more there is of it.
 */
export class SpareMemory {
  #spare: ArrayBuffer | undefined;

  /** At least so many bytes, whatever is in them. They are the caller's. */
  take(bytes: number): ArrayBuffer {
    const spare = this.#spare;
    this.#spare = undefined;
    const isFit =
      spare !== undefined &&
      spare.byteLength >= bytes &&
      spare.byteLength <= bytes * 2 + MORE_BYTES;
    return isFit ? spare : new ArrayBuffer(bytes + MORE_BYTES);
  }

  /** Nobody else reads or writes this from now on. */
  give(memory: ArrayBuffer): void {
    this.#spare = memory;
  }
}
