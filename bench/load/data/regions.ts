// SPDX-License-Identifier: Apache-2.0
import { Pcg32 } from "@meridian/core";

/** Where benchmark clients and pools are. */
export interface Region {
  readonly name: string;
  readonly country: string;
  readonly continent: string;
  readonly latitude: number;
  readonly longitude: number;
}

/** Three regions; their indices are the numbers in prefix files. */
export const regions: readonly Region[] = [
  { name: "eu", country: "DE", continent: "EU", latitude: 50.11, longitude: 8.68 },
  { name: "us", country: "US", continent: "NA", latitude: 39.04, longitude: -77.49 },
  { name: "ap", country: "JP", continent: "AS", latitude: 35.69, longitude: 139.69 },
];

/** A network whose clients are in one region; the address is an unsigned 32-bit number with zero host bits. */
export interface Net {
  readonly address: number;
  readonly length: number;
  /** Index into `regions`. */
  readonly region: number;
}

const NET_LENGTH = 10;
const CLIENT_LENGTH = 24;
/** How many client prefixes queries are drawn from. */
export const CLIENT_PREFIXES = 100_000;

/** A map of the public IPv4 space in /10 networks. */
export function regionNets(seed: number): readonly Net[] {
  const random = new Pcg32(seed);
  const nets: Net[] = [];
  for (let first = 1; first < 224; first += 1) {
    if (first === 10 || first === 127) continue;
    for (let quarter = 0; quarter < 4; quarter += 1) {
      const address = ((first << 24) | (quarter << 22)) >>> 0;
      nets.push({ address, length: NET_LENGTH, region: random.next32() % regions.length });
    }
  }
  return nets;
}

/** Distinct /24 client prefixes, each with the region of the network that holds it. */
export function clientPrefixes(nets: readonly Net[], count: number, seed: number): readonly Net[] {
  const random = new Pcg32(seed + 1);
  const found = new Map<number, Net>();
  while (found.size < count) {
    const net = nets[random.next32() % nets.length];
    if (net === undefined) break;
    const host = random.next32() % 2 ** (CLIENT_LENGTH - net.length);
    const address = (net.address | (host << (32 - CLIENT_LENGTH))) >>> 0;
    found.set(address, { address, length: CLIENT_LENGTH, region: net.region });
  }
  return [...found.values()];
}

/** Dotted text of an unsigned 32-bit address. */
export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** `A.B.C.D/LENGTH` of a network. */
export function formatNet(net: Net): string {
  return `${formatAddress(net.address)}/${net.length}`;
}

/** The loopback address of the nth endpoint, from 127.16.0.0 on, so that one local server can stand for all of them. */
export function endpointAddress(index: number): string {
  return formatAddress((127 << 24) + (16 << 16) + index);
}
