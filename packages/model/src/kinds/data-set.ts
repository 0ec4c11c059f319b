// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import { exactlyOne, object, oneOf, positiveDuration, text, textLike } from "../fields.ts";
import { clusterMetadata, document } from "./metadata.ts";

/** The members of a DataSet's spec of which exactly one is there. */
export const dataSetKinds = ["country", "city", "asn", "prefixes", "latency", "resolvers"] as const;

export type DataSetKind = (typeof dataSetKinds)[number];

/** Data sets that are always there, from the demo data shipped; a document of the name replaces one. */
export const builtinDataSets: Readonly<Record<string, DataSetKind>> = {
  "demo-country": "country",
  "demo-asn": "asn",
};

const path = text(4096).describe("Path of the file, relative to this document.");

const fileOrBuiltin = exactlyOne(
  object({
    path: path.optional().describe("Path of the file, relative to this document."),
    builtin: oneOf(["demo"]).optional().describe("Use the demo data that is shipped."),
  }),
  ["path", "builtin"],
);

/** External data. */
export const dataSetSchema = document(
  "DataSet",
  clusterMetadata,
  exactlyOne(
    object({
      country: fileOrBuiltin.optional().describe("Countries by prefix (MaxMind schema, or flat)."),
      city: object({ path }).optional().describe("Cities by prefix (MaxMind schema)."),
      asn: fileOrBuiltin.optional().describe("Autonomous systems by prefix."),
      prefixes: object({ path }).optional().describe("CSV of prefix and place."),
      latency: object({ path })
        .optional()
        .describe("CSV of prefix, site, rtt_ms, samples and measured_at."),
      resolvers: object({ path })
        .optional()
        .describe("CSV of resolver prefix and client prefix, for resolvers without ECS."),
      sha256: textLike(/^[0-9a-f]{64}$/, "64 digits 0-9 and a-f")
        .optional()
        .describe("SHA-256 that the file must have."),
      maxAge: positiveDuration().optional().describe("Age from which a warning is given."),
    }),
    dataSetKinds,
  ),
);

export type DataSetSpec = z.output<typeof dataSetSchema>["spec"];

/** What a data set holds. */
export function dataSetKindOf(spec: DataSetSpec): DataSetKind {
  return dataSetKinds.find((kind) => spec[kind] !== undefined) ?? "country";
}
