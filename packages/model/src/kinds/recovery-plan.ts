// SPDX-License-Identifier: Apache-2.0

// Steps that move a service from where it fails to where it works, in an order that was thought out before (AWS ARC Region switch: plans,
// execution blocks, triggers). A plan is flat: steps are named, `sequence` says their order, `parallel` names others that run side by side.

import { parseDuration } from "@meridian/core";
import type * as z from "zod";
import {
  domainName,
  exactlyOne,
  flag,
  hostName,
  httpUrl,
  list,
  mapOf,
  name,
  numberBetween,
  object,
  oneOf,
  positiveDuration,
  reference,
  text,
  textLike,
  wholeNumber,
} from "../fields.ts";
import { limits } from "../limits.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { prometheusSource } from "./prometheus-source.ts";
import { secret } from "./shared.ts";
import { targetForm, targetWanted } from "./shift.ts";
import { branchTargets } from "./traffic-policy.ts";

const NAMES_MAX = 100;
const target = textLike(targetForm, targetWanted);

/** The members of a step of which exactly one is there. */
export const stepKinds = [
  "controls",
  "shift",
  "endShift",
  "weights",
  "wait",
  "waitForHealth",
  "waitForPrometheus",
  "webhook",
  "kubernetes",
  "approval",
  "parallel",
  "plan",
] as const;

export type StepKind = (typeof stepKinds)[number];

const jsonObject = text(16_384).refine(isJsonObject, { error: "JSON text of an object" });
const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";

const health = object({
  target: target.describe("Whose endpoints are looked at."),
  percent: numberBetween(0, 100)
    .default(100)
    .describe("Share of them that has to be healthy, 0 to 100 %."),
});

const prometheus = exactlyOne(
  object({
    source: prometheusSource.describe("The server that is asked."),
    query: text(4096).describe("Expression; all series that it gives have to meet the condition."),
    above: numberBetween(-1e15, 1e15).optional().describe("Met by values greater than this."),
    below: numberBetween(-1e15, 1e15).optional().describe("Met by values less than this."),
  }),
  ["above", "below"],
);

/** Most changes of weights that a ramp takes, and the least time between two. */
const RAMP_CHANGES_MAX = 1000;
const RAMP_MS_MIN = 100;

const weights = object({
  policy: name().describe("TrafficPolicy of the same namespace."),
  node: name().describe("A `weighted` or `sticky` node of it."),
  branches: list(
    exactlyOne(
      object({
        node: name().optional().describe("A branch to this node."),
        pool: reference().optional().describe("A branch to this pool."),
        name: hostName().optional().describe("A branch to this name."),
        weight: wholeNumber(0, 1_000_000).describe("What it is to weigh, 0 to 1000000."),
      }),
      branchTargets,
    ),
    1,
    limits.branchesMax,
  ).describe("Branches of the node; others keep their weights."),
  over: positiveDuration()
    .optional()
    .describe("How long it takes to get there by equal changes; an ungraceful run takes one."),
  every: positiveDuration()
    .default("10s")
    .describe("Time between two of those changes, at least 100ms."),
}).superRefine(({ branches, over = "0s", every }, context) => {
  const issue = (path: string[], message: string, input: unknown): void =>
    context.addIssue({ code: "custom", path, message, input });
  const targets = branches.map((each) => JSON.stringify({ ...each, weight: 0 }));
  if (new Set(targets).size < targets.length)
    issue(["branches"], "each branch once: one is twice", branches);
  const [overMs, everyMs] = [over, every].map((each) => parseDuration(each) ?? 0);
  if ((everyMs ?? 0) < RAMP_MS_MIN) issue(["every"], `at least ${RAMP_MS_MIN}ms`, every);
  else if ((overMs ?? 0) / (everyMs ?? 1) > RAMP_CHANGES_MAX)
    issue(["every"], `so long that it takes at most ${RAMP_CHANGES_MAX} changes`, every);
});

/** One step of a plan. */
export const recoveryStepSchema = exactlyOne(
  object({
    only: oneOf(["graceful", "ungraceful"])
      .optional()
      .describe("The kind of run that it is part of; others skip it. Of both unless set."),
    timeout: positiveDuration()
      .default("10m")
      .describe("After how long it has failed, its tries and waits included."),
    onFailure: oneOf(["pause", "continue"])
      .default("pause")
      .describe("What a failure of it does: the run waits for people, or goes on without it."),
    controls: object({
      states: mapOf(oneOf(["On", "Off"])).describe(
        "Routing controls of one panel by name, and what they are to be; all or none.",
      ),
      override: list(name(), 0, limits.controlsMax)
        .default([])
        .describe("Safety rules that are not to object."),
    })
      .optional()
      .describe("Turns routing controls."),
    shift: object({
      target: target.describe("What traffic leaves."),
      percent: numberBetween(1, 100).default(100).describe("Share that leaves, 1 to 100 %."),
      for: positiveDuration().default("24h").describe("How long, 72h at most."),
    })
      .optional()
      .describe("Starts a shift."),
    endShift: object({ target: target.describe("What traffic comes back to.") })
      .optional()
      .describe("Ends the shifts of a target."),
    weights: weights.optional().describe("Gives branches other weights, at once or in a ramp."),
    wait: object({ for: positiveDuration().describe("How long.") })
      .optional()
      .describe("Waits."),
    waitForHealth: health.optional().describe("Waits until a target is healthy."),
    waitForPrometheus: prometheus
      .optional()
      .describe("Waits until a Prometheus expression meets a condition; no data does not."),
    webhook: object({
      url: httpUrl().describe("Where a JSON message is posted."),
      token: secret.optional().describe("Bearer token to send with it."),
      signingKey: secret
        .optional()
        .describe("Key of the HMAC-SHA-256 over time and message, in `Meridian-Signature`."),
      message: jsonObject.default("{}").describe("JSON text that is sent along as `message`."),
      retries: wholeNumber(0, 100).default(10).describe("Further tries, 0 to 100."),
      tryTimeout: positiveDuration().default("10s").describe("How long one try may take."),
      onRollBack: flag()
        .default(false)
        .describe('Whether it is called again, with `"phase": "rollback"`, to undo what it did.'),
    })
      .optional()
      .describe("Calls a program by HTTP; each try bears the same `Idempotency-Key`."),
    kubernetes: exactlyOne(
      object({
        kubeconfig: secret.describe("A kubeconfig with a token or client certificate in it."),
        apiVersion: textLike(
          /^([a-z0-9.-]{1,253}\/)?v[a-z0-9]{1,20}$/,
          "an API version such as apps/v1",
        ).describe("API group and version of the object."),
        resource: textLike(/^[a-z][a-z0-9]{0,62}$/, "a plural such as deployments").describe(
          "Its kind as in paths of the API: the plural, in lower case.",
        ),
        namespace: textLike(new RegExp(`^${label}$`), "a namespace of Kubernetes").describe(
          "Namespace of the object in Kubernetes.",
        ),
        name: textLike(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, "a name of Kubernetes").describe(
          "Name of the object.",
        ),
        scale: object({
          replicas: wholeNumber(0, 100_000).describe("Wanted `spec.replicas`, 0 to 100000."),
        })
          .optional()
          .describe("Sets how many replicas there are."),
        patch: jsonObject.optional().describe("JSON text of a merge patch (RFC 7396)."),
      }),
      ["scale", "patch"],
    )
      .optional()
      .describe("Scales or patches an object of Kubernetes."),
    approval: object({ prompt: text(1024).describe("What whoever approves is asked.") })
      .optional()
      .describe("Waits until somebody approves."),
    parallel: object({
      steps: list(name(), 1, limits.planStepsMax).describe(
        "Steps that run side by side; none of them is in `sequence` or parallel itself.",
      ),
    })
      .optional()
      .describe("Runs some steps side by side."),
    plan: object({ name: name().describe("RecoveryPlan of the same namespace.") })
      .optional()
      .describe("Runs the steps of another plan."),
  }).superRefine(({ weights: ramp, timeout }, context) => {
    if ((parseDuration(ramp?.over ?? "0s") ?? 0) < (parseDuration(timeout) ?? 0)) return;
    const error = `more than the ${ramp?.over ?? ""} that its weights take`;
    context.addIssue({ code: "custom", path: ["timeout"], message: error, input: timeout });
  }),
  stepKinds,
);

const trigger = exactlyOne(
  object({
    unhealthy: object({
      target: target.describe("Whose endpoints are looked at."),
      percent: numberBetween(1, 100)
        .default(100)
        .describe("Share of them that is unhealthy at least, 1 to 100 %."),
    })
      .optional()
      .describe("Met while a target is unhealthy."),
    prometheus: prometheus.optional().describe("Met by an alarm; no data does not meet it."),
    for: positiveDuration().default("30s").describe("How long it has to be met without a break."),
    minDelay: positiveDuration()
      .default("1h")
      .describe("Least time between two runs of the plan that begin by themselves."),
    mode: oneOf(["graceful", "ungraceful"])
      .default("ungraceful")
      .describe("The kind of run that it begins."),
  }),
  ["unhealthy", "prometheus"],
);

/** Steps that move a service. */
export const recoveryPlanSchema = document(
  "RecoveryPlan",
  namespacedMetadata,
  object({
    description: text(1024).optional().describe("What it promises and what not, for who runs it."),
    objective: object({
      recoveryTime: positiveDuration().describe("How long a recovery may take, clients included."),
    })
      .optional()
      .describe("What a run is measured against."),
    names: list(domainName(), 0, NAMES_MAX)
      .default([])
      .describe("Domain names that it moves: how long their old answers are kept counts."),
    sequence: list(name(), 1, limits.planStepsMax).describe("Steps in their order."),
    steps: mapOf(recoveryStepSchema).describe("Steps by name."),
    triggers: mapOf(trigger).default({}).describe("What begins a run without people, by name."),
  }).superRefine((spec, context) => {
    for (const { path, wanted } of misplaced(spec))
      context.addIssue({ code: "custom", path, message: wanted, input: spec.sequence });
  }),
);

export type RecoveryPlanDocument = z.output<typeof recoveryPlanSchema>;
export type RecoveryPlanSpec = RecoveryPlanDocument["spec"];
export type RecoveryStep = z.output<typeof recoveryStepSchema>;
export type RecoveryTrigger = z.output<typeof trigger>;
export type PrometheusCondition = z.output<typeof prometheus>;

/** What a step does. */
export function stepKindOf(what: RecoveryStep): StepKind {
  return stepKinds.find((kind) => what[kind] !== undefined) ?? "wait";
}

interface Placed {
  readonly sequence: readonly string[];
  readonly steps: Readonly<
    Record<string, { readonly parallel?: { readonly steps: readonly string[] } | undefined }>
  >;
}

/** Every step is reached once: from the sequence, or from one parallel step of it. */
function misplaced({ sequence, steps }: Placed): { path: string[]; wanted: string }[] {
  const found: { path: string[]; wanted: string }[] = [];
  const uses = new Map<string, number>();
  const use = (each: string, path: string[], isInner: boolean): void => {
    uses.set(each, (uses.get(each) ?? 0) + 1);
    const what = Object.hasOwn(steps, each) ? steps[each] : undefined;
    if (what === undefined) found.push({ path, wanted: `names of steps: there is no "${each}"` });
    else if (isInner && what.parallel !== undefined)
      found.push({ path, wanted: `steps that are not parallel themselves: "${each}" is` });
    if (!isInner)
      for (const inner of what?.parallel?.steps ?? [])
        use(inner, ["steps", each, "parallel", "steps"], true);
  };
  for (const each of sequence) use(each, ["sequence"], false);
  for (const [each, count] of uses)
    if (count > 1) found.push({ path: ["sequence"], wanted: `each step once: "${each}" is twice` });
  for (const each of Object.keys(steps))
    if (!uses.has(each))
      found.push({
        path: ["steps", each],
        wanted: "a step that sequence or a parallel step names",
      });
  if (Object.keys(steps).length > limits.planStepsMax)
    found.push({ path: ["steps"], wanted: `at most ${limits.planStepsMax} steps` });
  return found;
}

function isJsonObject(value: string): boolean {
  try {
    const raw: unknown = JSON.parse(value);
    return typeof raw === "object" && raw !== null && !Array.isArray(raw);
  } catch {
    return false;
  }
}
