// SPDX-License-Identifier: Apache-2.0

// How much is asked for, and from where: what plans, shifts and simulations weigh against the capacity of endpoints and sites.

import type * as z from "zod";
import {
  amount,
  domainName,
  duration,
  exactlyOne,
  mapOf,
  object,
  oneOf,
  positiveDuration,
  prefix,
  text,
  textLike,
  wholeNumber,
} from "../fields.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { continents } from "./shared.ts";

/** Where clients are. */
export const demandSource = exactlyOne(
  object({
    everywhere: object({}).optional().describe("Clients anywhere, alike for every address."),
    continent: oneOf(continents).optional().describe("Clients of a continent."),
    country: textLike(/^[A-Z]{2}$/, "an ISO 3166-1 country code such as DE")
      .optional()
      .describe("Clients of a country, by its ISO 3166-1 alpha-2 code."),
    asn: wholeNumber(0, 4_294_967_295)
      .optional()
      .describe("Clients of an autonomous system, 0 to 4294967295."),
    prefix: prefix().optional().describe("Clients of an address prefix."),
  }),
  ["everywhere", "continent", "country", "asn", "prefix"],
);

/** Declared demand by name and audience. */
export const trafficProfileSchema = document(
  "TrafficProfile",
  namespacedMetadata,
  object({
    unit: text(32)
      .default("requests/s")
      .describe("What demand is counted in; capacity of endpoints and sites is taken to be, too."),
    demand: mapOf(
      object({
        name: domainName().describe("Name of a Record that these clients look up."),
        from: demandSource.prefault({ everywhere: {} }).describe("Where the clients are."),
        rate: amount().describe("How much they ask for together, 0 or more, in `unit`."),
      }),
    ).describe("Demand by names of your choice; all of it adds up."),
    resolvers: mapOf(
      object({
        share: amount().default(1).describe("Part of the demand behind them, beside the others'."),
        caches: wholeNumber(1, 100_000)
          .default(100)
          .describe("How many caches the part is spread over, 1 to 100000."),
        ttlFloor: duration().default("0s").describe("Answers are kept at least so long."),
        ttlCap: positiveDuration().default("24h").describe("Answers are kept at most so long."),
      }),
    )
      .optional()
      .describe(
        "Caches of resolvers between clients and edges, by names of your choice; when not set, 100 of which 15 keep answers 30 s and 5 keep them 60 s at least.",
      ),
  }),
);

export type TrafficProfileDocument = z.output<typeof trafficProfileSchema>;
export type TrafficProfileSpec = TrafficProfileDocument["spec"];
export type DemandSource = TrafficProfileSpec["demand"][string]["from"];
