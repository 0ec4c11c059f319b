// SPDX-License-Identifier: Apache-2.0

// A range table says which value belongs to an address. It cuts each family's whole address space into consecutive
// ranges and stores only where each begins; a range ends where the next one begins, and neighbours differ in value.
//
//   starts   0 ─────── a ──── b ─────────── c ───────► end of the space      sorted, starts[0] = 0
//   values     v0         v1        v2          v3
//   index    for each bucket of the leading bits: the last range that begins at or before the bucket's first address
//
// A look-up reads two neighbours of the index and searches between them by halving. The index has about as many buckets
// as there are ranges (at most 2¹⁶), so a small table stays small and a large one needs few steps.
//
// IPv6 needs two levels, because its ranges crowd into a few /16: the first has at most 2¹³ buckets in 2000::/3, where all
// global unicast is, and one each below and above; each says where its own buckets begin in the second and how many more bits
// of word 0 choose among them, about as many buckets as it has ranges. A start's high 64 bits, which decide nearly every
// comparison, lie beside its value, as a look-up's time goes into memory it has not seen; the low 64 bits are a table of their
// own that ends with the last start that has any. (Both together halved it at 350,000 ranges.)
//
// Beside the value a look-up yields the scope: the length of the widest prefix that contains the address and lies wholly
// inside its range. An address and a range [first, last] need no search for that: a prefix leaves out `first - 1` as soon
// as it is one bit longer than what the address and `first - 1` have in common, and likewise `last + 1`.

import { type Client, FAMILY_IPV4, maskWord } from "../client.ts";
import type { Section } from "../section.ts";

/** Table ids that location maps and classifiers share. */
export const RangeTableId = {
  /** Start, value. */
  ipv4Ranges: 16,
  ipv4Index: 17,
  /** Words 0 and 1 of the start, value. */
  ipv6Ranges: 18,
  /** Words 2 and 3 of the first ranges' starts; those behind the table are zero. */
  ipv6Low: 19,
  /** First level: place in `ipv6Fine` × 32 + bits that choose there. */
  ipv6Index: 20,
  ipv6Fine: 21,
} as const;

/** Header bounds that a range table uses. */
export const RangeTableBound = { ipv4IndexBits: 0, ipv6IndexBits: 1 } as const;

/** Most bits of the IPv4 index, and of one IPv6 bucket's own. */
export const INDEX_BITS_MAX = 16;
/** Most bits of the first IPv6 level: with the three of 2000::/3 they make a /16. */
export const COARSE_BITS_MAX = 13;
/** First word of 2000::/3, and of the space above it. */
export const GLOBAL_FIRST = 0x2000_0000;
export const GLOBAL_END = 0x4000_0000;
/** Bits of word 0 that vary inside 2000::/3. */
export const GLOBAL_BITS = 29;

/** Value of IPv6 ranges that carry an IPv4 address (RFC 4291 §2.5.5.2, 3056, 4380, 6052): look that one up instead. */
export const EMBEDDED_IPV4 = 0xffff_ffff;

/** Reads a range table where it lies in its section. `scope` belongs to the newest look-up. */
export class RangeTable {
  /** Prefix length (0..32 or 0..128) within which the newest look-up's value holds. */
  scope: number;
  readonly ipv4Count: number;
  readonly ipv6Count: number;
  readonly #words: Uint32Array;
  readonly #ranges4: number;
  readonly #index4: number;
  readonly #shift4: number;
  readonly #ranges6: number;
  readonly #low6: number;
  /** Ranges from this one on begin at a multiple of a /64. */
  readonly #lowCount: number;
  readonly #index6: number;
  readonly #fine6: number;
  readonly #shift6: number;
  readonly #last6: number;

  constructor(section: Section) {
    this.scope = 0;
    this.ipv4Count = section.count(RangeTableId.ipv4Ranges);
    this.ipv6Count = section.count(RangeTableId.ipv6Ranges);
    this.#words = section.words;
    this.#ranges4 = section.wordBase(RangeTableId.ipv4Ranges);
    this.#index4 = section.wordBase(RangeTableId.ipv4Index);
    this.#shift4 = 32 - section.bound(RangeTableBound.ipv4IndexBits);
    this.#ranges6 = section.wordBase(RangeTableId.ipv6Ranges);
    this.#low6 = section.wordBase(RangeTableId.ipv6Low);
    this.#lowCount = section.count(RangeTableId.ipv6Low);
    this.#index6 = section.wordBase(RangeTableId.ipv6Index);
    this.#fine6 = section.wordBase(RangeTableId.ipv6Fine);
    this.#shift6 = GLOBAL_BITS - section.bound(RangeTableBound.ipv6IndexBits);
    this.#last6 = (1 << section.bound(RangeTableBound.ipv6IndexBits)) + 1;
  }

  /** The value of a client's network address; an IPv4 address inside an IPv6 one counts where the table says so. */
  lookup(client: Client): number {
    if (client.family === FAMILY_IPV4) return this.lookupIpv4(client.word0);
    const { word0, word1, word2, word3 } = client;
    const value = this.lookupIpv6(word0, word1, word2, word3);
    return value === EMBEDDED_IPV4 ? this.#lookupEmbedded(client) : value;
  }

  /** The value of an IPv4 address, as an unsigned word. */
  lookupIpv4(address: number): number {
    const words = this.#words;
    const ranges = this.#ranges4;
    const wanted = address >>> 0;
    const bucket = this.#index4 + (wanted >>> this.#shift4);
    let low = words[bucket]!;
    let high = words[bucket + 1]!;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (words[ranges + middle * 2]! <= wanted) low = middle;
      else high = middle - 1;
    }
    let scope = 0;
    const at = ranges + low * 2;
    if (low > 0) scope = Math.clz32(wanted ^ (words[at]! - 1)) + 1;
    if (low + 1 < this.ipv4Count) {
      const after = Math.clz32(wanted ^ words[at + 2]!) + 1;
      if (after > scope) scope = after;
    }
    this.scope = scope;
    return words[at + 1]!;
  }

  /** The value of an IPv6 address in four unsigned words, as stored (no embedded IPv4 address is looked up). */
  lookupIpv6(word0: number, word1: number, word2: number, word3: number): number {
    const words = this.#words;
    const a0 = word0 >>> 0;
    const a1 = word1 >>> 0;
    const coarse = words[this.#index6 + this.#bucketOf(a0)]!;
    // Shifted in two steps, as a shift by 32 is one by 0.
    const fineBucket = ((a0 << (32 - this.#shift6)) >>> 1) >>> (31 - (coarse & 31));
    const fine = this.#fine6 + (coarse >>> 5) + fineBucket;
    let low = words[fine]!;
    let high = words[fine + 1]!;
    const ranges = this.#ranges6;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      const at = ranges + middle * 3;
      const start0 = words[at]!;
      let begins = start0 < a0;
      if (start0 === a0) {
        const start1 = words[at + 1]!;
        begins = start1 < a1 || (start1 === a1 && this.#lowBegins(middle, word2, word3));
      }
      if (begins) low = middle;
      else high = middle - 1;
    }
    this.scope =
      low >= this.#lowCount
        ? this.#scopeOfHigh(low, a0, a1)
        : this.#scopeOfWhole(low, a0, a1, word2 >>> 0, word3 >>> 0);
    return words[ranges + low * 3 + 2]!;
  }

  /** First address of IPv4 range `index`. */
  ipv4Start(index: number): number {
    return this.#words[this.#ranges4 + index * 2]!;
  }

  ipv4Value(index: number): number {
    return this.#words[this.#ranges4 + index * 2 + 1]!;
  }

  /** Word `word` (0..3) of the first address of IPv6 range `index`. */
  ipv6Start(index: number, word: number): number {
    if (word < 2) return this.#words[this.#ranges6 + index * 3 + word]!;
    return index >= this.#lowCount ? 0 : this.#words[this.#low6 + index * 2 + word - 2]!;
  }

  ipv6Value(index: number): number {
    return this.#words[this.#ranges6 + index * 3 + 2]!;
  }

  #bucketOf(word0: number): number {
    if (word0 < GLOBAL_FIRST) return 0;
    if (word0 >= GLOBAL_END) return this.#last6;
    return 1 + ((word0 - GLOBAL_FIRST) >>> this.#shift6);
  }

  /** Whether range `index`, whose high half equals the address's, begins at or before its low half. */
  #lowBegins(index: number, word2: number, word3: number): boolean {
    if (index >= this.#lowCount) return true;
    const at = this.#low6 + index * 2;
    const start2 = this.#words[at]!;
    const a2 = word2 >>> 0;
    return start2 < a2 || (start2 === a2 && this.#words[at + 1]! <= word3 >>> 0);
  }

  /** The scope of a range whose start and end are multiples of a /64: the neighbours then differ from the address in the high half. */
  #scopeOfHigh(index: number, a0: number, a1: number): number {
    const words = this.#words;
    const at = this.#ranges6 + index * 3;
    let scope = 0;
    if (index > 0) {
      const start1 = words[at + 1]!;
      const x0 = a0 ^ (start1 === 0 ? words[at]! - 1 : words[at]!);
      scope = x0 === 0 ? 33 + Math.clz32(a1 ^ (start1 - 1)) : 1 + Math.clz32(x0);
    }
    if (index + 1 < this.ipv6Count) {
      const x0 = a0 ^ words[at + 3]!;
      const after = x0 === 0 ? 33 + Math.clz32(a1 ^ words[at + 4]!) : 1 + Math.clz32(x0);
      if (after > scope) scope = after;
    }
    return scope;
  }

  #scopeOfWhole(index: number, a0: number, a1: number, a2: number, a3: number): number {
    let scope = 0;
    if (index > 0) {
      // The last address of the range before: the start less one, borrowing from word to word.
      let s0 = this.ipv6Start(index, 0);
      let s1 = this.ipv6Start(index, 1);
      let s2 = this.ipv6Start(index, 2);
      const s3 = this.ipv6Start(index, 3);
      if (s3 === 0) {
        if (s2 === 0) {
          if (s1 === 0) s0 -= 1;
          s1 -= 1;
        }
        s2 -= 1;
      }
      scope = commonBits(a0 ^ s0, a1 ^ s1, a2 ^ s2, a3 ^ (s3 - 1)) + 1;
    }
    if (index + 1 < this.ipv6Count) {
      const after =
        commonBits(
          a0 ^ this.ipv6Start(index + 1, 0),
          a1 ^ this.ipv6Start(index + 1, 1),
          a2 ^ this.ipv6Start(index + 1, 2),
          a3 ^ this.ipv6Start(index + 1, 3),
        ) + 1;
      if (after > scope) scope = after;
    }
    return scope;
  }

  /**
   * Looks up the IPv4 address inside 2002::/16 (6to4), 2001::/32 (Teredo: the client's, inverted), ::ffff:0:0/96 (mapped)
   * or 64:ff9b::/96 (NAT64). Of an address known only in part the missing bits count as zero, as everywhere.
   */
  #lookupEmbedded(client: Client): number {
    const { word0, word1, word3 } = client;
    let offset = 96;
    let address = word3;
    if (word0 >>> 16 === 0x2002) {
      offset = 16;
      address = (word0 << 16) | (word1 >>> 16);
    } else if (word0 === 0x2001_0000) {
      address = ~word3;
    }
    const value = this.lookupIpv4(maskWord(address, client.prefixLength - offset));
    this.scope += offset;
    return value;
  }
}

/** Leading bits that two addresses share, given the exclusive or of their words (not all zero). */
function commonBits(x0: number, x1: number, x2: number, x3: number): number {
  if (x0 !== 0) return Math.clz32(x0);
  if (x1 !== 0) return 32 + Math.clz32(x1);
  if (x2 !== 0) return 64 + Math.clz32(x2);
  return 96 + Math.clz32(x3);
}
