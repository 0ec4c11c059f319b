// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Client, LocationMap, openSection } from "@meridian/snapshot";
import { parsePrefix, type WrittenSection } from "@meridian/snapshot/writer";
import fc from "fast-check";
import { countries } from "./countries.ts";
import { DataSets, dateOfVersion, demoSource } from "./data-sets.ts";
import { buildAsnMap, buildCountryMap, buildPrefixesMap } from "./location-maps.ts";
import { MapCache } from "./map-cache.ts";
import { sampleMmdb } from "./mmdb-sample.ts";
import { readResolversCsv } from "./resolvers-csv.ts";

function open(written: WrittenSection): LocationMap {
  const section = openSection(written.buffer);
  assert.ok(!("error" in section), "the section opens");
  return LocationMap.open(section);
}

function find(map: LocationMap, text: string): string {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined, text);
  const client = new Client();
  client.family = prefix.family;
  client.prefixLength = prefix.length;
  [client.word0, client.word1, client.word2, client.word3] = prefix.words;
  return map.placeText(map.lookup(client));
}

const maxMindCity = {
  "192.0.2.0/24": {
    continent: { code: "NA" },
    country: { iso_code: "US" },
    subdivisions: [{ iso_code: "CA" }, { iso_code: "XX" }],
    location: { latitude: 37.774_92, longitude: -122.419_41 },
  },
  "198.51.100.0/25": { registered_country: { iso_code: "DE" }, continent: { code: "EU" } },
  "198.51.100.192/26": { continent: { code: "OC" } },
  "2001:db8::/32": { country: { iso_code: "JP" } },
};

describe("buildCountryMap()", () => {
  for (const recordSize of [24, 28, 32] as const) {
    it(`reads MaxMind's schema with records of ${recordSize} bits`, () => {
      const map = open(buildCountryMap(sampleMmdb(maxMindCity, { recordSize })));
      const found = [
        "192.0.2.9",
        "198.51.100.1",
        "198.51.100.129",
        "198.51.100.200",
        "2001:db8:1::/48",
        "203.0.113.1",
        "2002:c000:209::/48",
      ].map((text) => find(map, text));
      const wanted = ["NA/US/US-CA", "EU/DE", "nowhere", "OC", "AS/JP", "nowhere", "NA/US/US-CA"];
      assert.deepEqual(found, wanted);
    });
  }

  it("reads the flat schema, a tree of 32 bits, and gives countries their estimated middle", () => {
    const entries = {
      "192.0.2.0/24": { country_code: "DE" },
      "10.0.0.0/8": { country_code: "EU" },
    };
    const map = open(buildCountryMap(sampleMmdb(entries, { ipVersion: 4 })));
    assert.equal(find(map, "192.0.2.1"), "EU/DE");
    assert.equal(find(map, "10.1.1.1"), "EU");
    assert.deepEqual(map.place(1), { continent: "EU" });
    assert.deepEqual(map.place(2), { country: "DE", ...countries.get("DE") });
  });

  it("does not follow aliases of the IPv4 subtree", () => {
    const aliases = ["2002::/16", "::ffff:0:0/96"];
    const map = open(buildCountryMap(sampleMmdb(maxMindCity, { aliases })));
    assert.equal(find(map, "::ffff:192.0.2.1"), "NA/US/US-CA");
    assert.equal(find(map, "2001:db8::1"), "AS/JP");
  });

  it("rounds city coordinates to a tenth of a degree", () => {
    const map = open(buildCountryMap(sampleMmdb(maxMindCity)));
    const { latitude, longitude } = map.place(1);
    assert.deepEqual([latitude, longitude], [37.8, -122.4]);
  });

  it("refuses bytes that are no MaxMind DB, and truncated ones, with DATA_SET_UNREADABLE", () => {
    const good = sampleMmdb(maxMindCity);
    const isUnreadable = { code: "DATA_SET_UNREADABLE", causedBy: "user" };
    assert.throws(() => buildCountryMap(new Uint8Array(100)), isUnreadable);
    assert.throws(() => buildCountryMap(good.subarray(1500)), isUnreadable);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const bytes = good.slice();
        bytes[at] = (bytes[at] ?? 0) ^ change;
        try {
          buildCountryMap(bytes);
        } catch (error) {
          assert.ok(error instanceof Error);
          assert.match(error.message, /^Cannot read the data set: /, String(error.stack));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("buildAsnMap()", () => {
  it("reads CSV ranges as numbers and text, prefixes, quotes, any order; a later start wins", () => {
    const csv = `# comment
2001:db8::,2001:db8:ff:ffff:ffff:ffff:ffff:ffff,64500,"Name, with ""quotes"""
3221225984,3221226239,64501,"A, B"
198.51.100.0,198.51.100.255,AS64502
198.51.100.128,198.51.101.255,64503
10.0.0.0/8,64504
255.255.255.0,255.255.255.255,64505
192.0.3.0,192.0.3.255,0,not announced
`;
    const map = open(buildAsnMap([Buffer.from(csv)]));
    const cases: readonly (readonly [string, string])[] = [
      ["192.0.2.0", "AS64501"],
      ["192.0.3.0", "nowhere"],
      ["198.51.100.127", "AS64502"],
      ["198.51.100.128", "AS64503"],
      ["198.51.101.255", "AS64503"],
      ["198.51.102.0", "nowhere"],
      ["10.255.255.255", "AS64504"],
      ["11.0.0.0", "nowhere"],
      ["255.255.255.255", "AS64505"],
      ["2001:db8:ff::/48", "AS64500"],
      ["2001:db8:100::/48", "nowhere"],
    ];
    const found = cases.map(([text]) => [text, find(map, text)]);
    assert.deepEqual(found, cases);
  });

  it("goes on with the outer range where an inner one ends", () => {
    const csv = "10.0.0.0,10.255.255.255,1\n10.1.0.0,10.1.255.255,2\n10.1.2.0,10.1.2.255,3\n";
    const map = open(buildAsnMap([Buffer.from(csv)]));
    const found = ["10.0.0.1", "10.1.0.1", "10.1.2.1", "10.1.3.0", "10.2.0.0", "11.0.0.0"].map(
      (text) => find(map, text),
    );
    assert.deepEqual(found, ["AS1", "AS2", "AS3", "AS2", "AS1", "nowhere"]);
  });

  it("names the line that is wrong", () => {
    const csv = "10.0.0.0,10.0.0.255,1\n10.0.1.0,10.0.0.0,2\n";
    assert.throws(() => buildAsnMap([Buffer.from(csv)]), /line 2 is "10.0.1.0,10.0.0.0,2"/);
  });

  it("reads an ASN MaxMind DB", () => {
    const entries = { "192.0.2.0/24": { autonomous_system_number: 64_500 } };
    assert.equal(find(open(buildAsnMap([sampleMmdb(entries)])), "192.0.2.1"), "AS64500");
  });
});

describe("buildPrefixesMap()", () => {
  it("reads places in short and long form; the longest prefix wins", () => {
    const csv = `prefix,place,latitude,longitude
10.0.0.0/8,DE
10.1.0.0/16,US-CA,34.05,-118.24
10.2.0.0/16,EU/*
10.3.0.0/16,NA/US/US-NY
10.4.0.0/16,AS64500
2001:db8::/32,AS/JP
`;
    const map = open(buildPrefixesMap(Buffer.from(csv)));
    const found = ["10.9.0.1", "10.1.0.1", "10.2.0.1", "10.3.0.1", "10.4.0.1", "2001:db8::1"].map(
      (text) => find(map, text),
    );
    assert.deepEqual(found, ["EU/DE", "NA/US/US-CA", "EU", "NA/US/US-NY", "AS64500", "AS/JP"]);
  });

  it("names the line that is wrong", () => {
    for (const line of [
      "10.0.0.1/8,DE",
      "10.0.0.0/8,Germany",
      "10.0.0.0/8,DE,91,0",
      "10.0.0.0/8,DE,1",
    ]) {
      assert.throws(() => buildPrefixesMap(Buffer.from(`${line}\n`)), /line 1 is /);
    }
  });
});

describe("readResolversCsv()", () => {
  it("reads pairs of prefixes", () => {
    const [entry] = readResolversCsv(Buffer.from("192.0.2.53/32,198.51.100.0/24\n"));
    assert.deepEqual(entry, {
      resolver: parsePrefix("192.0.2.53/32"),
      client: parsePrefix("198.51.100.0/24"),
    });
    assert.throws(() => readResolversCsv(Buffer.from("192.0.2.53\n")), /line 1 is "192.0.2.53"/);
  });
});

describe("DataSets", () => {
  it("builds the demo country map in the same bytes each time and knows its age", () => {
    const source = demoSource("country");
    const loaded = new DataSets().loadMap("country", source);
    const again = buildCountryMap(readFileSync(source.paths[0] ?? ""));
    assert.equal(loaded.section.name, again.name);
    assert.ok(loaded.builtAt.getTime() > Date.UTC(2024, 0, 1));
    assert.equal(find(loaded.map, "8.8.8.8"), "NA/US");
    assert.ok(loaded.map.ranges.ipv4Count > 100_000);
  });

  it("refuses a file with another SHA-256 and one that is not there", () => {
    const sets = new DataSets();
    const source = { ...demoSource("country"), sha256: "0".repeat(64) };
    assert.throws(
      () => sets.loadMap("country", source),
      /its SHA-256 is [0-9a-f]{64}, expected 0{64}/,
    );
    assert.throws(() => sets.loadMap("country", { paths: ["missing.mmdb"] }), {
      code: "DATA_SET_UNREADABLE",
    });
  });

  it("forgets what the last load did not ask for", () => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-sets-"));
    try {
      const sets = new DataSets();
      for (const rtt of [10, 20, 30]) {
        const path = join(folder, "rtt.csv");
        writeFileSync(path, `192.0.2.0/24,eu,${rtt}\n`);
        sets.startLoad();
        sets.loadLatency({ paths: [path] });
      }
      assert.equal(sets.keptCount, 2);
      sets.startLoad();
      assert.equal(sets.keptCount, 1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("dateOfVersion() reads the hour in a package's version", () => {
    const date = dateOfVersion('{"version": "2.3.2026061719"}');
    assert.equal(date?.toISOString(), "2026-06-17T19:00:00.000Z");
    assert.equal(dateOfVersion('{"version": "1.0.0"}'), undefined);
  });
});

describe("MapCache", () => {
  it("keeps a built map and builds again where the file is torn", () => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-maps-"));
    try {
      const files = [sampleMmdb(maxMindCity)];
      const built = new MapCache(folder).get("city", files);
      const [name = ""] = readdirSync(folder);
      const kept = new MapCache(folder).get("city", files);
      assert.deepEqual([kept.name, kept.key, kept.kind], [built.name, built.key, built.kind]);
      writeFileSync(join(folder, name), readFileSync(join(folder, name)).subarray(0, 512));
      assert.equal(new MapCache(folder).get("city", files).name, built.name);
      assert.equal(readFileSync(join(folder, name)).length, built.buffer.byteLength);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("countries", () => {
  it("has every code of ISO 3166-1 and XK once, with degrees in range", () => {
    assert.equal(countries.size, 250);
    for (const [code, { continent, latitude, longitude }] of countries) {
      assert.match(code, /^[A-Z]{2}$/);
      assert.match(continent, /^(AF|AN|AS|EU|NA|OC|SA)$/);
      assert.ok(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180, code);
    }
  });
});
