// SPDX-License-Identifier: Apache-2.0
import { parseDuration } from "@meridian/core";
import * as z from "zod";
import {
  domainName,
  duration,
  exactlyOne,
  flag,
  httpUrl,
  list,
  name,
  numberBetween,
  object,
  oneOf,
  positiveDuration,
  text,
  textLike,
  textOrEmpty,
  wholeNumber,
} from "../fields.ts";
import { limits } from "../limits.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { secret } from "./shared.ts";

/** The members of a HealthCheck's spec of which exactly one is there. */
export const probeKinds = [
  "http",
  "https",
  "tcp",
  "tls",
  "grpc",
  "dns",
  "icmp",
  "prometheus",
  "push",
  "calculated",
] as const;

export type ProbeKind = (typeof probeKinds)[number];

const port = wholeNumber(1, 65_535)
  .optional()
  .describe("Port to probe, 1 to 65535; that of the endpoint when not set.");

const statusForm = /^[1-5][0-9]{2}(-[1-5][0-9]{2})?$/;
const headerName = textLike(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, "a header name");

const http = {
  port,
  path: textLike(/^\/[!-~]{0,2047}$/, "a path that starts with /")
    .default("/")
    .describe("Path and query to ask for."),
  method: oneOf(["GET", "HEAD", "POST", "OPTIONS"])
    .default("GET")
    .describe("Method of the request."),
  host: domainName().optional().describe("Host header; the address of the endpoint when not set."),
  headers: z
    .record(headerName, textOrEmpty(4096), { error: "a mapping from header names to text" })
    .optional()
    .describe("More request headers."),
  secretHeaders: z
    .record(headerName, secret, { error: "a mapping from header names to secrets" })
    .optional()
    .describe("Request headers whose values are secrets, which every vantage is sent sealed."),
  expectedStatus: list(textLike(statusForm, "a status such as 204 or 200-299"), 1, 32)
    .default(["200-299"])
    .describe("Statuses and ranges of statuses that count as success."),
  bodyContains: text(1024)
    .optional()
    .describe("Text that must occur in the first 64 KiB of the body."),
};

const certificate = {
  serverName: domainName()
    .optional()
    .describe("Name in SNI and the certificate; the Host or address when not set."),
  insecureSkipVerify: flag()
    .default(false)
    .describe("Whether any certificate is accepted, an expired one too."),
  ca: text(4096).optional().describe("Path of a PEM file of trusted issuers."),
};

const probes = {
  http: object(http).optional().describe("An HTTP request."),
  https: object({
    ...http,
    ...certificate,
    http2: flag().default(true).describe("Whether HTTP/2 is used where it is offered."),
  })
    .optional()
    .describe("An HTTP request over TLS, certificate checked."),
  tcp: object({
    port,
    send: text(1024).optional().describe("Text to send once connected."),
    expect: text(1024).optional().describe("Text that must come back."),
  })
    .optional()
    .describe("A TCP connection."),
  tls: object({
    port,
    ...certificate,
    minDaysToExpiry: wholeNumber(0, 3650)
      .optional()
      .describe("Days that the certificate must still be valid, 0 to 3650."),
  })
    .optional()
    .describe("A TLS handshake, certificate checked."),
  grpc: object({
    port,
    service: textOrEmpty(256)
      .default("")
      .describe("Service to ask for; empty for the whole server."),
    tls: object(certificate).optional().describe("Use TLS; plain text when not set."),
  })
    .optional()
    .describe("The gRPC health protocol."),
  dns: object({
    port: wholeNumber(1, 65_535).default(53).describe("Port to ask, 1 to 65535."),
    name: domainName().describe("Name to ask for."),
    recordType: textLike(/^[A-Z0-9]{1,16}$/, "a record type such as A")
      .default("A")
      .describe("Type to ask for."),
    expectedRcodes: list(textLike(/^[A-Z]{1,16}$/, "a response code such as NOERROR"), 1, 16)
      .default(["NOERROR"])
      .describe("Response codes that count as success."),
    contains: text(1024).optional().describe("Text that must occur in an answer record."),
  })
    .optional()
    .describe("A DNS query to the endpoint."),
  icmp: object({}).optional().describe("An ICMP echo."),
  prometheus: object({
    url: httpUrl().describe("Address of the Prometheus server."),
    query: text(8192).describe("Query; `{address}`, `{site}` and `{endpoint}` are filled in."),
    comparison: exactlyOne(
      object({
        gt: anyNumber().describe("Healthy above this value."),
        ge: anyNumber().describe("Healthy at or above this value."),
        lt: anyNumber().describe("Healthy below this value."),
        le: anyNumber().describe("Healthy at or below this value."),
        eq: anyNumber().describe("Healthy at this value."),
      }),
      ["gt", "ge", "lt", "le", "eq"],
    ).describe("What the value is compared with."),
    insufficientData: oneOf(["healthy", "unhealthy", "lastKnown"])
      .default("lastKnown")
      .describe("What no data means; lastKnown without a history is healthy."),
  })
    .optional()
    .describe("A Prometheus query."),
  push: object({
    staleAfter: positiveDuration()
      .default("30s")
      .describe("How long a pushed report counts; then the endpoint is unknown."),
  })
    .optional()
    .describe("Reports that are pushed from outside."),
  calculated: object({
    children: list(name(), 1, limits.calculatedChildrenMax).describe(
      "HealthChecks that are counted, none of them calculated.",
    ),
    minHealthy: wholeNumber(0, limits.calculatedChildrenMax).describe(
      "Children that must be healthy, 0 to 256.",
    ),
  })
    .optional()
    .describe("A count of other checks."),
};

const judging = {
  interval: positiveDuration().default("10s").describe("Time between probes, 100ms or more."),
  timeout: positiveDuration()
    .optional()
    .describe("Time a probe may take, below interval; half of it, at most 5s, when not set."),
  unhealthyThreshold: wholeNumber(1, 10)
    .default(3)
    .describe("Failures in a row that make an endpoint unhealthy, 1 to 10."),
  healthyThreshold: wholeNumber(1, 10)
    .default(2)
    .describe("Successes in a row that make an endpoint healthy, 1 to 10."),
  initial: oneOf(["healthy", "unhealthy", "unknown"])
    .default("unknown")
    .describe("Verdict before the first probes; unknown is not eligible."),
  holdDown: duration()
    .optional()
    .describe("How long an endpoint stays unhealthy at least once it is."),
  flapDamping: object({
    maxFlips: wholeNumber(1, 100).describe("Flips within the window that start damping, 1 to 100."),
    window: positiveDuration().describe("Time over which flips are counted."),
    hold: positiveDuration().describe("How long the endpoint then stays unhealthy."),
  })
    .optional()
    .describe("Keeps an endpoint that flips often out of answers."),
  inverted: flag().default(false).describe("Whether success and failure are swapped."),
  disabled: flag().default(false).describe("Whether probing stops and every endpoint is healthy."),
  failFast: flag().default(false).describe("Whether a failure is tried again at once."),
  jitter: numberBetween(0, 5)
    .default(5)
    .describe("Spread of the interval, 0 to 5 %; fixed for each endpoint."),
  vantages: list(name(), 1, 64)
    .optional()
    .describe("Where probes run from; chosen by hash from all when not set."),
  quorum: exactlyOne(
    object({
      majority: object({}).optional().describe("More than half of the fresh vantages."),
      percentHealthy: numberBetween(0, 99.9)
        .optional()
        .describe("More than this share of the fresh vantages, 0 to 99.9 %; Route 53 uses 18."),
    }),
    ["majority", "percentHealthy"],
  )
    .optional()
    .describe("When the vantages together say healthy; majority when not set."),
  minVantages: wholeNumber(1, 64)
    .optional()
    .describe("Fresh vantages below which the verdict is held, 1 to 64."),
  maxVerdictAge: positiveDuration()
    .optional()
    .describe("Age after which a verdict becomes unknown."),
};

/** How an endpoint is judged. */
export const healthCheckSchema = document(
  "HealthCheck",
  namespacedMetadata,
  exactlyOne(object({ ...probes, ...judging }), probeKinds)
    .refine(({ interval }) => milliseconds(interval) >= limits.probeIntervalMsMin, {
      path: ["interval"],
      error: `${limits.probeIntervalMsMin}ms or more`,
    })
    .refine(
      ({ interval, timeout }) =>
        timeout === undefined || milliseconds(timeout) < milliseconds(interval),
      { path: ["timeout"], error: "less than interval" },
    ),
);

export type HealthCheckSpec = z.output<typeof healthCheckSchema>["spec"];

/** Which kind of probe a check uses. */
export function probeKindOf(spec: HealthCheckSpec): ProbeKind {
  return probeKinds.find((kind) => spec[kind] !== undefined) ?? "tcp";
}

/** The cadence of a check in milliseconds, its default timeout worked out. */
export function probeTiming(spec: HealthCheckSpec): {
  readonly intervalMs: number;
  readonly timeoutMs: number;
} {
  const intervalMs = milliseconds(spec.interval);
  const half = Math.min(intervalMs / 2, limits.probeTimeoutDefaultMsMax);
  return { intervalMs, timeoutMs: spec.timeout === undefined ? half : milliseconds(spec.timeout) };
}

function milliseconds(value: string): number {
  return parseDuration(value) ?? 0;
}

function anyNumber(): z.ZodOptional<z.ZodNumber> {
  return z.number({ error: "a number" }).optional();
}
