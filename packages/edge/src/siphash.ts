// SPDX-License-Identifier: Apache-2.0

// SipHash-2-4 (Aumasson and Bernstein, 2012) with a result of 64 bits, which RFC 9018 §4.4 prescribes for server cookies. A state
// of four 64-bit numbers is kept as eight halves: BigInt would allocate for each step. One object is made per worker and used again.

/** Bytes of a key. */
export const SIPHASH_KEY_BYTES = 16;

export class SipHash {
  /** The result: its low and its high half. The bytes of the hash are those of both, lowest first. */
  low: number = 0;
  high: number = 0;
  #v0: number = 0;
  #h0: number = 0;
  #v1: number = 0;
  #h1: number = 0;
  #v2: number = 0;
  #h2: number = 0;
  #v3: number = 0;
  #h3: number = 0;

  /** Hashes `bytes[0..length)` under a key of 16 bytes. */
  run(key: Uint8Array, bytes: Uint8Array, length: number): void {
    const k0 = word(key, 0);
    const g0 = word(key, 4);
    const k1 = word(key, 8);
    const g1 = word(key, 12);
    // "somepseudorandomlygeneratedbytes"
    this.#v0 = k0 ^ 0x70736575;
    this.#h0 = g0 ^ 0x736f6d65;
    this.#v1 = k1 ^ 0x6e646f6d;
    this.#h1 = g1 ^ 0x646f7261;
    this.#v2 = k0 ^ 0x6e657261;
    this.#h2 = g0 ^ 0x6c796765;
    this.#v3 = k1 ^ 0x79746573;
    this.#h3 = g1 ^ 0x74656462;
    const whole = length & ~7;
    for (let at = 0; at < whole; at += 8) this.#take(word(bytes, at), word(bytes, at + 4));
    let low = 0;
    let high = length << 24;
    for (let at = whole; at < length; at++) {
      const shift = (at - whole) * 8;
      if (shift < 32) low |= bytes[at]! << shift;
      else high |= bytes[at]! << (shift - 32);
    }
    this.#take(low, high);
    this.#v2 ^= 0xff;
    for (let round = 0; round < 4; round++) this.#round();
    this.low = this.#v0 ^ this.#v1 ^ this.#v2 ^ this.#v3;
    this.high = this.#h0 ^ this.#h1 ^ this.#h2 ^ this.#h3;
  }

  #take(low: number, high: number): void {
    this.#v3 ^= low;
    this.#h3 ^= high;
    this.#round();
    this.#round();
    this.#v0 ^= low;
    this.#h0 ^= high;
  }

  #round(): void {
    let low = (this.#v0 + this.#v1) | 0;
    let high = (this.#h0 + this.#h1 + carry(low, this.#v1)) | 0;
    this.#v0 = low;
    this.#h0 = high;
    low = (this.#v1 << 13) | (this.#h1 >>> 19);
    this.#h1 = ((this.#h1 << 13) | (this.#v1 >>> 19)) ^ this.#h0;
    this.#v1 = low ^ this.#v0;
    low = this.#h0;
    this.#h0 = this.#v0;
    this.#v0 = low;

    low = (this.#v2 + this.#v3) | 0;
    high = (this.#h2 + this.#h3 + carry(low, this.#v3)) | 0;
    this.#v2 = low;
    this.#h2 = high;
    low = (this.#v3 << 16) | (this.#h3 >>> 16);
    this.#h3 = ((this.#h3 << 16) | (this.#v3 >>> 16)) ^ this.#h2;
    this.#v3 = low ^ this.#v2;

    low = (this.#v0 + this.#v3) | 0;
    high = (this.#h0 + this.#h3 + carry(low, this.#v3)) | 0;
    this.#v0 = low;
    this.#h0 = high;
    low = (this.#v3 << 21) | (this.#h3 >>> 11);
    this.#h3 = ((this.#h3 << 21) | (this.#v3 >>> 11)) ^ this.#h0;
    this.#v3 = low ^ this.#v0;

    low = (this.#v2 + this.#v1) | 0;
    high = (this.#h2 + this.#h1 + carry(low, this.#v1)) | 0;
    this.#v2 = low;
    this.#h2 = high;
    low = (this.#v1 << 17) | (this.#h1 >>> 15);
    this.#h1 = ((this.#h1 << 17) | (this.#v1 >>> 15)) ^ this.#h2;
    this.#v1 = low ^ this.#v2;
    low = this.#h2;
    this.#h2 = this.#v2;
    this.#v2 = low;
  }
}

/** 1 where adding `term` wrapped and left `sum`. */
function carry(sum: number, term: number): number {
  return sum >>> 0 < term >>> 0 ? 1 : 0;
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
