// SPDX-License-Identifier: Apache-2.0

// What the API answers, as schemas: its OpenAPI and the types of the command's client are made from them, and in tests every answer is held
// against them.

import * as z from "zod";
import { plannedBudget, plannedNames, plannedTraffic } from "./plan-schemas.ts";

import {
  applied,
  behind,
  change,
  components,
  control,
  count,
  difference,
  document,
  documents,
  edge,
  endpoint,
  explanation,
  fileProblem,
  ms,
  problem,
  refusal,
  shard,
  secondaryZone,
  signedZone,
  approval,
  recoveryPlan,
  recoveryReport,
  recoveryRun,
  rollout,
  drill,
  routingControl,
  shift,
  verdict,
  who,
  witness,
} from "./answer-components.ts";

function page(item: z.ZodType): z.ZodType {
  return z.object({ items: z.array(item), continue: z.string().optional() });
}

/** Of a change that control itself made, there may be less. */
const shownSet = {
  revision: count,
  at: z.string(),
  verb: z.string().optional(),
  who: who.optional(),
  reason: z.string().optional(),
  breakGlass: z.boolean().optional(),
};

const tallies = { endpoints: count, healthy: count, drained: count, answers: count };

const token = {
  name: z.string(),
  subject: z.string(),
  roles: z.array(z.string()),
  expiresAt: z.string(),
};

/** By the id of the operation. */
const answers: Readonly<Record<string, z.ZodType>> = {
  listAll: documents,
  listKind: documents,
  listNamespace: z.union([documents, document]),
  get: document,
  put: applied,
  putClusterWide: applied,
  delete: applied,
  deleteClusterWide: applied,
  apply: applied,
  rollback: applied,
  plan: z.object({
    revision: count,
    changes: z.array(difference),
    changedCount: count.optional(),
    warnings: z.array(problem),
    names: plannedNames,
    budgets: z.array(plannedBudget),
    traffic: plannedTraffic.optional(),
    objections: z.array(z.object({ rule: z.string(), why: z.string() })),
    lowerings: z.array(
      z.object({
        target: z.string(),
        fromMs: ms,
        startsAtMs: ms,
        ttl: count,
        least: z.object({ from: count, to: count }),
      }),
    ),
    handovers: z.array(z.object({ panel: z.string(), upToMs: count })),
  }),
  diffApply: z.object({
    revision: count,
    changes: z.array(difference),
    warnings: z.array(problem),
  }),
  diffRevisions: z.object({ from: count, to: count, changes: z.array(difference) }),
  history: z.object({
    revision: count,
    items: z.array(z.object({ ...shownSet, changes: z.array(change) })),
  }),
  status: z.object({
    version: z.string(),
    ready: z.boolean(),
    revision: count,
    overlaySequence: count,
    servedSinceMs: ms.optional(),
    problems: z.array(fileProblem),
    fileErrors: z.array(z.string()),
    conditions: z.array(z.object({ subject: z.string(), message: z.string() })),
    edge: z.object({
      transport: z.string(),
      workers: z.array(z.object({ index: z.int(), role: z.string(), state: z.string() })),
      addresses: z.array(z.string()),
    }),
  }),
  controls: page(control),
  forgetControl: z.object({ forgotten: z.string() }),
  edges: page(edge),
  shards: page(shard),
  secondaryZones: page(secondaryZone),
  signedZones: page(signedZone),
  rollKeys: z.object({ zone: z.string(), rolls: z.array(z.string()) }),
  exportKeys: z.object({
    zone: z.string(),
    files: z.array(z.object({ name: z.string(), text: z.string() })),
  }),
  revokeEdge: z.object({ revoked: z.string() }),
  publication: z.object({
    revision: count,
    state: z.enum(["live", "pending", "withdrawn"]),
    reason: z.string().optional(),
    canaries: z.array(z.string()).optional(),
    serving: count,
    waiting: z.array(behind),
    silent: z.array(behind),
  }),
  endpoints: page(endpoint),
  pools: page(
    z.object({
      pool: z.string(),
      members: count,
      healthy: count,
      drained: count,
      healthCheck: z.string(),
      answers: count,
    }),
  ),
  sites: page(z.object({ site: z.string(), parent: z.string(), ...tallies })),
  policies: page(z.object({ policy: z.string(), root: z.string(), nodes: count, queries: count })),
  records: page(
    z.object({
      name: z.string(),
      types: z.string(),
      target: z.string(),
      ttl: z.string(),
      failoverBudgetMs: ms.optional(),
      objectiveMs: ms.optional(),
      view: z.string().optional(),
    }),
  ),
  health: page(
    z.object({
      endpoint: z.string(),
      check: z.string(),
      kind: z.string(),
      verdict,
      reason: z.string(),
      sinceMs: ms,
      lastReason: z.string(),
      lastProbeMs: ms.optional(),
      lastDurationMs: ms.optional(),
      condition: z.string(),
      vantages: z.array(witness).optional(),
    }),
  ),
  vantages: page(
    z.object({
      name: z.string(),
      site: z.string(),
      isOwn: z.boolean(),
      state: z.enum(["live", "silent", "suspect"]),
      ageMs: ms,
      chosenCount: count,
      healthyCount: count,
      unhealthyCount: count,
      reports: count,
    }),
  ),
  healthHistory: z.array(
    z.object({
      key: z.string(),
      verdict,
      previous: verdict,
      reason: z.string(),
      vantage: z.string(),
      atMs: ms,
      earliestChangeMs: ms,
      sequence: count,
    }),
  ),
  policyCounts: z.array(
    z.object({
      node: z.string(),
      kind: z.string(),
      answers: count,
      branches: z.array(z.object({ index: count, target: z.string(), answers: count })),
      audiences: z.array(z.object({ audience: count, branches: z.array(count), queries: count })),
    }),
  ),
  topNames: z.array(z.object({ name: z.string(), queries: count })),
  edgeInvite: z.object({ edge: z.string(), token: z.string(), expiresAtMs: ms }),
  replay: z.object({
    equal: z.boolean(),
    isCut: z.boolean(),
    answer: z.string(),
    text: z.string(),
  }),
  push: z.object({ accepted: z.boolean() }),
  latency: z.object({ accepted: count }),
  recoveryPlans: page(recoveryPlan),
  recoveryRuns: page(recoveryRun),
  recoveryReport,
  runRecovery: recoveryReport,
  changeRecovery: recoveryReport,
  approveRecovery: recoveryReport,
  routingControls: z.object({
    items: z.array(routingControl),
    continue: z.string().optional(),
    asOf: z.object({ epoch: count, revision: count, ageMs: count }).optional(),
  }),
  setRoutingControls: z.object({
    changed: z.array(z.string()),
    controls: z.array(routingControl),
  }),
  rollouts: page(rollout),
  changeRollout: rollout,
  shifts: page(shift),
  approvals: page(approval),
  drills: page(drill),
  orderDrill: drill,
  voteOnApproval: approval,
  latches: page(z.object({ name: z.string(), tier: z.int() })),
  notifications: page(
    z.object({
      name: z.string(),
      receiver: z.string(),
      state: z.enum(["paused", "failing", "waiting", "told"]),
      holds: count,
      waiting: count,
      sent: count,
      failed: count,
      lastSentMs: ms.optional(),
      lastError: z.string().optional(),
    }),
  ),
  explain: explanation,
  drain: z.object({
    shift: shift.optional(),
    reached: z.array(z.string()),
    lacks: z.array(z.string()).optional(),
    ttlLoweredAtMs: ms.optional(),
  }),
  extendShifts: z.object({ extended: z.array(shift) }),
  undrain: z.object({ removed: z.array(shift) }),
  failback: z.object({ node: z.string() }),
  reload: z.object({
    changed: z.boolean(),
    problems: z.array(fileProblem),
    errors: z.array(z.string()),
  }),
  audit: z.array(
    z.object({
      ...shownSet,
      id: z.string(),
      auditHash: z.string(),
      changes: z.array(
        z.object({
          document: z.string(),
          change: z.enum(["created", "configured", "deleted"]),
          before: z.unknown().optional(),
          after: z.unknown().optional(),
        }),
      ),
      details: z.record(z.string(), z.object({ revision: count, sha256: z.string() })).optional(),
      run: z
        .object({ name: z.string(), state: z.string(), steps: z.array(z.string()) })
        .optional()
        .describe("A run of a recovery plan, and what became of its steps."),
    }),
  ),
  auditVerify: z.object({ ok: z.boolean(), problems: z.array(z.string()) }),
  auditRefusals: z.array(
    z.object({
      atMs: ms,
      subject: z.string(),
      address: z.string(),
      request: z.string(),
      code: z.string(),
      message: z.string(),
      previous: z.string(),
      hash: z.string(),
    }),
  ),
  tokens: z.array(z.object(token)),
  tokenCreate: z.object({ ...token, token: z.string() }),
  tokenRevoke: z.object({ revoked: z.string(), revision: count }),
  whoami: z.object({
    subject: z.string(),
    token: z.string().optional(),
    isAdmin: z.boolean(),
  }),
};

/** The keywords that these schemas have in JSON Schema. */
export interface AnswerSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, AnswerSchema>>;
  readonly required?: readonly string[];
  readonly items?: AnswerSchema;
  readonly additionalProperties?: AnswerSchema;
  readonly anyOf?: readonly AnswerSchema[];
}

/** Where the description has its components. */
export const COMPONENTS = "#/components/schemas/";

/** The components by name, and the answers by the id of their operation. */
export function answerSchemas(): {
  readonly components: Readonly<Record<string, AnswerSchema>>;
  readonly answers: Readonly<Record<string, AnswerSchema>>;
} {
  const made = z.toJSONSchema(z.object({ ...answers, refusal }), {
    metadata: components,
    override: ({ jsonSchema }) => {
      // Answers may come to hold more; and what every safe integer is within is not worth saying.
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- zod's own output, in the keywords that the schemas above come to
  const { $defs = {}, properties = {} } = JSON.parse(
    JSON.stringify(made).replaceAll("#/$defs/", COMPONENTS),
  ) as AnswerSchema & { readonly $defs?: Readonly<Record<string, AnswerSchema>> };
  return { components: $defs, answers: properties };
}
