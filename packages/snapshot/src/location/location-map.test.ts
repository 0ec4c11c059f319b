// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Pcg32 } from "@meridian/core";
import fc from "fast-check";
import { Client, maskWord } from "../client.ts";
import { openSection, type Section } from "../section.ts";
import type { WrittenSection } from "../section-writer.ts";
import { LocationMapWriter } from "./location-map-writer.ts";
import { LocationMap } from "./location-map.ts";
import {
  type AddressPrefix,
  comparePrefixes,
  containsPrefix,
  formatPrefix,
  parsePrefix,
} from "./prefix.ts";

function open(written: WrittenSection): Section {
  const section = openSection(written.buffer);
  assert.ok(!("error" in section), "the section opens");
  return section;
}

function prefixOf(text: string): AddressPrefix {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined, text);
  return prefix;
}

function clientOf(prefix: AddressPrefix): Client {
  const client = new Client();
  client.family = prefix.family;
  client.prefixLength = prefix.length;
  [client.word0, client.word1, client.word2, client.word3] = prefix.words;
  return client;
}

function mapOf(places: Readonly<Record<string, string>>): LocationMap {
  const writer = new LocationMapWriter(7n);
  for (const [prefix, country] of Object.entries(places)) {
    writer.add(prefixOf(prefix), writer.location({ country }));
  }
  return LocationMap.open(open(writer.finish()));
}

/** The obvious implementation: the longest of all prefixes that contain the address. */
function slowLookup(entries: readonly AddressPrefix[], client: AddressPrefix): number {
  let best = -1;
  entries.forEach((entry, index) => {
    const address = { ...client, length: client.family === 4 ? 32 : 128 };
    if (!containsPrefix(entry, address)) return;
    if (best < 0 || entry.length >= (entries[best]?.length ?? 0)) best = index;
  });
  return best;
}

/** Prefixes that nest often: few distinct leading bits, any length. */
const anyPrefix: fc.Arbitrary<AddressPrefix> = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    word0: fc.constantFrom(0, 0x2001_0db8, 0x2a00_0000, 0x2a00_ffff, 0xffff_ffff, 0x4000_0000),
    word1: fc.constantFrom(0, 1, 0x8000_0000, 0xffff_ffff),
    word2: fc.constantFrom(0, 0xffff_ffff),
    word3: fc.constantFrom(0, 1, 0xffff_fffe, 0xffff_ffff),
    bits: fc.integer({ min: 0, max: 128 }),
  })
  .map(({ family, word0, word1, word2, word3, bits }) => {
    const length = family === 4 ? bits % 33 : bits;
    const words: AddressPrefix["words"] = [
      maskWord(word0, length),
      family === 4 ? 0 : maskWord(word1, length - 32),
      family === 4 ? 0 : maskWord(word2, length - 64),
      family === 4 ? 0 : maskWord(word3, length - 96),
    ];
    return { family, words, length };
  });

function uniquePrefixes(prefixes: readonly AddressPrefix[]): AddressPrefix[] {
  return [...new Map(prefixes.map((prefix) => [formatPrefix(prefix), prefix])).values()];
}

/** An address that agrees with `prefix` in its first `length` bits and is random behind them. */
function randomInside(prefix: AddressPrefix, length: number, random: Pcg32): AddressPrefix {
  const bits = prefix.family === 4 ? 32 : 128;
  const words = prefix.words.map((word, index) => {
    if (index * 32 >= bits) return 0;
    const kept = maskWord(0xffff_ffff, length - index * 32);
    return ((word & kept) | (random.next32() & ~kept)) >>> 0;
  });
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words;
  return { family: prefix.family, words: [w0, w1, w2, w3], length: bits };
}

describe("LocationMap", () => {
  it("lookup() agrees with a linear scan over nested prefixes, and its scope is truthful", () => {
    const random = new Pcg32(5);
    fc.assert(
      fc.property(fc.array(anyPrefix, { maxLength: 24 }), fc.array(anyPrefix), (raw, clients) => {
        const entries = uniquePrefixes(raw).toSorted(comparePrefixes);
        const writer = new LocationMapWriter(1n);
        const ids = entries.map((prefix, index) => {
          const id = writer.location({ asn: index + 1 });
          writer.add(prefix, id);
          return id;
        });
        const map = LocationMap.open(open(writer.finish()));
        const slow = (client: AddressPrefix): number => ids[slowLookup(entries, client)] ?? 0;
        for (const client of clients) {
          if (isEmbedded(client)) continue;
          assert.equal(map.lookup(clientOf(client)), slow(client), formatPrefix(client));
          const { scope } = map;
          for (let round = 0; round < 4; round++) {
            const inside = randomInside(client, scope, random);
            assert.equal(slow(inside), slow(client), `${formatPrefix(inside)} within /${scope}`);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("lookup() reports the widest prefix inside the range as scope", () => {
    const map = mapOf({ "192.0.2.0/24": "DE", "2001:db8::/32": "FR" });
    const cases: readonly (readonly [string, string, number])[] = [
      ["192.0.2.77/32", "DE", 24],
      ["192.0.2.0/24", "DE", 24],
      ["192.0.0.0/16", "nowhere", 23],
      ["10.0.0.0/8", "nowhere", 1],
      ["192.0.3.1/32", "nowhere", 24],
      ["2001:db8:7::/48", "FR", 32],
      ["2001:db9::/48", "nowhere", 32],
      ["a000::/16", "nowhere", 1],
    ];
    const found = cases.map(([text]) => {
      const place = map.placeText(map.lookup(clientOf(prefixOf(text))));
      return [text, place, map.scope];
    });
    assert.deepEqual(found, cases);
  });

  it("lookup() answers an empty map with the widest scope", () => {
    const map = mapOf({});
    assert.equal(map.lookup(clientOf(prefixOf("203.0.113.9"))), 0);
    assert.equal(map.scope, 0);
    assert.equal(map.lookup(clientOf(prefixOf("2a00::1"))), 0);
    assert.equal(map.scope, 5, "wider would reach into 6to4");
  });

  it("lookup() reads the IPv4 address inside mapped, NAT64, 6to4 and Teredo addresses", () => {
    const map = mapOf({ "192.0.2.0/24": "DE", "2000::/3": "US", "::/8": "FR" });
    const cases: readonly (readonly [string, string, number])[] = [
      ["::ffff:192.0.2.1/128", "DE", 96 + 24],
      ["64:ff9b::c000:201/128", "DE", 96 + 24],
      ["2002:c000:201::/48", "DE", 16 + 24],
      // Teredo: 192.0.2.1 inverted is 3fff:fdfe.
      ["2001::3fff:fdfe/128", "DE", 96 + 24],
      // Known only in part: the missing bits count as zero, the scope tells that more bits matter.
      ["2002:c000::/32", "nowhere", 16 + 23],
      ["2001::/56", "nowhere", 96 + 1],
      ["2002:c000:300::/40", "nowhere", 16 + 24],
      // Neighbours are ordinary addresses, and their scope does not reach into the special ones.
      ["2003::/48", "US", 16],
      ["2001:1::/48", "US", 32],
      ["64:ff9b:1::/48", "FR", 48],
      ["::fffe:c000:201/128", "FR", 96],
    ];
    const found = cases.map(([text]) => {
      const place = map.placeText(map.lookup(clientOf(prefixOf(text))));
      return [text, place, map.scope];
    });
    assert.deepEqual(found, cases);
  });

  it("place() gives back what was written, and equal places share an id", () => {
    const writer = new LocationMapWriter(1n);
    const city = {
      continent: "NA",
      country: "US",
      subdivision: "US-CA",
      latitude: 37.75,
      longitude: -122.4194,
    };
    const id = writer.location(city);
    assert.equal(writer.location({ ...city }), id);
    const carrier = writer.location({ asn: 4_200_000_000 });
    const map = LocationMap.open(open(writer.finish()));
    assert.deepEqual(map.place(id), city);
    assert.deepEqual(map.place(carrier), { asn: 4_200_000_000 });
    assert.deepEqual(
      [0, id, carrier].map((location) => map.placeText(location)),
      ["nowhere", "NA/US/US-CA", "AS4200000000"],
    );
  });

  it("finish() gives the same bytes for the same input in another order", () => {
    const texts = ["192.0.2.0/24", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"];
    const names = [texts, texts.toReversed()].map((order) => {
      const writer = new LocationMapWriter(1n);
      texts.forEach((_, index) => writer.location({ asn: index + 1 }));
      for (const text of order) writer.add(prefixOf(text), texts.indexOf(text) + 1);
      return writer.finish().name;
    });
    assert.equal(names[0], names[1]);
  });
});

/** Whether the property's plain twin does not apply: an address that carries an IPv4 one. */
function isEmbedded({ family, words }: AddressPrefix): boolean {
  if (family === 4) return false;
  const [w0, w1, w2] = words;
  return (
    w0 >>> 16 === 0x2002 ||
    w0 === 0x2001_0000 ||
    (w0 === 0 && w1 === 0 && w2 === 0xffff) ||
    (w0 === 0x64_ff9b && w1 === 0 && w2 === 0)
  );
}
