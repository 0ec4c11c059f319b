// SPDX-License-Identifier: Apache-2.0

// A step that gives the branches of a node other weights, at once or in a ramp of equal changes. Each change is one commit of the weights and of how
// far the step is, so that each is made once, whoever leads. The first commit takes the node, without another weight; who leads next
// goes on from the last one, and does not jump over the time in which nobody led:
//
//   taken ─► 1 of n ─► 2 of n ─► … ─► n of n: done        undone: the weights of before, at once
//
// Weights stay when the run is over, until a roll-back or another step gives others. Those of the document are no weights that are given.

import { parseDuration } from "@meridian/core";
import { limits } from "@meridian/model";
import * as z from "zod";
import type { StateWrite } from "../state/state-documents.ts";
import {
  branchTarget,
  type WeightOverride,
  type WeightOverrides,
} from "../weights/weight-overrides.ts";
import { RAMP, type RecoveryRun, type RunStep, type StepMemo } from "./run-state.ts";
import type { ServedTraffic } from "./served-traffic.ts";
import type { StoreEffect } from "./store-steps.ts";

const weightsSchema = z.record(z.string(), z.int());
const rampSchema = z.object({
  /** What the node was given before; absent where it had its own weights. */
  before: z
    .object({ weights: weightsSchema, cause: z.string(), sinceMs: z.number() })
    .exactOptional(),
  /** Of the branches that the step changes. */
  from: weightsSchema,
  /** Changes made, and when the last one was. */
  made: z.int().min(0),
  atMs: z.number(),
});

type Ramp = z.output<typeof rampSchema>;

/** Who gives weights by plans of a namespace: one run at a time moves a node. */
export function weightsOwner(namespace: string): string {
  return `recovery/${namespace}`;
}

/** Why the node of a step cannot be given weights now; undefined where it can, or nothing is served yet. */
export function weightsProblem(
  what: RunStep["what"],
  namespace: string,
  { weights, traffic }: WeightsPlaces,
): string | undefined {
  if (what.weights === undefined || !traffic.isServed) return undefined;
  const { policy, node, branches } = what.weights;
  const own = traffic.weightedBranches(`${namespace}/${policy}`, node);
  if (typeof own === "string") return own;
  const targets = branches.map((branch) => branchTarget(namespace, branch));
  const missing = targets.find((target) => !own.has(target));
  const shown = `node ${node} of TrafficPolicy ${namespace}/${policy}`;
  if (missing !== undefined) return `${shown} has no branch ${missing}`;
  return weightsHolder(what, namespace, weights);
}

/** Who else has given the node of a step its weights, in words. */
export function weightsHolder(
  what: RunStep["what"],
  namespace: string,
  weights: Pick<WeightOverrides, "of">,
): string | undefined {
  const { policy = "", node = "" } = what.weights ?? {};
  const held = weights.of(`${namespace}/${policy}`, node);
  return held === undefined || held.owner === weightsOwner(namespace)
    ? undefined
    : `node ${node} of TrafficPolicy ${namespace}/${policy} has weights of ${held.owner}: ${held.cause}`;
}

/** Where weights are, and what they are of. */
export interface WeightsPlaces {
  readonly weights: Pick<WeightOverrides, "of" | "write">;
  readonly traffic: Pick<ServedTraffic, "isServed" | "weightedBranches">;
}

/** What a step does now, whether it is running or undone. */
export function weightsEffect(
  run: RecoveryRun,
  step: RunStep,
  places: WeightsPlaces,
  nowMs: number,
): StoreEffect {
  const ramp = rampIn(step.memo);
  if (step.state === "undoing") return undo(run, step, places, ramp);
  const wanted = step.what.weights;
  if (wanted === undefined) return failed("it has no weights");
  if (!places.traffic.isServed) return { ...going("nothing is served yet"), dueAtMs: nowMs + 250 };
  const problem = weightsProblem(step.what, run.namespace, places);
  if (problem !== undefined) return failed(problem);
  const policy = `${run.namespace}/${wanted.policy}`;
  const own = places.traffic.weightedBranches(policy, wanted.node);
  if (typeof own === "string") return failed(own);
  const held = places.weights.of(policy, wanted.node);
  const target = new Map(
    wanted.branches.map((branch) => [branchTarget(run.namespace, branch), branch.weight]),
  );
  if (ramp === undefined) {
    const from: Record<string, number> = {};
    for (const each of target.keys()) from[each] = held?.weights[each] ?? own.get(each) ?? 0;
    const begun: Ramp = { from, made: 0, atMs: nowMs, ...beforeOf(held) };
    const first = changesOf(run, step) > 1 ? begun : { ...begun, made: 1 };
    return change(run, step, places, { ramp: first, target, own, held, nowMs });
  }
  const everyMs = parseDuration(wanted.every) ?? 0;
  // A run that is paused stays where it is.
  const dueAtMs = run.mode === "ungraceful" ? nowMs : ramp.atMs + everyMs;
  if (run.state === "paused") return { ...going(step.detail), dueAtMs: Infinity };
  if (nowMs < dueAtMs) return { ...going(step.detail), dueAtMs };
  const next = { ...ramp, made: ramp.made + 1, atMs: nowMs };
  return change(run, step, places, { ramp: next, target, own, held, nowMs });
}

/** Changes that a ramp takes: one in a run that is in a hurry. */
function changesOf({ mode }: RecoveryRun, { what }: RunStep): number {
  if (mode === "ungraceful") return 1;
  const [overMs, everyMs] = [what.weights?.over ?? "0s", what.weights?.every ?? "1s"].map(
    (each) => parseDuration(each) ?? 0,
  );
  return Math.max(1, Math.ceil((overMs ?? 0) / Math.max(1, everyMs ?? 1)));
}

interface Change {
  readonly ramp: Ramp;
  readonly target: ReadonlyMap<string, number>;
  /** Of the document. */
  readonly own: ReadonlyMap<string, number>;
  readonly held: WeightOverride | undefined;
  readonly nowMs: number;
}

function change(
  run: RecoveryRun,
  step: RunStep,
  { weights }: WeightsPlaces,
  { ramp, target, own, held, nowMs }: Change,
): StoreEffect {
  const { policy = "", node = "" } = step.what.weights ?? {};
  const count = changesOf(run, step);
  const share = Math.min(1, ramp.made / count);
  const reached = [...target].map(([each, to]): [string, number] => {
    const from = ramp.from[each] ?? own.get(each) ?? 0;
    return [each, Math.round(from + (to - from) * share)];
  });
  const given = { ...held?.weights, ...Object.fromEntries(reached) };
  const isDone = ramp.made >= count;
  const isOwn = Object.entries(given).every(
    ([each, weight]) => (own.get(each) ?? weight) === weight,
  );
  const cause = `recovery plan ${run.namespace}/${run.plan}: ${run.reason}`.slice(0, 1024);
  const write = weights.write(
    { policy: `${run.namespace}/${policy}`, node, owner: weightsOwner(run.namespace) },
    isDone && isOwn ? undefined : { weights: bounded(given), cause, sinceMs: nowMs },
  );
  if (write === undefined) return failed(`node ${node} has weights of somebody else`);
  const shown = reached.map(([each, weight]) => `${each} ${weight}`).join(", ");
  const detail = isDone ? `set ${shown}` : `${ramp.made} of ${count} changes: ${shown}`;
  const memo = { [RAMP]: JSON.stringify(ramp) };
  const result = isDone ? ("done" as const) : ("going" as const);
  return { outcome: { result, detail, memo }, writes: needed(write) };
}

function undo(
  run: RecoveryRun,
  step: RunStep,
  { weights }: WeightsPlaces,
  ramp: Ramp | undefined,
): StoreEffect {
  if (ramp === undefined || step.what.weights === undefined)
    return { outcome: { result: "done", detail: "nothing to undo" }, writes: [] };
  const { node } = step.what.weights;
  const policy = `${run.namespace}/${step.what.weights.policy}`;
  const owner = weightsOwner(run.namespace);
  const held = weights.of(policy, node);
  if (held?.owner === owner && held.sinceMs !== ramp.atMs)
    return failed(`node ${node} has been given other weights since: ${held.cause}`);
  const write = weights.write({ policy, node, owner }, ramp.before);
  if (write === undefined) return failed(`node ${node} has weights of somebody else by now`);
  const detail =
    ramp.before === undefined ? "gave back its own weights" : "gave back the weights of before";
  return { outcome: { result: "done", detail }, writes: needed(write) };
}

/** To take away what is not there is no write. */
function needed(write: StateWrite): readonly StateWrite[] {
  return write.text === undefined && write.ifRevision === 0 ? [] : [write];
}

/** Those of branches that are gone go first where there would be too many. */
function bounded(given: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(given).slice(-limits.branchesMax));
}

function beforeOf(held: WeightOverride | undefined): Pick<Ramp, "before"> {
  if (held === undefined) return {};
  const { weights, cause, sinceMs } = held;
  return { before: { weights: { ...weights }, cause, sinceMs } };
}

function rampIn(memo: StepMemo): Ramp | undefined {
  const text = memo[RAMP];
  const result = text === undefined ? undefined : rampSchema.safeParse(JSON.parse(text));
  return result?.data;
}

function failed(detail: string): StoreEffect {
  return { outcome: { result: "failed", detail }, writes: [] };
}

function going(detail: string): StoreEffect {
  return { outcome: { result: "going", detail }, writes: [] };
}
