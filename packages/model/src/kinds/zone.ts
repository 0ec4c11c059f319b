// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import {
  domainName,
  duration,
  ipAddress,
  list,
  name,
  object,
  prefix,
  text,
  textLike,
  wholeNumber,
} from "../fields.ts";
import { document, domainMetadata } from "./metadata.ts";
import { clientLocation } from "./shared.ts";
import { holdsCatalogAlone, zoneCatalog } from "./zone-catalog.ts";
import { zoneDnssec } from "./zone-dnssec.ts";
import { hasOneSource, zoneSecondary } from "./zone-secondary.ts";
import { zonePublishTo } from "./zone-publishing.ts";
import { allowQuery, tsigKeys, zoneTransfers } from "./zone-transfers.ts";
import { zoneUpdates } from "./zone-updates.ts";

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
    view: name()
      .optional()
      .describe(
        "View that the zone belongs to: others do not see it. Without it whoever has no zone of this name in the view that they see.",
      ),
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
    dnssec: zoneDnssec
      .optional()
      .describe(
        "Signs the zone. Taken away, the zone stays signed until its parent has no DS of it any more. A zone of a view that has none is signed by the keys of the zone of its origin that is in no view, if that one is signed.",
      ),
    tsigKeys: tsigKeys
      .optional()
      .describe("Keys by which transfers and updates of the zone are signed (RFC 8945), by name."),
    allowQuery: allowQuery
      .optional()
      .describe(
        "Who may ask the zone: whoever fits an entry; everybody when not set. Others are refused.",
      ),
    transfers: zoneTransfers
      .optional()
      .describe("Who may have the zone as a whole; nobody when not set."),
    catalog: zoneCatalog
      .optional()
      .describe(
        "The zone is a catalog of the zones of its namespace that have transfers (RFC 9432): secondaries that take it have them all.",
      ),
    secondary: zoneSecondary
      .optional()
      .describe("The zone is another server's, and transferred from there (RFC 5936, RFC 1995)."),
    publishTo: zonePublishTo
      .optional()
      .describe(
        "Another server that is the primary of the zone: it is kept told what is decided now of the names that are routed.",
      ),
    updates: zoneUpdates
      .optional()
      .describe("Who may change records of the zone by dynamic update; nobody when not set."),
  })
    .refine(holdsCatalogAlone, {
      path: ["catalog"],
      error: "no nameServers, records, file, secondary, dnssec or updates beside it",
    })
    .refine(hasOneSource, {
      path: ["secondary"],
      error: "no soa, nameServers, records, file, dnssec or updates beside it",
    })
    .refine(isPlainInView, {
      path: ["view"],
      error: "no secondary, catalog or publishTo beside it",
    })
    .refine(
      ({ tsigKeys: keys = {}, secondary: { primaries = [], groups = {} } = {} }) =>
        [...primaries, ...Object.values(groups).flatMap((group) => group.primaries ?? [])].every(
          ({ tsigKey }) => tsigKey === undefined || Object.hasOwn(keys, tsigKey),
        ),
      { path: ["secondary", "primaries"], error: "keys that tsigKeys has" },
    )
    .refine(
      ({ tsigKeys: keys = {}, transfers: { allow = [], notify = [] } = {} }) =>
        [...allow, ...notify].every(({ key }) => key === undefined || Object.hasOwn(keys, key)),
      { path: ["transfers"], error: "keys that tsigKeys has" },
    )
    .refine(
      ({ tsigKeys: keys = {}, updates: { allow = [] } = {} }) =>
        allow.every(({ key }) => Object.hasOwn(keys, key)),
      { path: ["updates", "allow"], error: "keys that tsigKeys has" },
    )
    .refine(
      ({ tsigKeys: keys = {}, publishTo }) =>
        publishTo === undefined || Object.hasOwn(keys, publishTo.tsigKey),
      { path: ["publishTo", "tsigKey"], error: "a key that tsigKeys has" },
    )
    // Edges get the others.
    .refine(
      ({ publishTo, updates, transfers, allowQuery: rules = [] }) =>
        publishTo === undefined ||
        [
          ...rules,
          ...(updates?.allow ?? []),
          ...(transfers?.allow ?? []),
          ...(transfers?.notify ?? []),
        ].every(({ key }) => key !== publishTo.tsigKey),
      { path: ["publishTo", "tsigKey"], error: "a key that nothing else of the zone names" },
    )
    .refine(
      ({ tsigKeys: keys = {}, allowQuery: rules = [] }) =>
        rules.every(({ key }) => key === undefined || Object.hasOwn(keys, key)),
      { path: ["allowQuery"], error: "keys that tsigKeys has" },
    )
    .refine(
      ({ secondary, transfers: { zonemd = [] } = {} }) =>
        secondary === undefined || zonemd.length === 0,
      { path: ["transfers", "zonemd"], error: "none where the zone is another server's" },
    )
    // Other servers have no keys to sign with: they need a chain that is made ahead.
    .refine(({ dnssec, transfers }) => dnssec?.denial !== "compact" || transfers === undefined, {
      path: ["dnssec", "denial"],
      error: "nsec or nsec3 where the zone has transfers",
    }),
);

/** What is kept by origin elsewhere: copies, what others were told. */
function isPlainInView(spec: {
  readonly view?: string | undefined;
  readonly secondary?: unknown;
  readonly catalog?: unknown;
  readonly publishTo?: unknown;
}): boolean {
  const { view, secondary, catalog, publishTo } = spec;
  return view === undefined || (secondary ?? catalog ?? publishTo) === undefined;
}

export type ZoneSpec = z.output<typeof zoneSchema>["spec"];
