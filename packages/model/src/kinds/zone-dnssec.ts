// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import type * as z from "zod";
import { ipAddress, list, object, oneOf, positiveDuration, wholeNumber } from "../fields.ts";

const shape = object({
  algorithm: oneOf(["ecdsaP256", "ed25519", "rsa2048"])
    .default("ecdsaP256")
    .describe("Of the keys: 13, 15 or 8 of the registry. With another one, all keys are rolled."),
  keys: oneOf(["kskZsk", "csk"])
    .default("kskZsk")
    .describe(
      "A key that signs keys and stays in control with one that signs answers, or one for both. With the other, all keys are rolled.",
    ),
  denial: oneOf(["nsec", "nsec3", "compact"])
    .default("nsec")
    .describe("How it is proved that something is not there; nsec3 has 0 iterations and no salt."),
  answerVariants: wholeNumber(2, 1024)
    .default(64)
    .describe(
      "Answers of several endpoints are one of this many sets for each name and pool or node, 2 to 1024, taken as a power of two.",
    ),
  signatureValidity: positiveDuration()
    .default("168h")
    .describe("How long a signature holds, less than 19000h."),
  refresh: positiveDuration()
    .default("72h")
    .describe("Signatures are made anew when they hold for no longer than this."),
  dnskeyTtl: positiveDuration().default("1h").describe("TTL of DNSKEY, CDS and CDNSKEY."),
  maxZoneTtl: positiveDuration()
    .default("24h")
    .describe("No record of the zone has a longer TTL: an old key stays for that long."),
  kskLifetime: positiveDuration()
    .default("8760h")
    .describe("After this a key that the parent names is rolled; also a csk."),
  zskLifetime: positiveDuration()
    .default("2160h")
    .describe("After this a key that signs answers is rolled."),
  propagationDelay: positiveDuration()
    .default("5m")
    .describe("Within this every edge serves a change of keys."),
  parentPropagationDelay: positiveDuration()
    .default("1h")
    .describe("Within this every server of the parent shows a change of its DS records."),
  parentDsTtl: positiveDuration().default("24h").describe("TTL of the parent's DS records."),
  parentServers: list(
    object({
      address: ipAddress().describe("Of a server of the parent zone, or of a resolver."),
      port: wholeNumber(1, 65_535).default(53).describe("Its port, 1 to 65535."),
    }),
    0,
    16,
  )
    .default([])
    .describe(
      "All of these are asked for the zone's DS records; those of the system's resolver when empty.",
    ),
});

type Timings = Pick<z.output<typeof shape>, "signatureValidity" | "refresh">;

/** Longest signature: times in it are compared as 32-bit serial numbers (RFC 4034 §3.1.5). */
const VALIDITY_MS_MAX = 19_000 * 3_600_000;

/** How a zone is signed, and when its keys are rolled (names of RFC 7583). */
export const zoneDnssec = shape
  .refine((value: Timings) => isBelow(value.refresh, value.signatureValidity), {
    path: ["refresh"],
    error: "less than signatureValidity",
  })
  .refine(({ signatureValidity }: Timings) => milliseconds(signatureValidity) < VALIDITY_MS_MAX, {
    path: ["signatureValidity"],
    error: "less than 19000h",
  });

export type ZoneDnssec = z.output<typeof zoneDnssec>;

function isBelow(one: string, other: string): boolean {
  // Whole seconds travel.
  return Math.ceil(milliseconds(one) / 1000) < Math.ceil(milliseconds(other) / 1000);
}

function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}
