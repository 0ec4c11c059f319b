// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { domainLikeName, name, object, text, textOrEmpty } from "../fields.ts";

/** The version of the schemas that every document names. */
export const apiVersion = "meridian.dev/v1alpha1";

const labels = z
  .record(text(253), textOrEmpty(4096), { error: "a mapping from names to text" })
  .optional();

const common = {
  labels: labels.describe("Words to select and group documents by."),
  annotations: labels.describe("Notes for people and tools; they decide nothing."),
};

const named = { name: name().describe("Unique within kind and namespace."), ...common };

const namespace = name()
  .default("default")
  .describe("The tenant boundary; references stay within it.");

/** Metadata of the kinds that belong to no tenant. */
export const clusterMetadata = object(named);

/** Metadata of most kinds. */
export const namespacedMetadata = object({ ...named, namespace });

/** Metadata of Zone and Record, whose name may be the domain name itself. */
export const domainMetadata = object({
  ...common,
  name: domainLikeName().describe("Unique within kind and namespace; may be the domain name."),
  namespace,
});

/** A document: what every kind has around its `spec`. */
export function document<
  const Kind extends string,
  Metadata extends z.ZodType,
  Spec extends z.ZodType,
>(kind: Kind, metadata: Metadata, spec: Spec) {
  return object({
    apiVersion: z
      .literal(apiVersion, { error: `"${apiVersion}"` })
      .describe("Version of the schema."),
    kind: z.literal(kind, { error: `"${kind}"` }).describe("Kind of the document."),
    metadata: metadata.describe("What the document is called."),
    spec: spec.describe("What the document says."),
  });
}
