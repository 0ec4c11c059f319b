// SPDX-License-Identifier: Apache-2.0

// The parts of answers that have a name: components of the description of the API, which answers refer to.

import * as z from "zod";

/** Names of the schemas below. */
export const components: z.core.$ZodRegistry<{ id: string }> = z.registry();

function named<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
  components.add(schema, { id });
  return schema;
}

/** Milliseconds since 1970, or a length in milliseconds; some clocks have fractions of them. */
export const ms: z.ZodType = z.number();
export const count: z.ZodType = z.int().min(0);
export const verdict: z.ZodType = z.enum(["unknown", "healthy", "unhealthy"]);

/** openapi.ts has the kinds; this is what all of them have in common. */
export const document: z.ZodType = named(
  "Document",
  z.object({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: z.object({
      name: z.string(),
      namespace: z.string().optional(),
      labels: z.record(z.string(), z.string()).optional(),
      resourceVersion: z.string().optional(),
      creationRevision: z.string().optional(),
      owner: z.string().optional(),
      uid: z.string().optional(),
      generation: z.int().optional(),
      line: z.int().optional(),
    }),
    spec: z.unknown(),
  }),
);

export const problem: z.ZodType = named(
  "DocumentProblem",
  z.object({
    severity: z.enum(["error", "warning"]),
    code: z.string(),
    document: z.string(),
    path: z.string(),
    message: z.string(),
    found: z.string().optional(),
    wanted: z.string().optional(),
    suggestion: z.string().optional(),
  }),
);

export const refusal: z.ZodType = named(
  "Refusal",
  z.object({
    error: z.string(),
    code: z.string().optional(),
    problems: z.array(problem).optional(),
    referrers: z.array(z.string()).optional(),
  }),
);

export const fileProblem: z.ZodType = named(
  "FileProblem",
  z.object({
    severity: z.enum(["error", "warning"]),
    code: z.string(),
    file: z.string(),
    line: z.int(),
    column: z.int(),
    path: z.string(),
    message: z.string(),
    found: z.string().optional(),
    wanted: z.string().optional(),
    suggestion: z.string().optional(),
  }),
);

const key = { kind: z.string(), namespace: z.string(), name: z.string() };
const changed = { ...key, change: z.enum(["created", "configured", "unchanged", "deleted"]) };
export const change: z.ZodType = named("Change", z.object(changed));

export const applied: z.ZodType = named(
  "Applied",
  z.object({
    revision: count,
    snapshot: count,
    dryRun: z.boolean(),
    changes: z.array(change),
    warnings: z.array(problem),
    publication: z.enum(["live", "pending", "withdrawn"]),
  }),
);

export const difference: z.ZodType = named(
  "Difference",
  z.object({
    ...changed,
    differences: z.array(
      z.object({
        path: z.string(),
        before: z.unknown().optional(),
        after: z.unknown().optional(),
      }),
    ),
  }),
);

export const who: z.ZodType = named(
  "Who",
  z.object({
    subject: z.string(),
    token: z.string().optional(),
    address: z.string().optional(),
    actor: z.string().optional(),
  }),
);
export const witness: z.ZodType = named(
  "Witness",
  z.object({
    vantage: z.string(),
    verdict,
    reason: z.string(),
    sinceMs: ms,
    counts: z.boolean(),
  }),
);

export const edge: z.ZodType = named(
  "Edge",
  z.object({
    name: z.string(),
    connected: z.boolean(),
    standing: z.enum(["serving", "behind", "silent", "revoked"]),
    epoch: count.optional(),
    revision: count.optional(),
    sequence: count.optional(),
    lastWordMs: ms.optional(),
    version: z.string().optional(),
    address: z.string().optional(),
    staleMs: ms.optional(),
    answers: z
      .object({ queriesPerSecond: z.number(), servfailShare: z.number(), emptyShare: z.number() })
      .optional(),
    hash: z.string().optional(),
    cell: z.string().optional(),
    certificateEndsMs: ms.optional(),
    control: z.string().optional(),
  }),
);

export const shard: z.ZodType = named(
  "Shard",
  z.object({
    name: z.string(),
    cell: z.string(),
    unit: z.string(),
    edges: z.array(z.string()),
    nameServers: z.array(z.string()),
    leaving: z.array(z.string()),
    zones: count,
    overlap: count,
  }),
);

export const control: z.ZodType = named(
  "Control",
  z.object({
    name: z.string(),
    role: z.enum(["leader", "follower", "away"]),
    standing: z.enum(["agrees", "waits", "differs"]).optional(),
    epoch: count.optional(),
    revision: count.optional(),
    storeRevision: count.optional(),
    storeAgeMs: ms.optional(),
    version: z.string().optional(),
    address: z.string(),
    certificateEndsMs: ms.optional(),
    authorityEndsMs: ms.optional(),
  }),
);

export const behind: z.ZodType = named(
  "EdgeBehind",
  z.object({ name: z.string(), revision: count, silentMs: ms.optional() }),
);

export const endpoint: z.ZodType = named(
  "Endpoint",
  z.object({
    endpoint: z.string(),
    address: z.string(),
    site: z.string(),
    verdict: z.enum(["unknown", "healthy", "unhealthy", "unchecked"]),
    reason: z.string(),
    sinceMs: ms.optional(),
    admin: z.string(),
    dial: z.number(),
    capacityFactor: z.number(),
    changeSeconds: z.number(),
    answers: count,
  }),
);

export const shift: z.ZodType = named(
  "RunningShift",
  z.object({
    id: z.string(),
    target: z.string(),
    percent: z.number(),
    reason: z.string(),
    actor: z.string(),
    createdAtMs: ms,
    expiresAtMs: ms,
  }),
);

const explainPool = named(
  "ExplainedPool",
  z.object({
    pool: z.string(),
    status: z.string(),
    members: z.array(
      z.object({
        endpoint: z.string(),
        kept: z.boolean(),
        why: z.string(),
        weight: z.number(),
      }),
    ),
  }),
);
const explainNode: z.ZodType = named(
  "ExplainedNode",
  z.object({
    node: z.string(),
    kind: z.string(),
    verdicts: z.string(),
    audience: z.int().optional(),
    place: z.string().optional(),
    scope: z.int().optional(),
    status: z.string(),
    latch: z.string().optional(),
    branches: z.array(
      z.object({
        target: z.string(),
        result: z.string(),
        weight: z.number().optional(),
        of: z.number().optional(),
        dial: z.number().optional(),
        fence: z.boolean(),
        node: z.lazy(() => explainNode).optional(),
        pool: explainPool.optional(),
      }),
    ),
  }),
);

export const explanation: z.ZodType = named(
  "Explanation",
  z.object({
    name: z.string(),
    type: z.string(),
    revision: count,
    sequence: count,
    at: z.string(),
    zone: z.string().optional(),
    shard: z
      .object({
        cell: z.string(),
        unit: z.string(),
        edges: z.array(z.string()),
        leaving: z.array(z.string()),
      })
      .optional(),
    outcome: z.string(),
    target: z.string().optional(),
    client: z.object({ prefix: z.string(), from: z.string() }).optional(),
    scope: z.int().optional(),
    draw: z.int().optional(),
    ttl: z.int().optional(),
    ede: z.int().optional(),
    tree: z.object({ passes: z.array(explainNode), pools: z.array(explainPool) }).optional(),
    chances: z.array(z.object({ outcome: z.string(), chance: z.number() })).optional(),
    answer: z.array(z.string()),
    budget: z
      .object({
        detectionMs: ms,
        decisionMs: ms,
        publishMs: ms,
        ttlMs: ms,
        totalMs: ms,
      })
      .optional(),
    text: z.string(),
  }),
);

export const documents: z.ZodType = named(
  "Documents",
  z.object({ revision: count, items: z.array(document), continue: z.string().optional() }),
);
