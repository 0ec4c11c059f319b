// SPDX-License-Identifier: Apache-2.0

import { parsePrefix } from "./prefix.ts";

/** One prefix as bytes: `whole` of them are equal, and of the next one the bits in `mask`. */
interface PrefixBytes {
  readonly family: number;
  readonly bytes: Uint8Array;
  readonly whole: number;
  readonly mask: number;
}

/** A few address prefixes, looked through one after the other; asking allocates nothing. */
export class PrefixList {
  readonly #prefixes: readonly PrefixBytes[];

  /** Throws a TypeError where a text is no prefix. */
  constructor(texts: readonly string[]) {
    this.#prefixes = texts.map((text) => {
      const prefix = parsePrefix(text);
      if (prefix === undefined)
        throw new TypeError(`Cannot list "${text}", expected a prefix such as 192.0.2.0/24`);
      const { family, words, length } = prefix;
      const bytes = new Uint8Array(
        words.flatMap((word) => [word >>> 24, word >>> 16, word >>> 8, word]),
      );
      return { family, bytes, whole: length >>> 3, mask: (0xff00 >>> (length & 7)) & 0xff };
    });
  }

  /** True where the address at `source[start]`, 4 or 16 bytes by its family, lies in one of them. */
  contains(source: Uint8Array, start: number, family: number): boolean {
    for (const prefix of this.#prefixes)
      if (prefix.family === family && lies(prefix, source, start)) return true;
    return false;
  }
}

function lies({ bytes, whole, mask }: PrefixBytes, source: Uint8Array, start: number): boolean {
  for (let index = 0; index < whole; index++)
    if (bytes[index] !== source[start + index]) return false;
  return mask === 0 || (((bytes[whole] ?? 0) ^ (source[start + whole] ?? 0)) & mask) === 0;
}
