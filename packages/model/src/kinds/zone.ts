// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import {
  domainName,
  duration,
  ipAddress,
  list,
  object,
  prefix,
  text,
  textLike,
  wholeNumber,
} from "../fields.ts";
import { document, domainMetadata } from "./metadata.ts";
import { clientLocation } from "./shared.ts";

const soa = object({
  mname: domainName().optional().describe("Primary server; the first of nameServers when not set."),
  rname: domainName()
    .optional()
    .describe("Mailbox of the owner, with a dot for the @; hostmaster of the zone when not set."),
  serial: wholeNumber(0, 4_294_967_295)
    .optional()
    .describe("Serial number, 0 to 4294967295; follows the revision when not set."),
  refresh: duration().default("2h").describe("How often secondaries ask."),
  retry: duration().default("15m").describe("How soon secondaries ask again."),
  expire: duration().default("336h").describe("How long secondaries serve without an answer."),
  minimum: duration().default("60s").describe("How long a negative answer may be cached."),
});

/** Static authoritative data. */
export const zoneSchema = document(
  "Zone",
  domainMetadata,
  object({
    origin: domainName().describe("Name of the zone."),
    ttl: duration().default("5m").describe("TTL of records that give none."),
    soa: soa.optional().describe("Start of authority; made from the defaults when not set."),
    nameServers: list(
      object({
        name: domainName().describe("Host name of a server."),
        addresses: list(ipAddress(), 0, 32)
          .default([])
          .describe("Its addresses, needed where its name is inside the zone."),
      }),
      0,
      32,
    )
      .default([])
      .describe("Servers of the zone; the file's NS records count too."),
    records: list(
      object({
        name: textLike(
          /^(@|[!-~]{1,1004})$/,
          "a name relative to the zone, a full name, or @",
        ).describe("Relative to the zone unless it ends with a dot; @ is the zone itself."),
        type: textLike(/^[A-Z][A-Z0-9]{0,15}$/, "a record type such as MX").describe(
          "Record type, also TYPE followed by its number (RFC 3597).",
        ),
        ttl: duration().optional().describe("TTL; that of the zone when not set."),
        values: list(text(65_535), 1, 1024).describe("Data in presentation form."),
      }),
      0,
      1_000_000,
    )
      .default([])
      .describe("Records of the zone."),
    file: text(4096)
      .optional()
      .describe("Path of a master file (RFC 1035) with more records, relative to this document."),
    clientLocation,
    ecsTrust: list(prefix(), 0, 4096)
      .default(["0.0.0.0/0", "::/0"])
      .describe("Resolvers whose ECS is believed."),
  }),
);

export type ZoneSpec = z.output<typeof zoneSchema>["spec"];
