// SPDX-License-Identifier: Apache-2.0

// Integer hashes used by sections, keys and draws. All are 32-bit arithmetic (Math.imul), so that a reader in
// another language gets the same values. Not for secrets: an attacker who knows the seed can build collisions,
// which is why every section carries its own seed and bounds its probe length.

/** Finaliser of MurmurHash3 (32 bits): a bijection that spreads every input bit over the whole word. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 32-bit hash of `bytes[start..end)`: FNV-1a steps, each folded by a shift, then `mix32`. */
export function hash32(bytes: Uint8Array, start: number, end: number, seed: number): number {
  return multiplicativeHash(bytes, start, end, seed, 0x01000193);
}

function multiplicativeHash(
  bytes: Uint8Array,
  start: number,
  end: number,
  seed: number,
  multiplier: number,
): number {
  let h = (seed ^ 0x811c9dc5) | 0;
  for (let index = start; index < end; index++) {
    h = Math.imul(h ^ (bytes[index] ?? 0), multiplier);
    h ^= h >>> 15;
  }
  return mix32(h ^ (end - start));
}

const encoder = new TextEncoder();

/**
 * Stable 64-bit key of a text such as `endpoint/default/web/eu-1`: two seeded 32-bit hashes. Overlay slots, links between
 * sections and history name things by it. The compiler refuses a revision in which two texts collide.
 */
export function key64(text: string): bigint {
  const bytes = encoder.encode(text);
  const low = multiplicativeHash(bytes, 0, bytes.length, 0x4d65_7269, 0x01000193);
  // Another multiplier, so that a collision of one half says nothing about the other.
  const high = multiplicativeHash(bytes, 0, bytes.length, 0x6469_616e, 0x2c1b3c6d);
  return (BigInt(high) << 32n) | BigInt(low);
}

/** Upper 32 bits of a key. */
export function keyHigh(key: bigint): number {
  return Number(key >> 32n);
}

/** Lower 32 bits of a key. */
export function keyLow(key: bigint): number {
  return Number(key & 0xffff_ffffn);
}
