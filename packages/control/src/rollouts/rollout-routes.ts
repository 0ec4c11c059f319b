// SPDX-License-Identifier: Apache-2.0
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import type { FastifyInstance } from "fastify";
import type { Caller } from "../access/caller.ts";
import type { Gatekeeper } from "../http/gatekeeper.ts";
import { member } from "../documents/document-key.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { RolloutKeeper, RolloutOrder } from "./rollout-keeper.ts";
import type { WeightsReach } from "../weights/weights-reach.ts";
import { rolloutRest } from "./rollout-rest.ts";
import type { KnownRollout } from "./rollout-state.ts";

const REASON_LENGTH_MAX = 1024;
const verbs = ["start", "promote", "pause", "resume", "abort"] as const;

/** A rollout as it is shown. */
export interface RolloutView {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  /** Of the policy, or the record. */
  readonly target: string;
  /** `idle` for one that was never started. */
  readonly phase: string;
  readonly wave: number;
  readonly waves: number;
  readonly site?: string;
  readonly step: number;
  readonly steps: number;
  /** Percent that the canary of the current wave has. */
  readonly weight: number;
  readonly reason: string;
  readonly actor: string;
  readonly startedAtMs: number;
  readonly changedAtMs: number;
  readonly analyses: readonly AnalysisView[];
  /** When it ends at the earliest; absent where somebody has to let it go on. */
  readonly earliestEndMs?: number;
  /** Edges that have to say that they answer with its weights before its step begins, and those that are not waited for. */
  readonly edges?: WeightsReach;
  /** Pauses that are left in which it waits to be promoted. */
  readonly promotions: number;
}

/** What was measured of an analysis. */
interface AnalysisView {
  /** `watch/NAME` of one that is watched all the time. */
  readonly name: string;
  readonly successes: number;
  readonly failures: number;
  readonly inconclusives: number;
  readonly errors: number;
  readonly empty: number;
  readonly lastMs: number;
  readonly last: string;
}

/** Rollouts as they are, and what is done to them. */
export function addRolloutRoutes(
  server: FastifyInstance,
  rollouts: RolloutKeeper,
  keeper: Gatekeeper,
): void {
  type Query = { Querystring: Record<string, string> };
  server.get<Query>("/v1/rollouts", async (asked, reply) => {
    const request = parsePageRequest(asked.query);
    if (typeof request === "string") return reply.code(400).send({ error: request });
    // Which edges there are is told to those who may know it alone.
    const seesEdges = keeper.callerOf(asked).may("list", { kind: "Edge", namespace: undefined });
    const views = await Promise.all(
      rollouts.all().map(async (known): Promise<RolloutView> => {
        // What cannot be said of edges now is left out.
        const edges = seesEdges ? await rollouts.reachOf(known).catch(() => undefined) : undefined;
        return { ...viewOf(known), ...(edges === undefined ? {} : { edges }) };
      }),
    );
    return pageOf(
      views,
      request,
      ({ name }) => name,
      (view) => view,
    );
  });
  const order = async (body: unknown, caller: Caller): Promise<RolloutView> =>
    viewOf(await rollouts.order(parseOrder(body), caller));
  server.post("/v1/rollouts", (request) => order(request.body, keeper.callerOf(request)));
}

export function viewOf({ name, document: { spec }, run }: KnownRollout): RolloutView {
  const { policy, record = "", waves, steps } = spec;
  const wave = Math.min(run?.wave ?? 0, waves.length - 1);
  const site = waves[wave]?.site;
  return {
    name,
    target: policy === undefined ? `record ${record}` : `policy ${policy}`,
    phase: run?.phase ?? "idle",
    wave: wave + 1,
    waves: waves.length,
    ...(site === undefined ? {} : { site }),
    step: Math.min((run?.step ?? 0) + 1, steps.length),
    steps: steps.length,
    weight: run === undefined || run.phase === "aborted" ? 0 : run.weight,
    ...{ reason: run?.reason ?? "", actor: run?.actor ?? "" },
    ...{ startedAtMs: run?.startedAtMs ?? 0, changedAtMs: run?.changedAtMs ?? 0 },
    analyses: Object.entries(run?.tallies ?? {}).map(([key, tally]) => ({ name: key, ...tally })),
    ...rolloutRest(spec, run),
  };
}

/** Reads the body of a request; throws what is wrong with it. */
function parseOrder(body: unknown): RolloutOrder {
  const [namespace = "default", name, reason = ""] = ["namespace", "name", "reason"].map((field) =>
    member(body, field),
  );
  const verb = verbs.find((each) => each === member(body, "verb"));
  const isFull = member(body, "full") ?? false;
  if (verb === undefined)
    throw invalid(`verb is ${JSON.stringify(member(body, "verb"))}, expected ${verbs.join(", ")}`);
  if (typeof namespace !== "string" || typeof name !== "string" || name === "")
    throw invalid("name is missing, expected the name of a Rollout");
  if (typeof reason !== "string" || reason.length > REASON_LENGTH_MAX)
    throw invalid(`reason is no text of up to ${REASON_LENGTH_MAX} characters`);
  if (typeof isFull !== "boolean" || (isFull && verb !== "promote"))
    throw invalid("full is for promote alone, expected true or false");
  if (verb === "abort" && reason.trim() === "")
    throw invalid("reason is missing, expected why it is aborted");
  const breakGlass = member(body, "breakGlass") === true;
  return { breakGlass, verb, name: `${namespace}/${name}`, isFull, reason };
}

function invalid(what: string): RequestRefusal {
  return new RequestRefusal("REQUEST_INVALID", `Cannot change a rollout: ${what}`);
}
