// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIpv4, parseIpv6 } from "@meridian/dns";
import fc from "fast-check";
import { Client } from "../client.ts";
import { loadWorld } from "../testing/world-fixture.ts";
import { containsPrefix, formatPrefix, parsePrefix, type AddressPrefix } from "./prefix.ts";
import { writeResolvers, type ResolverClients } from "./resolver-table-writer.ts";

function prefix(text: string): AddressPrefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function entry(resolver: string, client: string): ResolverClients {
  return { resolver: prefix(resolver), client: prefix(client) };
}

/** Where a resolver's clients are, as a prefix; undefined where it is not known. */
function relocated(entries: readonly ResolverClients[], resolver: string): string | undefined {
  const world = loadWorld([], [], [writeResolvers(entries)]);
  const client = new Client();
  const bytes = resolver.includes(":") ? parseIpv6(resolver) : parseIpv4(resolver);
  assert.ok(bytes !== undefined);
  client.set(bytes.length === 4 ? 4 : 6, bytes, 0, bytes.length * 8);
  assert.ok(world.resolvers !== undefined);
  if (!world.resolvers.relocate(client)) return undefined;
  const { word0, word1, word2, word3, family, prefixLength } = client;
  return formatPrefix({
    family: family === 4 ? 4 : 6,
    words: [word0, word1, word2, word3],
    length: prefixLength,
  });
}

const entries = [
  entry("192.0.2.0/24", "198.51.100.0/24"),
  entry("192.0.2.53/32", "2001:db8:1::/48"),
  entry("2001:db8:f::/48", "203.0.113.0/25"),
];

test("relocate() gives the clients of the longest resolver prefix", () => {
  const wanted = [
    ["192.0.2.1", "198.51.100.0/24"],
    ["192.0.2.53", "2001:db8:1::/48"],
    ["192.0.3.1", undefined],
    ["2001:db8:f::53", "203.0.113.0/25"],
    ["2001:db8:e::53", undefined],
    // An IPv4 resolver that comes over a mapped address is the same one.
    ["::ffff:192.0.2.9", "198.51.100.0/24"],
  ] as const;
  for (const [resolver, clients] of wanted)
    assert.equal(relocated(entries, resolver), clients, resolver);
});

test("a world without a resolvers section has no table", () => {
  assert.equal(loadWorld([], []).resolvers, undefined);
});

test("relocate() agrees with a search through the entries", () => {
  const octets = fc.tuple(fc.constantFrom(10, 11), fc.constantFrom(0, 1, 128), fc.nat(3));
  const prefixes = fc
    .tuple(octets, fc.constantFrom(8, 9, 16, 24, 30, 32))
    .map(([[a, b, c], length]) => {
      const word = ((a << 24) | (b << 16) | (c << 8)) >>> 0;
      const kept = length === 32 ? word : (word & (0xffff_ffff << (32 - length))) >>> 0;
      return { family: 4, words: [kept, 0, 0, 0], length } satisfies AddressPrefix;
    });
  const pairs = fc.array(fc.record({ resolver: prefixes, client: prefixes }), { maxLength: 12 });
  fc.assert(
    fc.property(pairs, octets, (given, [a, b, c]) => {
      const address = prefix(`${a}.${b}.${c}.0`);
      let best: ResolverClients | undefined;
      for (const one of given) {
        const isLonger = best === undefined || one.resolver.length >= best.resolver.length;
        if (containsPrefix(one.resolver, address) && isLonger) best = one;
      }
      const wanted = best === undefined ? undefined : formatPrefix(best.client);
      assert.equal(relocated(given, `${a}.${b}.${c}.0`), wanted);
    }),
    { numRuns: 200 },
  );
});
