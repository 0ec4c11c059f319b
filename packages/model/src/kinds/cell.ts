// SPDX-License-Identifier: Apache-2.0

// Which edges serve whom. A zone that no Cell has is served by every edge.

import type * as z from "zod";
import { domainName, duration, list, name, object, wholeNumber } from "../fields.ts";
import { clusterMetadata, document } from "./metadata.ts";

const EDGES_MAX = 256;
const ASSIGNED_MAX = 2048;
const SHARE_MAX = 32;

const shuffle = object({
  edges: wholeNumber(1, SHARE_MAX).describe("How many of its edges each gets, 1 to 32."),
  overlap: wholeNumber(0, SHARE_MAX - 1).describe(
    "Most edges that two of them may have in common, 0 to 31 and less than edges.",
  ),
  seed: wholeNumber(0, 4_294_967_295).default(0).describe("Another number shuffles otherwise."),
}).refine(({ edges, overlap }) => overlap < edges, { path: ["overlap"], error: "less than edges" });

/** Edges that stand apart from others, and who is served by them alone. */
export const cellSchema = document(
  "Cell",
  clusterMetadata,
  object({
    edges: list(
      object({
        name: name().describe("Name that the edge has joined with."),
        nameServer: domainName()
          .optional()
          .describe("Host name by which parents of zones delegate to it."),
      }),
      1,
      EDGES_MAX,
    ).describe("Its edges; each belongs to one Cell at most."),
    tenants: list(name(), 0, ASSIGNED_MAX)
      .default([])
      .describe("Tenants whose zones it serves; each belongs to one Cell at most."),
    zones: list(domainName(), 0, ASSIGNED_MAX)
      .default([])
      .describe("Zones that it serves, whosever they are; each belongs to one Cell at most."),
    shuffle: shuffle
      .optional()
      .describe("Each tenant, and each of zones, gets some of the edges; all of them unless set."),
    leaveAfter: duration()
      .default("48h")
      .describe(
        "How long an edge goes on serving a zone that moves away from it, so that nobody has the old delegation any more; counted from the move, and the new edges have to serve it.",
      ),
  }).refine(({ edges, shuffle: share }) => share === undefined || share.edges <= edges.length, {
    path: ["shuffle", "edges"],
    error: "no more than the Cell has",
  }),
);

export type CellDocument = z.output<typeof cellSchema>;
