// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import { amount, list, name, object, oneOf, text, textLike } from "../fields.ts";
import { clusterMetadata, document } from "./metadata.ts";
import { continents, coordinates } from "./shared.ts";

/** A place that serves: a zone, cluster or region. */
export const siteSchema = document(
  "Site",
  clusterMetadata,
  object({
    parent: name().optional().describe("Site that this one is part of."),
    coordinates: coordinates
      .optional()
      .describe("Where the site is; that of the parent when not set."),
    country: textLike(/^[A-Z]{2}$/, "an ISO 3166-1 country code such as DE")
      .optional()
      .describe("ISO 3166-1 alpha-2 code."),
    continent: oneOf(continents).optional().describe("Continent code."),
    capacity: amount()
      .optional()
      .describe("What the site can carry, 0 or more, in a unit of your choice."),
    failureDomains: list(text(63), 0, 64)
      .default([])
      .describe("Things that fail as one, such as a power feed; answers are spread over them."),
  }),
);

export type SiteSpec = z.output<typeof siteSchema>["spec"];
