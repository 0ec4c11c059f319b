// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import { domainName, ipAddress, object, wholeNumber } from "../fields.ts";

/** A primary that stays authoritative for a zone, and is told what is decided of its routed names. */
export const zonePublishTo = object({
  address: ipAddress().describe("Of the primary server of the zone."),
  port: wholeNumber(1, 65_535).default(53).describe("Its port, 1 to 65535."),
  tsigKey: domainName().describe(
    "Key of `tsigKeys` that signs both ways, and nothing else of the zone.",
  ),
});

export type ZonePublishTo = z.output<typeof zonePublishTo>;
