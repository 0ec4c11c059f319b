// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import {
  domainName,
  flag,
  hostName,
  ipAddress,
  list,
  object,
  oneOf,
  prefix,
  textLike,
  wholeNumber,
} from "../fields.ts";
import { secret } from "./shared.ts";

const tsigKey = object({
  algorithm: oneOf(["hmac-sha256", "hmac-sha384", "hmac-sha512"])
    .default("hmac-sha256")
    .describe("How it signs."),
  secret: secret.describe("Where its secret is, as base64."),
});

/** Keys by name. */
export const tsigKeys = z.record(domainName(), tsigKey, {
  error: "a mapping from names to keys",
});

/** Who is meant: whoever fits all that is set. */
export const clientRule = object({
  clients: list(prefix(), 1, 256).optional().describe("Networks; any when not set."),
  key: domainName()
    .optional()
    .describe("Key of `tsigKeys` that has to sign; none has to when not set."),
}).refine(({ clients, key }) => clients !== undefined || key !== undefined, {
  error: "clients, key or both",
});

/** Who may ask a zone. */
export const allowQuery = list(clientRule, 0, 64);

const certificate = object({
  name: hostName()
    .optional()
    .describe(
      "DNS name among the certificate's alternative names; one of `--dns-client-ca` has signed it.",
    ),
  spki: textLike(/^[A-Za-z0-9+/]{43}=$/, "44 characters of base64")
    .optional()
    .describe("SHA-256 of its public key (SubjectPublicKeyInfo), as base64; any key when not set."),
}).refine(({ name, spki }) => name !== undefined || spki !== undefined, {
  error: "name, spki or both",
});

/** Who may have a zone: as for others, or by what it shows inside TLS. */
const transferRule = object({
  clients: list(prefix(), 1, 256).optional().describe("Networks; any when not set."),
  key: domainName()
    .optional()
    .describe("Key of `tsigKeys` that has to sign; none has to when not set."),
  certificate: certificate
    .optional()
    .describe(
      "Certificate that has to be shown over TLS 1.3 (RFC 9103 §9.3.3); none when not set.",
    ),
}).refine(
  ({ clients, key, certificate: shown }) =>
    clients !== undefined || key !== undefined || shown !== undefined,
  { error: "clients, key or certificate" },
);

/** Who may have a zone as a whole. */
export const zoneTransfers = object({
  allow: list(transferRule, 0, 64)
    .default([])
    .describe("Who may have the zone as a whole: whoever fits an entry."),
  encryptedOnly: flag()
    .default(false)
    .describe(
      "Whether the zone goes out over TLS 1.3 alone (RFC 9103): at the addresses of `--dot`.",
    ),
  notify: list(
    object({
      address: ipAddress().describe("Of the secondary."),
      port: wholeNumber(1, 65_535).default(53).describe("Its port, 1 to 65535."),
      key: domainName()
        .optional()
        .describe("Key of `tsigKeys` that signs; none does when not set."),
    }),
    0,
    64,
  )
    .default([])
    .describe(
      "Secondaries that each edge tells when it serves another serial, by NOTIFY (RFC 1996).",
    ),
  zonemd: list(oneOf(["sha384", "sha512"]), 0, 2)
    .default([])
    .describe("Digests over the whole zone that go out with it (ZONEMD, RFC 8976)."),
  catalog: object({
    group: textLike(/^[ -~]{1,255}$/, "1 to 255 printable characters")
      .optional()
      .describe("What catalogs say of how it is to be set up where it is taken (`group`)."),
    moveTo: domainName()
      .optional()
      .describe("Origin of the catalog that it goes over to from all others (`coo`)."),
  })
    .optional()
    .describe("What catalogs that list the zone say of it (RFC 9432 §4.4)."),
  transferAs: oneOf(["default", "all", "omit"])
    .default("default")
    .describe(
      "What goes out of names that are routed: the answer for a client of no place while all members are healthy, the addresses of all members, or nothing.",
    ),
});
