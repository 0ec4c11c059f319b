// SPDX-License-Identifier: Apache-2.0
import type { Section } from "./section.ts";

/** Fresh memory for a smaller section takes less than half a millisecond. */
const SPARE_BYTES_MIN = 512 * 1024;
/** After a change: its next steps may be other processes', on the same machine, which are waited for in their turn. */
const SOON_MS = 130;
/**
 * How much is copied at once, and how long the rest waits then. A change that comes meanwhile is not kept waiting by six megabytes, 15 ms
 * on a busy machine, which control, its compiler and all edges begin to copy at about the same time.
 */
const [PIECE_BYTES, PIECE_PAUSE_MS] = [256 * 1024, 4];

/**
 * A copy of a large section, made while nobody waits, for the next change that takes a few words of it: memory that is touched for the first
 * time is 3 ms of page faults for six megabytes, and 8 where the machine is busy. Nobody else has it, so whoever takes it may write to it.
 */
export class SpareCopy {
  #source: Section | undefined;
  #copy: SharedArrayBuffer | undefined;
  /** How many bytes of it are copied. */
  #copied = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Makes the copy soon, unless another section is named before. */
  soon(source: Section): void {
    clearTimeout(this.#timer);
    if (this.#source === source && this.#copied === source.length) return;
    if (source.length < SPARE_BYTES_MIN) {
      // The one that it is in place of is wanted no more.
      this.close();
      return;
    }
    this.#later(source, SOON_MS);
  }

  #later(source: Section, delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#begin(source);
      this.#copyTo(source, this.#copied + PIECE_BYTES);
      if (this.#copied < source.length) this.#later(source, PIECE_PAUSE_MS);
    }, delayMs).unref();
  }

  /** Makes the copy, unless it is there; the one of another section goes. */
  prepare(source: Section): void {
    clearTimeout(this.#timer);
    this.#begin(source);
    this.#copyTo(source, source.length);
  }

  #begin(source: Section): void {
    if (this.#source === source) return;
    if (this.#copy?.byteLength !== source.length) this.#copy = new SharedArrayBuffer(source.length);
    this.#source = source;
    this.#copied = 0;
  }

  #copyTo({ bytes, start, length }: Section, end: number): void {
    if (this.#copy === undefined) return;
    const piece = bytes.subarray(start + this.#copied, start + Math.min(end, length));
    new Uint8Array(this.#copy).set(piece, this.#copied);
    this.#copied += piece.length;
  }

  /** A buffer with the bytes of the section: the copy where there is one, which is the caller's from then on. */
  take(source: Section): SharedArrayBuffer {
    if (this.#source !== source) return copyOf(source);
    this.prepare(source);
    const copy = this.#copy ?? copyOf(source);
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

function copyOf({ bytes, start, length }: Section): SharedArrayBuffer {
  const copy = new SharedArrayBuffer(length);
  new Uint8Array(copy).set(bytes.subarray(start, start + length));
  return copy;
}
