// SPDX-License-Identifier: Apache-2.0

// An input read as a list of choices, by which something with a structure is made: what a fuzzer changes in the input changes one choice, so that
// what it makes stays nearly right. Past the end of the input every choice is the first one.

/** Choices from bytes, each read once. */
export class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.#at] ?? 0;
    this.#at += 1;
    return byte;
  }

  u16(): number {
    return this.byte() * 256 + this.byte();
  }

  u32(): number {
    return this.u16() * 65_536 + this.u16();
  }

  /** A number from 0 to `limit` − 1; `limit` is at most 256. */
  below(limit: number): number {
    return this.byte() % limit;
  }

  /** True for one in so many inputs. */
  isOneIn(count: number): boolean {
    return this.below(count) === count - 1;
  }

  of<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.below(values.length)] ?? values[0];
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.byte());
  }
}
