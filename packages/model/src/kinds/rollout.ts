// SPDX-License-Identifier: Apache-2.0

// A canary: traffic moves from a stable branch to another one in steps, as measurements allow (after Argo Rollouts and Flagger). The
// document says how; whether one is running, and how far, is state of its own, changed by `meridian rollout` and by the leader alone.

import type * as z from "zod";
import {
  domainLikeName,
  duration,
  exactlyOne,
  hostName,
  list,
  mapOf,
  name,
  numberBetween,
  object,
  oneOf,
  positiveDuration,
  reference,
  text,
  wholeNumber,
} from "../fields.ts";
import { branchTargets } from "./traffic-policy.ts";
import { document, namespacedMetadata } from "./metadata.ts";
import { prometheusSource } from "./prometheus-source.ts";

const STEPS_MAX = 64;
const WAVES_MAX = 32;
const QUERY_LENGTH_MAX = 4096;

const query = (words: string) => text(QUERY_LENGTH_MAX).describe(words);

const branch = (words: string) =>
  exactlyOne(
    object({
      node: name().optional().describe("Node of the policy."),
      pool: reference().optional().describe("Pool; NAMESPACE/NAME with a Grant."),
      name: hostName().optional().describe("Host name elsewhere."),
    }),
    branchTargets,
  ).describe(words);

const bound = () => numberBetween(-1e15, 1e15);

/** All that is stated has to hold of a value. */
const condition = object({
  above: bound().optional().describe("The value is more than this."),
  atLeast: bound().optional().describe("The value is this or more."),
  below: bound().optional().describe("The value is less than this."),
  atMost: bound().optional().describe("The value is this or less."),
})
  .refine((value) => Object.keys(value).length > 0, {
    error: "one or more of above, atLeast, below, atMost",
  })
  .refine(canHold, { error: "bounds between which a value can lie" });

/** Whether some value meets a condition. */
function canHold({
  above = -Infinity,
  atLeast = -Infinity,
  below = Infinity,
  atMost = Infinity,
}: {
  readonly above?: number | undefined;
  readonly atLeast?: number | undefined;
  readonly below?: number | undefined;
  readonly atMost?: number | undefined;
}): boolean {
  const isOpen = above >= atLeast || below <= atMost;
  const least = Math.max(above, atLeast);
  const most = Math.min(below, atMost);
  return isOpen ? least < most : least <= most;
}

const analysis = object({
  query: query(
    "PromQL that gives one number. `{weight}`, `{wave}` and `{site}` stand for what is current.",
  ),
  success: condition.optional().describe("The value is good; whenever it is not bad unless given."),
  failure: condition.optional().describe("The value is bad; whenever it is not good unless given."),
  minSamples: object({
    query: query("PromQL that gives how many samples the value is made of."),
    count: wholeNumber(1, 1_000_000_000).describe("With fewer there is no data."),
  })
    .optional()
    .describe("How much has to be measured for a value to count."),
  interval: positiveDuration().default("30s").describe("How often it is measured."),
  initialDelay: duration()
    .default("0s")
    .describe("How long after the step begins it is first measured."),
  count: wholeNumber(1, 1000).default(3).describe("Successes that a step waits for, 1 to 1000."),
  failureLimit: wholeNumber(0, 1000)
    .default(0)
    .describe("Failures that are put up with, 0 to 1000; one more and the rollout is rolled back."),
  inconclusiveLimit: wholeNumber(0, 1000)
    .default(0)
    .describe(
      "Values neither good nor bad that are put up with, 0 to 1000; one more and it waits for somebody.",
    ),
  errorLimit: wholeNumber(0, 1000)
    .default(4)
    .describe(
      "Errors in a row, such as a server that is down, that are put up with, 0 to 1000; one more and it is rolled back.",
    ),
  onNoData: oneOf(["hold", "pass", "fail"])
    .default("hold")
    .describe(
      "No series, NaN, an infinity or too few samples: counts for nothing, as a success, or as a failure.",
    ),
}).refine(({ success, failure }) => success !== undefined || failure !== undefined, {
  error: "success or failure, or both",
});

const step = exactlyOne(
  object({
    setWeight: wholeNumber(0, 100)
      .optional()
      .describe("Percent of the traffic for the canary from now on, 0 to 100; more than before."),
    pause: object({
      for: positiveDuration()
        .optional()
        .describe("How long; until `meridian rollout promote` unless given."),
    })
      .optional()
      .describe("Waits."),
    analysis: list(name(), 1, 16)
      .optional()
      .describe("Waits until each of these analyses has succeeded."),
  }),
  ["setWeight", "pause", "analysis"],
);

const wave = object({
  site: name()
    .optional()
    .describe("Site that the wave is about: its name for people, and `{site}` in queries."),
  node: name()
    .optional()
    .describe("Node (weighted or sticky) with exactly these two branches; the root unless given."),
  stable: branch("Branch that traffic comes from. Its weight in the policy is above 0."),
  canary: branch("Branch that traffic goes to. Its weight in the policy is 0."),
});

/** How traffic moves to something new. */
export const rolloutSchema = document(
  "Rollout",
  namespacedMetadata,
  exactlyOne(
    object({
      policy: name()
        .optional()
        .describe("TrafficPolicy of this namespace whose branches it moves traffic between."),
      record: domainLikeName()
        .optional()
        .describe(
          "Name of a Record: the policy that decides it, with all other names of that policy.",
        ),
      waves: list(wave, 1, WAVES_MAX).describe(
        "One after the other takes all steps; one is enough.",
      ),
      steps: list(step, 1, STEPS_MAX).describe(
        "What each wave does in order; after the last one the canary has all traffic.",
      ),
      prometheus: prometheusSource.optional().describe("Server that analyses ask."),
      analyses: mapOf(analysis).default({}).describe("What is measured, by name."),
      watch: list(name(), 0, 16)
        .default([])
        .describe(
          "Analyses that are made all the time from the first weight above 0 on, in every step.",
        ),
    }),
    ["policy", "record"],
  ).superRefine((spec, context) => {
    for (const { path, wanted } of contradictions(spec))
      context.addIssue({ code: "custom", path: [...path], message: wanted, input: undefined });
  }),
);

export type RolloutDocument = z.output<typeof rolloutSchema>;
export type RolloutSpec = RolloutDocument["spec"];
export type RolloutStep = RolloutSpec["steps"][number];
export type RolloutWave = RolloutSpec["waves"][number];
export type RolloutAnalysis = RolloutSpec["analyses"][string];
export type ValueCondition = z.output<typeof condition>;

interface Contradiction {
  readonly path: readonly (string | number)[];
  readonly wanted: string;
}

/** What of a spec says something that cannot be, or names what is not there. */
function* contradictions(spec: {
  readonly waves: readonly z.output<typeof wave>[];
  readonly steps: readonly z.output<typeof step>[];
  readonly prometheus?: object | undefined;
  readonly analyses: Readonly<Record<string, unknown>>;
  readonly watch: readonly string[];
}): Generator<Contradiction> {
  let weight = -1;
  for (const [index, { setWeight, analysis: names = [] }] of spec.steps.entries()) {
    if (setWeight !== undefined && setWeight <= weight)
      yield {
        path: ["steps", index, "setWeight"],
        wanted: `more than the ${weight} before: weights only grow`,
      };
    weight = setWeight ?? weight;
    for (const each of names)
      if (!Object.hasOwn(spec.analyses, each))
        yield {
          path: ["steps", index, "analysis"],
          wanted: `names of analyses; there is no "${each}"`,
        };
  }
  for (const each of spec.watch)
    if (!Object.hasOwn(spec.analyses, each))
      yield { path: ["watch"], wanted: `names of analyses; there is no "${each}"` };
  if (Object.keys(spec.analyses).length > 0 && spec.prometheus === undefined)
    yield { path: ["prometheus"], wanted: "the server that analyses ask" };
  const nodes = new Set<string>();
  for (const [index, { node = "", stable, canary }] of spec.waves.entries()) {
    if (nodes.has(node))
      yield { path: ["waves", index, "node"], wanted: "another node than the waves before" };
    nodes.add(node);
    if (JSON.stringify(stable) === JSON.stringify(canary))
      yield { path: ["waves", index, "canary"], wanted: "another branch than stable" };
  }
}
