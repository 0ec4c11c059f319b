// SPDX-License-Identifier: Apache-2.0

/** Somewhere that clients are, by a prefix which the demo data set places there. */
export interface Place {
  readonly name: string;
  readonly subnet: string;
  /** Region that geo.example.org answers there while all is well. */
  readonly region: string;
}

/** Prefixes of the regional internet registries and of long-standing networks: they do not move. */
export const places: readonly Place[] = [
  { name: "Amsterdam", subnet: "193.0.6.0/24", region: "eu" },
  { name: "Virginia", subnet: "199.43.0.0/24", region: "us" },
  { name: "Brisbane", subnet: "203.119.76.0/24", region: "ap" },
];

/** More of them, for the simulated clients. */
export const clientSubnets: readonly string[] = [
  "193.0.6.0/24",
  "192.36.148.0/24",
  "193.51.208.0/24",
  "196.216.2.0/24",
  "199.43.0.0/24",
  "128.9.0.0/24",
  "18.0.0.0/24",
  "200.3.14.0/24",
  "203.119.76.0/24",
  "202.12.27.0/24",
  "1.1.1.0/24",
];
