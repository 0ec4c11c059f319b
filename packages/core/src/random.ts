// SPDX-License-Identifier: Apache-2.0

/** Randomness as an input. */
export interface Random {
  /** Next uniform unsigned 32-bit integer. */
  next32(): number;
}

/**
 * PCG-XSH-RR 64/32 (O'Neill 2014), with the 64-bit state held in two 32-bit words so that a draw allocates nothing.
 * Seeded: the same seed gives the same draws everywhere.
 */
export class Pcg32 implements Random {
  #high: number;
  #low: number;

  constructor(seed: number) {
    this.#high = 0;
    this.#low = seed >>> 0;
    this.next32();
    this.#low = (this.#low ^ Math.imul(seed, 0x9e3779b1)) >>> 0;
    this.next32();
  }

  next32(): number {
    const high = this.#high;
    const low = this.#low;
    this.#step(high, low);
    // xorshifted = ((state >> 18) ^ state) >> 27, of which the low 32 bits count.
    const shiftedLow = ((low >>> 18) | (high << 14)) ^ low;
    const shiftedHigh = (high >>> 18) ^ high;
    const word = ((shiftedLow >>> 27) | (shiftedHigh << 5)) >>> 0;
    const rotation = high >>> 27;
    return ((word >>> rotation) | (word << (-rotation & 31))) >>> 0;
  }

  /** state = state × 6364136223846793005 + 1442695040888963407, modulo 2⁶⁴. */
  #step(high: number, low: number): void {
    const multiplierHigh = 0x5851f42d;
    const multiplierLow = 0x4c957f2d;
    const productLow = multiply32(low, multiplierLow);
    const carryHigh = multiplyHigh32(low, multiplierLow);
    const nextLow = productLow + 0xf767814f;
    const carry = nextLow > 0xffff_ffff ? 1 : 0;
    this.#low = nextLow >>> 0;
    this.#high =
      (carryHigh +
        Math.imul(high, multiplierLow) +
        Math.imul(low, multiplierHigh) +
        0x14057b7e +
        carry) >>>
      0;
  }
}

function multiply32(a: number, b: number): number {
  return Math.imul(a, b) >>> 0;
}

function multiplyHigh32(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = Math.imul(aHigh, bLow) >>> 0;
  const cross = (Math.imul(aLow, bHigh) >>> 0) + ((Math.imul(aLow, bLow) >>> 0) >>> 16);
  const sum = (middle & 0xffff) + (cross % 0x1_0000);
  return (
    ((Math.imul(aHigh, bHigh) >>> 0) +
      (middle >>> 16) +
      Math.floor(cross / 0x1_0000) +
      (sum >>> 16)) >>>
    0
  );
}
