// SPDX-License-Identifier: Apache-2.0

// The CRC-32 of bytes of which few are other ones: of six megabytes it takes a millisecond to go through all. CRC-32 is linear, so that what a
// changed range adds (exclusive or) is the difference of its own two CRCs, moved on by as many zero bytes as follow it, which is a product of
// polynomials modulo that of the CRC (as in zlib's `crc32_combine`).

import { crc32 } from "node:zlib";

const POLYNOMIAL = 0xedb8_8320;
/** x⁰ and x¹: the highest power is the lowest bit. */
const ONE = 0x8000_0000;
const X = 0x4000_0000;
/** Bytes that follow are counted in 32 bits, as eight bits each. */
const POWERS = 35;

/** The CRC-32 of `length` bytes that had `crc` and are other ones from byte `at` on: what was there, and what is. */
export function patchedCrc(
  crc: number,
  length: number,
  at: number,
  was: Uint8Array,
  is: Uint8Array,
): number {
  const difference = (crc32(was) ^ crc32(is)) >>> 0;
  if (difference === 0) return crc;
  return (crc ^ product(powerOf(length - at - is.length), difference)) >>> 0;
}

/** x to the power of eight times so many. */
function powerOf(bytes: number): number {
  let power = ONE;
  let square = X;
  // Eight bits a byte: the first three squares are those of x², x⁴ and x⁸.
  for (let bit = 0, left = bytes; bit < POWERS && (bit < 3 || left > 0); bit++) {
    if (bit >= 3) {
      if (left % 2 === 1) power = product(square, power);
      left = Math.floor(left / 2);
    }
    square = product(square, square);
  }
  return power;
}

/** Of two polynomials, modulo that of the CRC. */
function product(a: number, b: number): number {
  let sum = 0;
  let factor = b;
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) % 2 === 1) sum ^= factor;
    factor = (factor & 1) === 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return sum >>> 0;
}
