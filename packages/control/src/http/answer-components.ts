// SPDX-License-Identifier: Apache-2.0

// The parts of answers that have a name: components of the description of the API, which answers refer to.

import { shiftPrecedences } from "@meridian/model";
import * as z from "zod";

/** Names of the schemas below. */
export const components: z.core.$ZodRegistry<{ id: string }> = z.registry();

export function named<Schema extends z.ZodType>(id: string, schema: Schema): Schema {
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
    dns: z.array(z.string()).optional(),
    staleMs: ms.optional(),
    answers: z
      .object({ queriesPerSecond: z.number(), servfailShare: z.number(), emptyShare: z.number() })
      .optional(),
    hash: z.string().optional(),
    cell: z.string().optional(),
    certificateEndsMs: ms.optional(),
    control: z.string().optional(),
    disk: z.object({ what: z.string(), reason: z.string(), sinceMs: ms }).optional(),
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

export const secondaryZone: z.ZodType = named(
  "SecondaryZone",
  z.object({
    name: z.string(),
    zone: z.string(),
    state: z.string(),
    serial: count.optional(),
    primary: z.string().optional(),
    takenMs: ms.optional(),
    expiresMs: ms.optional(),
    refreshedMs: ms.optional(),
    nextMs: ms.optional(),
    failures: count,
    error: z.string().optional(),
  }),
);
export const signedZone: z.ZodType = named(
  "SignedZone",
  z.object({
    name: z.string(),
    zone: z.string(),
    denial: z.string(),
    isLeaving: z.boolean(),
    keys: z.array(
      z.object({
        keyTag: count,
        role: z.string(),
        algorithm: z.string(),
        stage: z.string(),
        publishedMs: ms,
        next: z.string(),
        nextMs: ms.optional(),
      }),
    ),
    ds: z.array(z.string()),
    cdnskey: z.array(z.string()),
    isParentDone: z.boolean().optional(),
    signaturesEndMs: ms,
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

export const routingControl: z.ZodType = named(
  "RoutingControlState",
  z.object({
    name: z.string(),
    panel: z.string(),
    state: z.enum(["On", "Off"]),
    changedAtMs: ms,
    actor: z.string(),
    reason: z.string(),
    targets: z.array(z.string()),
    rules: z.array(z.string()),
    handover: z
      .object({
        wanted: z.enum(["On", "Off"]),
        startedAtMs: ms,
        waitsFor: z.array(z.object({ who: z.string(), why: z.string(), forMs: ms.optional() })),
      })
      .optional(),
  }),
);

const drillRun = z.object({
  id: z.string(),
  by: z.string(),
  startedAtMs: ms,
  endedAtMs: ms.optional(),
  outcome: z.enum(["succeeded", "failed", "interrupted", "capacity check failed"]).optional(),
  reason: z.string().optional(),
});
export const drill: z.ZodType = named(
  "DrillState",
  z.object({
    name: z.string(),
    target: z.string(),
    state: z.enum(["idle", "running", "ending", "paused"]),
    nextAtMs: ms,
    waits: z.string().optional(),
    current: drillRun.extend({ stage: z.string() }).optional(),
    last: drillRun.optional(),
    past: z.array(drillRun),
  }),
);

const vote = z.object({ by: z.string(), atMs: ms, approves: z.boolean(), reason: z.string() });
export const approval: z.ZodType = named(
  "ApprovalRequest",
  z.object({
    id: z.string(),
    state: z.enum(["pending", "approved", "rejected", "used", "expired", "unreviewed", "reviewed"]),
    verb: z.string(),
    author: z.string(),
    reason: z.string(),
    about: z.string(),
    namespace: z.string(),
    targets: z.array(
      z.object({
        kind: z.string(),
        namespace: z.string().optional(),
        labels: z.record(z.string(), z.string()).optional(),
        domain: z.string().optional(),
        verbs: z.array(z.string()),
        name: z.string(),
      }),
    ),
    changes: z.array(z.unknown()),
    policies: z.array(z.string()),
    needed: count,
    approved: count,
    votes: z.array(vote),
    createdAtMs: ms,
    expiresAtMs: ms,
  }),
);

export const recoveryPlan: z.ZodType = named(
  "RecoveryPlanRow",
  z.object({
    name: z.string(),
    description: z.string(),
    steps: count,
    triggers: count,
    findings: z.array(
      z.object({ severity: z.enum(["error", "warning"]), step: z.string(), message: z.string() }),
    ),
    objectiveMs: ms.optional(),
    lastRun: z.string().optional(),
    lastState: z.string().optional(),
    lastAtMs: ms.optional(),
  }),
);

const recoveryRunFacts = {
  name: z.string(),
  id: z.string(),
  mode: z.enum(["graceful", "ungraceful"]),
  state: z.enum(["running", "paused", "completed", "canceled", "rolled-back"]),
  isRollingBack: z.boolean(),
  actor: z.string(),
  reason: z.string(),
  trigger: z.string().optional(),
  createdAtMs: ms,
  sinceMs: ms,
  endedAtMs: ms.optional(),
  recoveryMs: ms.optional(),
  objectiveMs: ms.optional(),
  isMet: z.boolean().optional(),
  names: z.array(z.string()),
};

export const recoveryRun: z.ZodType = named(
  "RecoveryRunRow",
  z.object({ ...recoveryRunFacts, steps: count, done: count, current: z.string() }),
);

export const recoveryReport: z.ZodType = named(
  "RecoveryReport",
  z.object({
    ...recoveryRunFacts,
    phases: z.array(
      z.object({
        name: z.enum(["detection", "decision", "propagation", "drain", "health"]),
        fromMs: ms,
        toMs: ms,
      }),
    ),
    steps: z.array(
      z.object({
        name: z.string(),
        kind: z.string(),
        state: z.enum(["waiting", "running", "done", "failed", "skipped", "undoing", "undone"]),
        startedAtMs: ms.optional(),
        endedAtMs: ms.optional(),
        tries: count,
        detail: z.string(),
        canBeUndone: z.boolean(),
      }),
    ),
    events: z.array(
      z.object({
        atMs: ms,
        actor: z.string(),
        what: z.string(),
        step: z.string().optional(),
        reason: z.string(),
      }),
    ),
    page: z.string().optional(),
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
    startsAtMs: ms.optional(),
    expiresAtMs: ms,
    return: z.object({ percent: z.number(), everyMs: ms }).optional(),
    precedence: z.enum(shiftPrecedences).optional(),
    moves: z.number().optional(),
    overruledBy: z.string().optional(),
    ttlLoweredAtMs: ms.optional(),
    progress: z
      .object({
        state: z.enum(["announced", "answered", "draining", "drained", "returning"]),
        share: z.number().optional(),
        answers: count,
        windowSeconds: count,
        lastAnswerMs: ms.optional(),
        emptyAtMs: ms.optional(),
        reported: z
          .object({ endpoints: count, load: z.number(), traffic: z.number().optional() })
          .optional(),
        silentEdges: count,
      })
      .optional(),
  }),
);

export const rollout: z.ZodType = named(
  "RolloutState",
  z.object({
    name: z.string(),
    target: z.string(),
    phase: z.enum(["idle", "progressing", "waiting", "paused", "succeeded", "aborted"]),
    wave: count,
    waves: count,
    site: z.string().optional(),
    step: count,
    steps: count,
    weight: z.number(),
    reason: z.string(),
    actor: z.string(),
    startedAtMs: ms,
    changedAtMs: ms,
    analyses: z.array(
      z.object({
        name: z.string(),
        successes: count,
        failures: count,
        inconclusives: count,
        errors: count,
        empty: count,
        lastMs: ms,
        last: z.string(),
      }),
    ),
    earliestEndMs: ms.optional(),
    edges: z.object({ waiting: z.array(behind), silent: z.array(behind) }).optional(),
    promotions: count,
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
        instead: z.object({ weight: z.number(), cause: z.string() }).optional(),
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
    view: z.object({ name: z.string().optional(), why: z.string() }).optional(),
    shard: z
      .object({
        cell: z.string(),
        unit: z.string(),
        edges: z.array(z.string()),
        leaving: z.array(z.string()),
      })
      .optional(),
    isRefused: z.literal(true).optional(),
    published: z.string().optional(),
    outcome: z.string(),
    target: z.string().optional(),
    client: z.object({ prefix: z.string(), from: z.string() }).optional(),
    scope: z.int().optional(),
    draw: z.int().optional(),
    variants: z.int().optional(),
    ttl: z.int().optional(),
    ede: z.int().optional(),
    tree: z.object({ passes: z.array(explainNode), pools: z.array(explainPool) }).optional(),
    chances: z.array(z.object({ outcome: z.string(), chance: z.number() })).optional(),
    answer: z.array(z.string()),
    signing: z
      .object({
        keys: z.array(z.object({ tag: z.int(), algorithm: z.int() })),
        denial: z.string(),
        validitySeconds: count,
        refreshSeconds: count,
        isReady: z.boolean(),
        inception: z.string().optional(),
        expiration: z.string().optional(),
        refresh: z.string().optional(),
      })
      .optional(),
    budget: z
      .object({
        detectionMs: ms,
        decisionMs: ms,
        publishMs: ms,
        ttlMs: ms,
        drainMs: ms,
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
