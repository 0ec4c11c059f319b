// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import {
  amount,
  endpointAddress,
  exactlyOne,
  flag,
  ipAddress,
  mapOf,
  name,
  numberBetween,
  object,
  oneOf,
  positiveDuration,
  text,
  textLike,
  wholeNumber,
  reference,
} from "../fields.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { prometheusQuestion } from "./prometheus-source.ts";
import { answers, dial, minHealthy } from "./shared.ts";

const port = wholeNumber(1, 65_535).optional();

const member = object({
  address: endpointAddress().describe("IPv4 address, IPv6 address or host name."),
  port: port.describe("Port of the service, 1 to 65535; probes use it unless they name another."),
  protocol: oneOf(["TCP", "UDP"]).default("TCP").describe("Transport of the service."),
  site: name().optional().describe("Site where the endpoint is."),
  weight: wholeNumber(0, 1_000_000)
    .default(1)
    .describe("Share among its peers, 0 to 1000000; 0 serves only when no other can."),
  priority: wholeNumber(0, 100)
    .default(0)
    .describe("Lower ones first, 0 to 100; the next only when none of the former is eligible."),
  capacity: amount()
    .optional()
    .describe("What the endpoint can carry, 0 or more, in the same unit as its peers."),
  serve: oneOf(["auto", "always", "never"])
    .default("auto")
    .describe("Whether health decides, or it is always or never eligible."),
  resolve: flag()
    .default(false)
    .describe("Whether a host name is resolved here, rather than answered as a CNAME."),
  alsoAddress: ipAddress()
    .optional()
    .describe("Address of the other family of the same endpoint; judged as one with the first."),
  failureDomain: text(63)
    .optional()
    .describe("What it fails together with; its site when not set."),
});

const load = exactlyOne(
  object({
    orca: object({
      port: port.describe("Port of the health check, 1 to 65535: load is read from its answers."),
      path: httpPath().describe("Path of the health check, whose answers carry ORCA headers."),
      metric: text(128)
        .default("application_utilization")
        .describe("Name of the ORCA metric, 0 idle to 1 full."),
    })
      .optional()
      .describe("Load from the ORCA headers of a response."),
    json: object({
      port: port.describe("Port of the health check, 1 to 65535: load is read from its answers."),
      path: httpPath().describe("Path of the health check, whose answers are JSON."),
      pointer: textLike(/^(\/([^/~]|~[01])*)+$/, "a JSON pointer such as /load").describe(
        "JSON pointer (RFC 6901) to the load, 0 idle to 1 full.",
      ),
    })
      .optional()
      .describe("Load from a value in a JSON response."),
    prometheus: prometheusQuestion
      .optional()
      .describe("Load from a Prometheus query, one for all members."),
    interval: positiveDuration()
      .default("5s")
      .describe(
        "How often Prometheus is asked, once a second at most; ORCA and JSON come with each probe.",
      ),
    scale: numberBetween(0.000001, 1_000_000_000)
      .default(1)
      .describe("Value that means full; what is read is divided by it."),
  }),
  ["orca", "json", "prometheus"],
);

const members = mapOf(member);

/** Endpoints that can stand in for one another. */
export const poolSchema = document(
  "Pool",
  namespacedMetadata,
  object({
    members: members.default({}).describe("Endpoints by name; EndpointSets may contribute more."),
    healthCheck: name().optional().describe("HealthCheck that judges every member."),
    evaluateHealth: flag().default(true).describe("Whether health keeps members out of answers."),
    dial,
    minHealthy: minHealthy
      .optional()
      .describe("How many members must be healthy for the pool to be; 1 when not set."),
    answers,
    load: load.optional().describe("Where the load of the members comes from."),
  }),
);

/** Members of a pool contributed by one owner. */
export const endpointSetSchema = document(
  "EndpointSet",
  namespacedMetadata,
  object({
    pool: reference().describe("Pool that the members join; NAMESPACE/NAME with a Grant."),
    members: members.describe("Endpoints by name, as in a Pool."),
  }),
);

export type PoolSpec = z.output<typeof poolSchema>["spec"];
export type EndpointSetSpec = z.output<typeof endpointSetSchema>["spec"];
export type MemberSpec = PoolSpec["members"][string];
export type LoadSpec = NonNullable<PoolSpec["load"]>;
export type MinHealthySpec = NonNullable<PoolSpec["minHealthy"]>;

function httpPath(): z.ZodDefault<z.ZodString> {
  return textLike(/^\/[!-~]{0,2047}$/, "a path that starts with /").default("/");
}
