// SPDX-License-Identifier: Apache-2.0

import { nameLength } from "./name.ts";

/**
 * Big-endian reads over one byte range. A read past the end gives zeros and sets `failed` for
 * good, so that a parser may read a whole structure and look once.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;
  failed: boolean;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = 0;
    this.failed = false;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#uint(1);
  }

  u16(): number {
    return this.#uint(2);
  }

  u32(): number {
    return this.#uint(4);
  }

  /** A view of the next `count` bytes. */
  bytes(count: number): Uint8Array {
    if (count > this.remaining) {
      this.failed = true;
      this.#at = this.#bytes.length;
      return new Uint8Array(0);
    }
    const view = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return view;
  }

  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** A view of the uncompressed name that comes next. */
  name(): Uint8Array {
    const length = nameLength(this.#bytes, this.#at);
    if (length < 0) {
      this.failed = true;
      this.#at = this.#bytes.length;
      return new Uint8Array(1);
    }
    return this.bytes(length);
  }

  /** A view of the contents of a character-string (RFC 1035 §3.3). */
  characterString(): Uint8Array {
    return this.bytes(this.u8());
  }

  #uint(count: number): number {
    const view = this.bytes(count);
    let value = 0;
    for (const byte of view) {
      value = value * 256 + byte;
    }
    return value;
  }
}
