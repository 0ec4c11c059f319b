// SPDX-License-Identifier: Apache-2.0
import { domainName, list, object, oneOf, textLike } from "../fields.ts";

const relativeName = textLike(
  /^(@|[!-~]{1,1004})$/,
  "a name relative to the zone, a full name, or @",
);

/** Which dynamic updates a zone takes. */
export const zoneUpdates = object({
  mode: oneOf(["store"]).describe(
    "What updates change is kept in the store as RecordSets, beside what this document and its file hold.",
  ),
  allow: list(
    object({
      key: domainName().describe("Key of `tsigKeys` that has to sign."),
      names: list(relativeName, 1, 256)
        .optional()
        .describe("Names that may be changed; with `below`, both; all of the zone without either."),
      below: list(relativeName, 1, 256)
        .optional()
        .describe("Names that may be changed with everything below them."),
      types: list(textLike(/^[A-Z][A-Z0-9]{0,15}$/, "a record type such as TXT"), 1, 64)
        .optional()
        .describe("Types that may be changed; all but NS when not set."),
    }),
    0,
    256,
  )
    .default([])
    .describe("Who may change what: whatever one entry allows."),
});
