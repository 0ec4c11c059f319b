// SPDX-License-Identifier: Apache-2.0

// Looks up random addresses in a location map of 350,000 ranges a family, laid out as the registries do (many ranges in few
// blocks), and in a classifier on top of it. IPv4 addresses come from the whole space, IPv6 ones from near the ranges.

import { mix32, Pcg32 } from "@meridian/core";
import { Classifier, Client, LocationMap, openSection, type Section } from "@meridian/snapshot";
import { LocationMapWriter, writeClassifier, type WrittenSection } from "@meridian/snapshot/writer";
import { measureAll } from "../harness.ts";

const RANGE_COUNT = process.env["MERIDIAN_BENCH_SMOKE"] === "1" ? 2000 : 350_000;
/** A power of two. */
const ADDRESS_COUNT = 1 << 20;
const LOCATION_COUNT = 250;

const random = new Pcg32(11);
const map = LocationMap.open(open(buildMap(RANGE_COUNT, random)));
const classes = Uint16Array.from({ length: map.locationCount }, (_, id) => id % 7);
const orders = Array.from({ length: 7 }, (_, branch) => [branch]);
const draft = { orders, defaultClass: 0, prefixes: [], locations: { map, classes } };
const classifier = Classifier.open(open(writeClassifier(draft)), () => map);
const four = clientsInTurn(4);
const six = clientsInTurn(6);

await measureAll({
  "location map, IPv4": () => map.lookup(four()),
  "location map, IPv6": () => map.lookup(six()),
  "classifier, IPv4": () => classifier.classify(four()),
  "classifier, IPv6": () => classifier.classify(six()),
});

/** The next of many random clients at each call, always in one object. */
function clientsInTurn(family: number): () => Client {
  const words = randomClients(family, ADDRESS_COUNT, map, random);
  const client = new Client();
  client.family = family;
  client.prefixLength = family === 6 ? 128 : 32;
  let turn = 0;
  return () => {
    const at = turn * 4;
    turn = (turn + 1) & (ADDRESS_COUNT - 1);
    client.word0 = words[at] ?? 0;
    client.word1 = words[at + 1] ?? 0;
    return client;
  };
}

function buildMap(rangeCount: number, random: Pcg32): WrittenSection {
  const writer = new LocationMapWriter(1n);
  for (let id = 1; id <= LOCATION_COUNT; id++) writer.location({ asn: id });
  const starts4 = new Set<number>();
  // Half of the ranges crowd into an eighth of the blocks.
  while (starts4.size < rangeCount) {
    const word = random.next32();
    const crowded = word & 1 ? ((word & 0x1fff_ffff) | 0xa000_0000) >>> 0 : word;
    starts4.add((crowded & 0xffff_ff00) >>> 0);
  }
  for (const start of [...starts4].toSorted((a, b) => a - b)) {
    writer.ranges.set4(start, 1 + (mix32(start) % LOCATION_COUNT));
  }
  const starts6 = new Set<number>();
  const blocks = [0x2001, 0x2400, 0x2600, 0x2604, 0x2800, 0x2a00, 0x2a02, 0x2a03, 0x2a10, 0x2c0f];
  while (starts6.size < rangeCount) {
    const block = blocks[random.next32() % blocks.length] ?? 0;
    starts6.add(block * 0x1_0000_0000 + random.next32());
  }
  for (const start of [...starts6].toSorted((a, b) => a - b)) {
    // 48 significant bits: two bytes of block, then four random ones.
    const word0 = Math.floor(start / 0x1_0000);
    const word1 = (start % 0x1_0000) * 0x1_0000;
    writer.ranges.set6(word0, word1, 0, 0, 1 + (mix32(word0 ^ word1) % LOCATION_COUNT));
  }
  return writer.finish();
}

function randomClients(
  family: number,
  count: number,
  map: LocationMap,
  random: Pcg32,
): Uint32Array {
  const words = new Uint32Array(count * 4);
  for (let index = 0; index < count; index++) {
    words[index * 4] = random.next32();
    if (family === 4) continue;
    const range = random.next32() % map.ranges.ipv6Count;
    words[index * 4] = map.ranges.ipv6Start(range, 0);
    words[index * 4 + 1] = map.ranges.ipv6Start(range, 1) ^ (random.next32() >>> 8);
  }
  return words;
}

function open(written: WrittenSection): Section {
  const section = openSection(written.buffer);
  if ("error" in section) throw new Error(section.error);
  return section;
}
