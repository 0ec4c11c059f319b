// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Pcg32 } from "@meridian/core";
import { Client, type Place } from "@meridian/snapshot";
import { formatPrefix } from "@meridian/snapshot/writer";
import fc from "fast-check";
import { Reader, type Response } from "mmdb-lib";
import { DataSets, demoSource } from "../../data-sets/data-sets.ts";
import { placeOfRecord } from "../../data-sets/place-of-record.ts";
import { classifierOf, mapOf, orderOf, TWIN_ADDRESSES } from "../classify-sample.ts";
import { compileGeo, type GeoBranch } from "./compile.ts";

const places: Readonly<Record<string, Place>> = {
  "10.1.0.0/16": { continent: "NA", country: "CA" },
  "10.2.0.0/16": { continent: "NA", country: "US", subdivision: "US-CA" },
  "10.3.0.0/16": { continent: "NA", country: "US", subdivision: "US-NY" },
  "10.4.0.0/16": { continent: "NA", country: "MX" },
  "10.5.0.0/16": { continent: "EU", country: "IE" },
  "2001:db8::/32": { continent: "EU", country: "DE" },
};

function branchesAt(branches: readonly GeoBranch[], address: string): number[] {
  return orderOf(classifierOf(compileGeo(branches, mapOf(places))), address);
}

describe("compileGeo()", () => {
  it("vector 8: the country beats its continent, which is the next choice", () => {
    const branches = [{ continents: ["NA"] }, { countries: ["CA"] }];
    assert.deepEqual(branchesAt(branches, "10.1.2.3"), [1, 0]);
    assert.deepEqual(branchesAt(branches, "10.4.2.3"), [0]);
  });

  it("vector 8: US-CA beats US beats NA beats the default, and backing out goes that way", () => {
    const branches = [
      { default: true },
      { continents: ["NA"] },
      { countries: ["US"] },
      { subdivisions: ["US-CA"] },
    ];
    const found = ["10.2.0.1", "10.3.0.1", "10.4.0.1", "10.5.0.1", "203.0.113.1"].map((address) =>
      branchesAt(branches, address),
    );
    assert.deepEqual(found, [[3, 2, 1, 0], [2, 1, 0], [1, 0], [0], [0]]);
  });

  it("vector 8: without a default, what matches nothing has no branch", () => {
    assert.deepEqual(branchesAt([{ countries: ["CA"] }], "10.5.0.1"), []);
    assert.deepEqual(branchesAt([{ countries: ["CA"] }], "203.0.113.1"), []);
  });

  it("vector 12: Ireland → E1, Europe → E2; Europe is what Ireland backs out to", () => {
    const branches = [{ countries: ["IE"] }, { continents: ["EU"] }];
    assert.deepEqual(branchesAt(branches, "10.5.0.1"), [0, 1]);
    assert.deepEqual(branchesAt(branches, "2001:db8::1"), [1]);
    assert.deepEqual(branchesAt(branches, "10.1.0.1"), []);
  });

  it("one branch may be the country and the default", () => {
    assert.deepEqual(branchesAt([{ countries: ["CA"], default: true }], "10.1.0.1"), [0]);
  });

  it(`agrees with the twin on ${TWIN_ADDRESSES} random addresses of the demo data set`, () => {
    const source = demoSource("country");
    const { map } = new DataSets().loadMap("country", source);
    const branches: GeoBranch[] = [
      { continents: ["EU"] },
      { countries: ["DE", "AT", "CH"] },
      { continents: ["NA", "SA"] },
      { countries: ["US", "BR"] },
      { countries: ["JP", "AU", "IN", "CN"] },
      { continents: ["AS"], default: true },
    ];
    const classifier = classifierOf(compileGeo(branches, map));
    // The twin asks the database itself, address by address, and tries one place after another.
    const reader = new Reader<Response>(readFileSync(source.paths[0] ?? ""));
    const random = new Pcg32(2026);
    const client = new Client();
    for (let round = 0; round < TWIN_ADDRESSES; round++) {
      randomClient(client, random);
      const place = placeOfRecord(reader.get(textOf(client)));
      assert.deepEqual(orderOf(classifier, client), slowGeo(branches, place), textOf(client));
    }
  });

  it("keeps the class inside the scope (addresses of the demo data set)", () => {
    const { map } = new DataSets().loadMap("country", demoSource("country"));
    const draft = compileGeo(
      [{ countries: ["US"] }, { continents: ["EU"] }, { default: true }],
      map,
    );
    const classifier = classifierOf(draft);
    const random = new Pcg32(7);
    const client = new Client();
    for (let round = 0; round < 20_000; round++) {
      randomClient(client, random);
      const cls = classifier.classify(client);
      scatterBehind(client, classifier.scope, random);
      assert.equal(classifier.classify(client), cls, textOf(client));
    }
  });

  it("moves only the clients of the place that changes branch", () => {
    const codes = Object.values(places).map(({ country = "" }) => country);
    fc.assert(
      fc.property(fc.constantFrom(...codes), (moved) => {
        const before = codes.map((country) => ({ countries: [country] }));
        const after = before.map(({ countries }) => ({
          countries: countries.filter((country) => country !== moved),
        }));
        for (const [prefix, { country }] of Object.entries(places)) {
          const isEqual = branchesAt(before, prefix).join() === branchesAt(after, prefix).join();
          assert.equal(isEqual, country !== moved, prefix);
        }
      }),
      { numRuns: 20 },
    );
  });
});

/** Tries subdivision, country, continent and default, each over all branches. */
function slowGeo(branches: readonly GeoBranch[], place: Place): number[] {
  const steps: readonly ((branch: GeoBranch) => boolean)[] = [
    ({ subdivisions = [] }) => subdivisions.includes(place.subdivision ?? "?"),
    ({ countries = [] }) => countries.includes(place.country ?? "?"),
    ({ continents = [] }) => continents.includes(place.continent ?? "?"),
    (branch) => branch.default === true,
  ];
  const found = steps.map((matches) => branches.findIndex(matches)).filter((index) => index >= 0);
  return [...new Set(found)];
}

/** Half IPv4 of the whole space, half IPv6 near where it is in use. */
function randomClient(client: Client, random: Pcg32): void {
  const isFour = random.next32() % 2 === 0;
  client.family = isFour ? 4 : 6;
  client.prefixLength = isFour ? 32 : 128;
  client.word0 = isFour ? random.next32() : (0x2001_0000 + (random.next32() % 0x0c00_0000)) >>> 0;
  // 6to4 and Teredo go to the address inside, which the plain twin does not know.
  if (!isFour && (client.word0 >>> 16 === 0x2002 || client.word0 === 0x2001_0000)) client.word0 = 0;
  client.word1 = isFour ? 0 : random.next32();
  client.word2 = isFour ? 0 : random.next32();
  client.word3 = isFour ? 0 : random.next32();
}

/** Replaces the bits behind `scope`. */
function scatterBehind(client: Client, scope: number, random: Pcg32): void {
  const scatter = (word: number, bits: number): number => {
    const host = bits >= 32 ? 0 : bits <= 0 ? 0xffff_ffff : 0xffff_ffff >>> bits;
    return ((word & ~host) | (random.next32() & host)) >>> 0;
  };
  client.word0 = scatter(client.word0, scope);
  if (client.family === 4) return;
  client.word1 = scatter(client.word1, scope - 32);
  client.word2 = scatter(client.word2, scope - 64);
  client.word3 = scatter(client.word3, scope - 96);
}

function textOf({ family, word0, word1, word2, word3 }: Client): string {
  const words = [word0, word1, word2, word3] as const;
  const text = formatPrefix({ family: family === 4 ? 4 : 6, words, length: 128 });
  return text.slice(0, text.indexOf("/"));
}
