// SPDX-License-Identifier: Apache-2.0

/** An IPv4 client; the address is `word0`. */
export const FAMILY_IPV4 = 4;
/** An IPv6 client; the address is `word0`..`word3`. */
export const FAMILY_IPV6 = 6;

/**
 * Whom a decision is for: a prefix in network order as four unsigned 32-bit words, bits beyond `prefixLength` zero. One is made a
 * worker and filled again for each query.
 */
export class Client {
  family: number = FAMILY_IPV4;
  /** 0..32 or 0..128: what is known of the client (an ECS source prefix, or the full resolver address). */
  prefixLength: number = 32;
  word0: number = 0;
  word1: number = 0;
  word2: number = 0;
  word3: number = 0;

  /** Fills from `bytes[start..]` in network order, zeroing what lies beyond `prefixLength`. */
  set(family: number, bytes: Uint8Array, start: number, prefixLength: number): void {
    this.family = family;
    this.prefixLength = prefixLength;
    this.word0 = masked(bytes, start, prefixLength);
    if (family === FAMILY_IPV6) {
      this.word1 = masked(bytes, start + 4, prefixLength - 32);
      this.word2 = masked(bytes, start + 8, prefixLength - 64);
      this.word3 = masked(bytes, start + 12, prefixLength - 96);
    } else {
      this.word1 = 0;
      this.word2 = 0;
      this.word3 = 0;
    }
  }
}

function masked(bytes: Uint8Array, at: number, bits: number): number {
  if (bits <= 0) return 0;
  const word =
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
  return bits >= 32 ? word : (word & (0xffff_ffff << (32 - bits))) >>> 0;
}

/** `word` with only its first `bits` bits kept (0..32, out of range clamps). */
export function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? word >>> 0 : (word & (0xffff_ffff << (32 - bits))) >>> 0;
}
