// SPDX-License-Identifier: Apache-2.0

// Whether plans would work if they were run now: looked at when documents change, and every half hour. That nothing is found is no proof; run
// them.

import { hash } from "node:crypto";
import { reasonOf } from "@meridian/core";
import type { RecoveryPlanDocument, RecoveryStep } from "@meridian/model";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Logger } from "../embedded-options.ts";
import type { Secrets } from "../secrets/secrets.ts";
import type { WeightOverrides } from "../weights/weight-overrides.ts";
import { weightsProblem } from "./weights-step.ts";
import { TenantLooks } from "../tenant-looks.ts";
import { findObject } from "./kubernetes-step.ts";
import { allPlans, plansOf } from "./recovery-documents.ts";
import type { PlanCapacity } from "./plan-capacity.ts";
import { stepsOfPlan } from "./run-steps.ts";
import type { ServedTraffic } from "./served-traffic.ts";

const AGAIN_MS = 30 * 60_000;
const LOOK_MS = 1000;
/** Least time between two looks where nothing but what is served is another. */
const SERVED_MS = 10_000;

/** Something that is wrong with a plan (`error`), or could be better. */
export interface PlanFinding {
  readonly severity: "error" | "warning";
  /** The step that it is about; empty for all of the plan. */
  readonly step: string;
  readonly message: string;
}

export interface PlanEvaluationsOptions {
  readonly documents: () => DocumentSet;
  /** Names what is served; another one has plans looked at anew. */
  readonly served: () => string;
  readonly traffic: ServedTraffic;
  readonly weights: WeightOverrides;
  readonly capacity: Pick<PlanCapacity, "lacks">;
  readonly secrets: Secrets;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

/** What was found of the plans of a namespace. */
interface Evaluated {
  /** Of the plans, and who gives weights. */
  readonly print: string;
  readonly served: string;
  readonly atMs: number;
  /** By `NAMESPACE/PLAN`. */
  readonly findings: ReadonlyMap<string, readonly PlanFinding[]>;
}

export class PlanEvaluations {
  readonly #options: PlanEvaluationsOptions;
  readonly #closing = new AbortController();
  readonly #looks: TenantLooks;
  readonly #found = new Map<string, Evaluated>();

  constructor(options: PlanEvaluationsOptions) {
    this.#options = options;
    this.#looks = new TenantLooks({
      what: "whether recovery plans would work",
      everyMs: LOOK_MS,
      tenants: () => [
        ...allPlans(options.documents()).map(({ metadata }) => metadata.namespace),
        ...this.#found.keys(),
      ],
      look: (namespace) => this.#lookAt(namespace),
      logger: options.logger,
    });
  }

  start(): void {
    this.#looks.start();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#looks.close();
  }

  /** What was found of `NAMESPACE/PLAN`; undefined where it was not looked at yet. */
  of(plan: string): readonly PlanFinding[] | undefined {
    const [namespace = ""] = plan.split("/");
    return this.#found.get(namespace)?.findings.get(plan);
  }

  /** Looks at all plans where something has changed, or it is time. */
  look(): Promise<void> {
    return this.#looks.look();
  }

  async #lookAt(namespace: string): Promise<void> {
    const { documents, served, traffic, weights, nowMs } = this.#options;
    if (!traffic.isServed) return;
    const set = documents();
    const plans = [...plansOf(set, namespace).values()];
    const known = this.#found.get(namespace);
    const held = weights.all().map(({ policy, node, owner }) => [policy, node, owner]);
    const print = hash("sha256", JSON.stringify([held, plans]));
    const atMs = nowMs();
    const ageMs = atMs - (known?.atMs ?? 0);
    // What is served may change each second.
    const isOther = known?.served !== served() && ageMs >= SERVED_MS;
    if (plans.length === 0) this.#found.delete(namespace);
    else if (known?.print !== print || isOther || ageMs >= AGAIN_MS) {
      const now = served();
      const findings = new Map<string, readonly PlanFinding[]>();
      for (const plan of plans)
        findings.set(`${namespace}/${plan.metadata.name}`, await this.#evaluate(plan, set));
      this.#found.set(namespace, { print, served: now, atMs, findings });
    }
  }

  async #evaluate(plan: RecoveryPlanDocument, set: DocumentSet): Promise<PlanFinding[]> {
    const { namespace, name } = plan.metadata;
    const { traffic } = this.#options;
    const { names, objective, triggers, steps } = plan.spec;
    const findings: PlanFinding[] = [];
    const add = (severity: PlanFinding["severity"], step: string, message: string): void => {
      findings.push({ severity, step, message });
    };
    const listed = stepsOfPlan(name, plansOf(set, namespace));
    if ("problem" in listed) add("error", "", listed.problem);
    else
      for (const lack of await this.#lacks(
        namespace,
        listed.steps.map(({ what }) => what),
      ))
        add(lack.severity, "", lack.message);
    for (const each of names)
      if (traffic.ttlMs([each]) === undefined) add("error", "", `${each} is not decided here`);
    if (names.length === 0)
      add("warning", "", "names is empty: how long clients keep old answers is not counted");
    if (objective === undefined) add("warning", "", "it has no objective");
    for (const [trigger, { unhealthy }] of Object.entries(triggers))
      if (unhealthy !== undefined && traffic.health(unhealthy.target).total === 0)
        add("error", "", `trigger ${trigger}: ${unhealthy.target} has no endpoint`);
    for (const [step, what] of Object.entries(steps)) {
      const target = what.shift?.target ?? what.endShift?.target ?? what.waitForHealth?.target;
      if (target !== undefined && traffic.health(target).total === 0)
        add("error", step, `${target} has no endpoint`);
      const weights = weightsProblem(what, namespace, this.#options);
      if (weights !== undefined) add("error", step, weights);
      if (what.webhook !== undefined && what.webhook.signingKey === undefined)
        add("warning", step, "the webhook is not signed");
      for (const problem of await this.#credentials(namespace, what)) add("error", step, problem);
    }
    return findings;
  }

  /** What would not suffice. Steps that ask others may make room: how much is not known. */
  async #lacks(
    namespace: string,
    steps: readonly RecoveryStep[],
  ): Promise<readonly Pick<PlanFinding, "severity" | "message">[]> {
    const lacks = await this.#options.capacity.lacks(namespace, steps);
    const mayGrow = steps.some(
      ({ webhook, kubernetes }) => webhook !== undefined || kubernetes !== undefined,
    );
    const severity = mayGrow ? "warning" : "error";
    const unless = mayGrow ? ", unless its steps make room" : "";
    return lacks.map((text) => ({ severity, message: `${text}${unless}` }));
  }

  /** What of the secrets of a step cannot be read, or does not open what it should. */
  async #credentials(
    namespace: string,
    { webhook, kubernetes, waitForPrometheus: prometheus }: RecoveryStep,
  ): Promise<string[]> {
    const { secrets } = this.#options;
    const wanted = [
      webhook?.token,
      webhook?.signingKey,
      prometheus?.source.token,
      prometheus?.source.basic?.password,
    ].filter((each) => each !== undefined);
    const problems: string[] = [];
    for (const reference of wanted)
      await secrets.read(namespace, reference).catch((error: unknown) => {
        problems.push(reasonOf(error));
      });
    if (kubernetes === undefined) return problems;
    try {
      const { status } = await findObject(kubernetes, namespace, secrets, this.#closing.signal);
      if (status !== 200) problems.push(`Kubernetes answers ${status} when asked for the object`);
    } catch (error) {
      problems.push(reasonOf(error));
    }
    return problems;
  }
}
