// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import {
  domainName,
  flag,
  ipAddress,
  list,
  object,
  oneOf,
  prefix,
  text,
  textOrEmpty,
  wholeNumber,
} from "../fields.ts";

const primary = object({
  address: ipAddress().describe("Of a server that has the zone."),
  port: wholeNumber(1, 65_535)
    .optional()
    .describe("Its port, 1 to 65535; 53 when not set, 853 over TLS."),
  tsigKey: domainName()
    .optional()
    .describe("Key of `tsigKeys` that signs both ways; nothing is signed when not set."),
  tls: object({
    serverName: domainName()
      .optional()
      .describe("Name in its certificate; its address has to be there when not set."),
    ca: text(4096).optional().describe("Path of a PEM file of trusted issuers."),
    certificate: object({
      cert: text(4096).describe("Path of a PEM file: the certificate, with its chain."),
      key: text(4096).describe("Path of the PEM file of its key."),
    })
      .optional()
      .describe(
        "What control shows the primary of itself (RFC 9103 §9.3.3); nothing when not set.",
      ),
  })
    .optional()
    .describe("Transfers go over TLS 1.3 (RFC 9103)."),
});

const zonemd = oneOf(["whenPresent", "require"]);

const primaries = list(primary, 1, 16);

/** Where a zone comes from that another server is the primary of. */
export const zoneSecondary = object({
  primaries: primaries.describe(
    "Servers that have the zone, asked one after the other, beginning with the one that answered last.",
  ),
  allowNotify: list(prefix(), 0, 64)
    .default([])
    .describe("Networks whose NOTIFY is heard besides that of the primaries."),
  catalog: flag()
    .default(false)
    .describe(
      "Whether it lists zones (RFC 9432), which are then secondary zones of the same primaries; one that has a document stays what that says.",
    ),
  groups: z
    .record(
      text(255),
      object({
        primaries: primaries.optional().describe("Those of the catalog when not set."),
        zonemd: zonemd.optional().describe("As for the catalog when not set."),
        labels: z
          .record(text(253), textOrEmpty(4096), { error: "a mapping from names to text" })
          .default({})
          .describe("Labels of its zones besides those of the catalog."),
      }),
      { error: "a mapping from groups to what is otherwise" },
    )
    .optional()
    .describe("What is otherwise for zones that the catalog puts into a group (RFC 9432 §4.4.2)."),
  zonemd: zonemd
    .default("whenPresent")
    .describe(
      "Whether the digest of the zone (RFC 8976) has to be there; where it is, it has to be right.",
    ),
});

export type ZoneSecondary = z.output<typeof zoneSecondary>;

/** What a secondary zone says besides; its data are the primary's. */
interface Others {
  readonly secondary?: ZoneSecondary | undefined;
  readonly soa?: object | undefined;
  readonly nameServers: readonly unknown[];
  readonly records: readonly unknown[];
  readonly file?: string | undefined;
  readonly dnssec?: object | undefined;
  readonly updates?: object | undefined;
}

/** Whether a zone has its data from one place. */
export function hasOneSource(spec: Others): boolean {
  const { secondary, soa, nameServers, records, file, dnssec, updates } = spec;
  return (
    secondary === undefined ||
    (nameServers.length + records.length === 0 && (soa ?? file ?? dnssec ?? updates) === undefined)
  );
}
