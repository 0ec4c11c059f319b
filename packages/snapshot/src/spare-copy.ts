// SPDX-License-Identifier: Apache-2.0
import type { Section } from "./section.ts";

/** Fresh memory for a smaller section takes less than half a millisecond. */
const SPARE_BYTES_MIN = 512 * 1024;
/** After a change: its next steps may be other processes', on the same machine, which are waited for in their turn. */
const SOON_MS = 130;

/**
 * A copy of a large section, made while nobody waits, for the next change that takes a few words of it: memory that is touched for the first
 * time is 3 ms of page faults for six megabytes, and 8 where the machine is busy. Nobody else has it, so whoever takes it may write to it.
 */
export class SpareCopy {
  #source: Section | undefined;
  #copy: SharedArrayBuffer | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Makes the copy soon, unless another section is named before. */
  soon(source: Section): void {
    clearTimeout(this.#timer);
    if (this.#source === source) return;
    if (source.length < SPARE_BYTES_MIN) {
      // The one that it is in place of is wanted no more.
      this.close();
      return;
    }
    this.#timer = setTimeout(() => this.prepare(source), SOON_MS).unref();
  }

  /** Makes the copy, unless it is there; the one of another section goes. */
  prepare(source: Section): void {
    if (this.#source === source) return;
    const known = this.#copy;
    const isFit = known?.byteLength === source.length;
    this.#copy = copyOf(source, isFit ? known : new SharedArrayBuffer(source.length));
    this.#source = source;
  }

  /** A buffer with the bytes of the section: the copy where there is one, which is the caller's from then on. */
  take(source: Section): SharedArrayBuffer {
    const copy = this.#source === source ? this.#copy : undefined;
    if (copy === undefined) return copyOf(source, new SharedArrayBuffer(source.length));
    this.#source = undefined;
    this.#copy = undefined;
    return copy;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source = undefined;
    this.#copy = undefined;
  }
}

function copyOf(source: Section, target: SharedArrayBuffer): SharedArrayBuffer {
  const { bytes, start, length } = source;
  new Uint8Array(target).set(bytes.subarray(start, start + length));
  return target;
}
