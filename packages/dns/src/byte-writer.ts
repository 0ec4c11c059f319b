// SPDX-License-Identifier: Apache-2.0

/**
 * Big-endian bytes appended to a buffer that grows up to `limit`. Past the limit nothing more is
 * kept and `overflowed` is true: callers look once, at the end.
 */
export class ByteWriter {
  #bytes: Uint8Array;
  #length: number;
  readonly #limit: number;
  overflowed: boolean;

  constructor(limit: number, initialBytes: number = 64) {
    this.#bytes = new Uint8Array(Math.min(limit, initialBytes));
    this.#length = 0;
    this.#limit = limit;
    this.overflowed = false;
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    if (this.#reserve(1)) {
      this.#bytes[this.#length++] = value;
    }
  }

  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value & 0xff);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  bytes(source: Uint8Array): void {
    if (this.#reserve(source.length)) {
      this.#bytes.set(source, this.#length);
      this.#length += source.length;
    }
  }

  /** Overwrites two bytes written before. */
  patchU16(at: number, value: number): void {
    if (at + 2 <= this.#length) {
      this.#bytes[at] = value >>> 8;
      this.#bytes[at + 1] = value & 0xff;
    }
  }

  /** Forgets what was written from `length` on, and any overflow. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
    this.overflowed = false;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(count: number): boolean {
    const needed = this.#length + count;
    if (needed > this.#limit) {
      this.overflowed = true;
      return false;
    }
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(this.#limit, Math.max(needed, this.#bytes.length * 2)));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    return true;
  }
}
