// SPDX-License-Identifier: Apache-2.0

// Looks up random addresses in a location map of 350,000 ranges a family, laid out as the registries do (many ranges in few
// /8 blocks), and in a classifier on top of it. Prints nanoseconds of CPU a look-up: median of the rounds, least and most.

import { mix32, Pcg32 } from "../../packages/core/src/index.ts";
import { Client } from "../../packages/snapshot/src/client.ts";
import { Classifier } from "../../packages/snapshot/src/location/classifier.ts";
import { writeClassifier } from "../../packages/snapshot/src/location/classifier-writer.ts";
import { LocationMap } from "../../packages/snapshot/src/location/location-map.ts";
import { LocationMapWriter } from "../../packages/snapshot/src/location/location-map-writer.ts";
import { openSection, type Section } from "../../packages/snapshot/src/section.ts";
import type { WrittenSection } from "../../packages/snapshot/src/section-writer.ts";

/** What the benchmark found, in nanoseconds a look-up. */
export interface LocationLookupResult {
  readonly name: string;
  readonly medianNs: number;
  readonly leastNs: number;
  readonly mostNs: number;
}

const LOCATION_COUNT = 250;

/** Runs the benchmark over `rangeCount` ranges a family and `addressCount` random addresses, `rounds` times. */
export function runLocationLookup(
  rangeCount: number,
  addressCount: number,
  rounds: number,
): LocationLookupResult[] {
  const random = new Pcg32(11);
  const map = LocationMap.open(open(buildMap(rangeCount, random)));
  const classes = Uint16Array.from({ length: map.locationCount }, (_, id) => id % 7);
  const orders = Array.from({ length: 7 }, (_, branch) => [branch]);
  const draft = { orders, defaultClass: 0, prefixes: [], locations: { map, classes } };
  const classifier = Classifier.open(open(writeClassifier(draft)), () => map);
  const four = randomClients(4, addressCount, map, random);
  const six = randomClients(6, addressCount, map, random);
  return [
    measure("map, IPv4", rounds, four, (client) => map.lookup(client)),
    measure("map, IPv6", rounds, six, (client) => map.lookup(client)),
    measure("classifier, IPv4", rounds, four, (client) => classifier.classify(client)),
    measure("classifier, IPv6", rounds, six, (client) => classifier.classify(client)),
  ];
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

/** Random IPv4 addresses of the whole space; IPv6 ones near random ranges, as most of that space is empty. */
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

function measure(
  name: string,
  rounds: number,
  words: Uint32Array,
  lookup: (client: Client) => number,
): LocationLookupResult {
  const client = new Client();
  client.family = name.endsWith("IPv6") ? 6 : 4;
  client.prefixLength = client.family === 6 ? 128 : 32;
  const count = words.length / 4;
  const times: number[] = [];
  let sum = 0;
  for (let round = 0; round <= rounds; round++) {
    const before = cpuNs();
    for (let at = 0; at < words.length; at += 4) {
      client.word0 = words[at]!;
      client.word1 = words[at + 1]!;
      sum += lookup(client);
    }
    // The first round warms up.
    if (round > 0) times.push((cpuNs() - before) / count);
  }
  if (sum < 0) throw new Error("Cannot measure: look-ups were optimised away");
  times.sort((a, b) => a - b);
  return {
    name,
    medianNs: times[times.length >>> 1] ?? 0,
    leastNs: times[0] ?? 0,
    mostNs: times.at(-1) ?? 0,
  };
}

/** CPU time of this thread: other processes of a shared machine do not count. */
function cpuNs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) * 1000;
}

function open(written: WrittenSection): Section {
  const section = openSection(written.buffer);
  if ("error" in section) throw new Error(section.error);
  return section;
}

if (import.meta.main) {
  for (const { name, medianNs, leastNs, mostNs } of runLocationLookup(350_000, 1_000_000, 9)) {
    console.log(
      `${name.padEnd(18)} ${medianNs.toFixed(1)} ns (${leastNs.toFixed(1)} to ${mostNs.toFixed(1)})`,
    );
  }
}
