// SPDX-License-Identifier: Apache-2.0

// What plans answer, as schemas.

import * as z from "zod";
import { count, ms, named } from "./answer-components.ts";

const share = z.object({ target: z.string(), share: z.number() });

export const plannedNames: z.ZodType = named(
  "PlannedNames",
  z.object({
    compared: count,
    isComplete: z.boolean(),
    changedCount: count,
    changed: z.array(
      z.object({
        name: z.string(),
        change: z.enum(["created", "removed", "changed"]),
        records: z.boolean(),
        ttl: z.object({ before: z.number(), after: z.number() }).optional(),
        audiences: z.array(
          z.object({
            audience: z.string(),
            moved: z.number(),
            before: z.array(share),
            after: z.array(share),
          }),
        ),
      }),
    ),
  }),
);

export const plannedBudget: z.ZodType = named(
  "PlannedBudget",
  z.object({
    name: z.string(),
    detectionMs: ms,
    decisionMs: ms,
    publishMs: ms,
    ttlMs: ms,
    drainMs: ms,
    totalMs: ms,
  }),
);

export const plannedTraffic: z.ZodType = named(
  "PlannedTraffic",
  z.object({
    profile: z.string(),
    unit: z.string(),
    total: z.number(),
    withheld: z.object({ before: z.number(), after: z.number() }),
    loads: z.array(
      z.object({
        target: z.string(),
        before: z.number(),
        after: z.number(),
        error: z.number(),
        capacity: z.number().optional(),
        isOver: z.boolean(),
        wasOver: z.boolean(),
      }),
    ),
    flows: z.array(z.object({ from: z.string(), to: z.string(), load: z.number() })),
    course: z.object({
      caches: count,
      seconds: z.array(z.number()),
      places: z.array(z.object({ target: z.string(), loads: z.array(z.number()) })),
      stale: z.array(z.number()),
      drained: z.object({
        half: z.number().optional(),
        most: z.number().optional(),
        nearlyAll: z.number().optional(),
      }),
    }),
    undecided: z.array(z.object({ demand: z.string(), reason: z.string() })),
  }),
);
