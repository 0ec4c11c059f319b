// SPDX-License-Identifier: Apache-2.0
import { duration, list, name, object, text, textLike } from "../fields.ts";
import { document, domainMetadata } from "./metadata.ts";

/** Static records of one name and type, in a document of their own. */
export const recordSetSchema = document(
  "RecordSet",
  domainMetadata,
  object({
    name: textLike(/^[!-~]{1,1004}$/, "a full name").describe(
      "Full name, with or without its last dot; escapes as in a master file.",
    ),
    view: name().optional().describe("View of the zone that it lies in; none when not set."),
    type: textLike(/^[A-Z][A-Z0-9]{0,15}$/, "a record type such as MX").describe(
      "Record type, also TYPE followed by its number (RFC 3597).",
    ),
    ttl: duration().optional().describe("TTL; that of the zone when not set."),
    values: list(text(65_535), 1, 1024).describe("Data in presentation form."),
  }),
);
