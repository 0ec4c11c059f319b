// SPDX-License-Identifier: Apache-2.0
import { list, object, wholeNumber } from "../fields.ts";
import { clusterMetadata, document } from "./metadata.ts";
import { clientRule, tsigKeys } from "./zone-transfers.ts";

/** Clients that are shown zones of their own. */
export const viewSchema = document(
  "View",
  clusterMetadata,
  object({
    priority: wholeNumber(0, 1_000_000).describe(
      "Views are tried in this order, the lowest first, 0 to 1000000; no two have the same.",
    ),
    match: list(clientRule, 1, 64).describe(
      "Who sees it: whoever fits an entry. The address is that of the connection or of a listed proxy, never a client subnet.",
    ),
    tsigKeys: tsigKeys
      .optional()
      .describe(
        "Keys that `match` names (RFC 8945); queries, transfers and updates may be signed by them.",
      ),
  }).refine(
    ({ tsigKeys: keys = {}, match }) =>
      match.every(({ key }) => key === undefined || Object.hasOwn(keys, key)),
    { path: ["match"], error: "keys that tsigKeys has" },
  ),
);
