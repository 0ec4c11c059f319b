// SPDX-License-Identifier: Apache-2.0

// Clients that stand for an audience: addresses spread evenly over those that the snapshot's own maps put there, so that the same snapshot
// and audience are always asked about with the same clients.

import { assert, Pcg32 } from "@meridian/core";
import type { DemandSource } from "@meridian/model";
import {
  type Client,
  FAMILY_IPV4,
  FAMILY_IPV6,
  type LocationMap,
  type Place,
  type World,
} from "@meridian/snapshot";
import { parsePrefix, type AddressPrefix } from "@meridian/snapshot/writer";

/** Global unicast: from 1.0.0.0 up to multicast. */
const UNICAST_START = 0x0100_0000;
const UNICAST_END = 0xe000_0000;
/** What resolvers send of a client (RFC 7871 §11.1), and what draws are equal within. */
const IPV4_BITS = 24;
const IPV6_BITS = 56;

/** Addresses of clients, by number. */
export interface Audience {
  readonly family: 4 | 6;
  /** False where no map of the snapshot knows the place: then these clients are anywhere. */
  readonly isPlaced: boolean;
  /** Makes `client` the one of number `index`, 0 to below `count`, of so many who stand for it. */
  place(client: Client, index: number, count: number): void;
}

/** Spans of IPv4 addresses, with the sum of their lengths up to each. */
interface Spans {
  readonly starts: readonly number[];
  readonly sums: readonly number[];
  readonly total: number;
}

/** The audiences that snapshots know. Looking for the addresses of a place is slow, so each is kept. */
export class Audiences {
  readonly #maps: readonly LocationMap[];
  readonly #known = new Map<string, Audience>();

  /** Of several snapshots, the first that knows a place says what is there. */
  constructor(worlds: readonly World[]) {
    const maps = worlds.flatMap(({ classifiers }) => classifiers.flatMap(({ map }) => map ?? []));
    this.#maps = [...new Set(maps)];
  }

  of(from: DemandSource): Audience {
    const key = JSON.stringify(from);
    let known = this.#known.get(key);
    if (known === undefined) {
      known = this.#find(from);
      this.#known.set(key, known);
    }
    return known;
  }

  #find(from: DemandSource): Audience {
    if (from.prefix !== undefined) {
      const prefix = parsePrefix(from.prefix);
      assert(prefix !== undefined, "the schema has looked at the prefix");
      return withinPrefix(prefix);
    }
    const isThere = placeTest(from);
    for (const map of this.#maps) {
      const spans = spansOf(map, isThere);
      if (spans.total > 0) return withinSpans(spans, true);
    }
    const anywhere = spansFrom([[UNICAST_START, UNICAST_END - UNICAST_START]]);
    return withinSpans(anywhere, from.everywhere !== undefined);
  }
}

function placeTest({ continent, country, asn }: DemandSource): (place: Place) => boolean {
  if (continent !== undefined) return (place) => place.continent === continent;
  if (country !== undefined) return (place) => place.country === country;
  if (asn !== undefined) return (place) => place.asn === asn;
  // Whatever is known to be somewhere: addresses that nobody has ask for nothing.
  return (place) => Object.keys(place).length > 0;
}

function spansOf(map: LocationMap, isThere: (place: Place) => boolean): Spans {
  const { ranges } = map;
  const found: [number, number][] = [];
  const wanted = map.places().map(isThere);
  for (let index = 0; index < ranges.ipv4Count; index++) {
    if (wanted[ranges.ipv4Value(index)] !== true) continue;
    const start = Math.max(UNICAST_START, ranges.ipv4Start(index));
    const next = index + 1 < ranges.ipv4Count ? ranges.ipv4Start(index + 1) : 2 ** 32;
    const length = Math.min(UNICAST_END, next) - start;
    if (length > 0) found.push([start, length]);
  }
  return spansFrom(found);
}

function spansFrom(spans: readonly (readonly [number, number])[]): Spans {
  const sums: number[] = [];
  let total = 0;
  for (const [, length] of spans) {
    total += length;
    sums.push(total);
  }
  return { starts: spans.map(([start]) => start), sums, total };
}

/** Evenly spaced addresses over all spans taken together. */
function withinSpans({ starts, sums, total }: Spans, isPlaced: boolean): Audience {
  return {
    family: FAMILY_IPV4,
    isPlaced,
    place: (client, index, count) => {
      const at = Math.floor(((index + 0.5) * total) / count) % total;
      let low = 0;
      let high = sums.length - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((sums[middle] ?? 0) <= at) low = middle + 1;
        else high = middle;
      }
      const before = low === 0 ? 0 : (sums[low - 1] ?? 0);
      fillIpv4(client, (starts[low] ?? 0) + at - before, IPV4_BITS);
    },
  };
}

function withinPrefix({ family, length, words }: AddressPrefix): Audience {
  const [word0, word1] = words;
  if (family === FAMILY_IPV4) {
    const bits = Math.max(length, IPV4_BITS);
    const prefixes = 2 ** (bits - length);
    const step = 2 ** (32 - bits);
    return {
      family,
      isPlaced: true,
      place: (client, index, count) =>
        fillIpv4(client, word0 + (Math.floor((index * prefixes) / count) % prefixes) * step, bits),
    };
  }
  const bits = Math.max(length, IPV6_BITS);
  return {
    family: FAMILY_IPV6,
    isPlaced: true,
    place: (client, index) => {
      const random = new Pcg32(index);
      client.family = FAMILY_IPV6;
      client.prefixLength = bits;
      client.word0 = (word0 | (random.next32() & within(length, IPV6_BITS, 0))) >>> 0;
      client.word1 = (word1 | (random.next32() & within(length, IPV6_BITS, 1))) >>> 0;
      client.word2 = words[2];
      client.word3 = words[3];
    },
  };
}

/** Bits of a word of an address that lie beyond the first `from` and within the first `to` of the address. */
function within(from: number, to: number, word: number): number {
  let mask = 0;
  for (let bit = Math.max(from, word * 32); bit < Math.min(to, word * 32 + 32); bit++)
    mask |= 0x8000_0000 >>> (bit - word * 32);
  return mask;
}

function fillIpv4(client: Client, address: number, bits: number): void {
  client.family = FAMILY_IPV4;
  client.prefixLength = bits;
  client.word0 = bits >= 32 ? address >>> 0 : (address & (0xffff_ffff << (32 - bits))) >>> 0;
  client.word1 = 0;
  client.word2 = 0;
  client.word3 = 0;
}
