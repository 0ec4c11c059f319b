// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import type * as z from "zod";
import {
  domainName,
  exactlyOne,
  flag,
  list,
  name,
  object,
  oneOf,
  positiveDuration,
  reference,
  text,
  wholeNumber,
} from "../fields.ts";
import { document, domainMetadata } from "./metadata.ts";
import { answers, clientLocation } from "./shared.ts";

/** The types that a Record can answer. */
export const recordTypes = ["A", "AAAA", "CNAME", "HTTPS", "SVCB", "SRV"] as const;

export type RecordType = (typeof recordTypes)[number];

const port = wholeNumber(1, 65_535).optional();

/** A name bound to a policy. */
export const recordSchema = document(
  "Record",
  domainMetadata,
  exactlyOne(
    object({
      name: domainName().describe("Full name, with or without its last dot."),
      view: name().optional().describe("View of the zone that it lies in; none when not set."),
      types: list(oneOf(recordTypes), 1, recordTypes.length)
        .default(["A", "AAAA"])
        .describe("Types that the name answers; CNAME only by itself."),
      policy: reference()
        .optional()
        .describe("TrafficPolicy that decides; NAMESPACE/NAME with a Grant."),
      pool: reference()
        .optional()
        .describe("Pool to answer from, without a policy; NAMESPACE/NAME with a Grant."),
      ttl: object({
        min: positiveDuration().default("5s").describe("Shortest TTL, near a change of health."),
        max: positiveDuration().default("60s").describe("Longest TTL."),
      })
        .prefault({})
        .describe("Bounds of the TTL, which adapts to health."),
      answers,
      clientLocation,
      https: object({
        priority: wholeNumber(1, 65_535).default(1).describe("SvcPriority, 1 to 65535."),
        target: domainName().default(".").describe("TargetName; . is the name itself."),
        alpn: list(text(255), 1, 16).optional().describe("Protocols, such as h2 and h3."),
        port: port.describe("Port of the service, 1 to 65535."),
        hints: flag()
          .default(true)
          .describe("Whether addresses of the same decision are put in as hints."),
      })
        .optional()
        .describe("Parameters of HTTPS and SVCB answers (RFC 9460)."),
      srv: object({
        priority: wholeNumber(0, 65_535).default(0).describe("Priority, 0 to 65535."),
        weight: wholeNumber(0, 65_535).default(0).describe("Weight, 0 to 65535."),
        port: port.describe("Port, 1 to 65535; that of the endpoint when not set."),
        target: domainName()
          .optional()
          .describe("Target; the host name of the endpoint when not set."),
      })
        .optional()
        .describe("Parameters of SRV answers (RFC 2782)."),
      objective: object({
        recoveryTime: positiveDuration().describe("How long failing over may take."),
      })
        .optional()
        .describe("What the failover budget is compared with."),
    }),
    ["policy", "pool"],
  )
    .refine(({ types }) => new Set(types).size === types.length, {
      path: ["types"],
      error: "each type once",
    })
    .refine(({ types }) => types.length === 1 || !types.includes("CNAME"), {
      path: ["types"],
      error: "CNAME by itself, or types other than CNAME",
    })
    .refine(({ ttl }) => (parseDuration(ttl.min) ?? 0) <= (parseDuration(ttl.max) ?? 0), {
      path: ["ttl", "max"],
      error: "at least ttl.min",
    }),
);

export type RecordSpec = z.output<typeof recordSchema>["spec"];
