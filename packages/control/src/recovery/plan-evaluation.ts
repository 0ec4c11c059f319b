// SPDX-License-Identifier: Apache-2.0

// Whether plans would work if they were run now: looked at when documents change, and every half hour. That nothing is found is no proof; run
// them.

import { reasonOf } from "@meridian/core";
import type { RecoveryPlanDocument, RecoveryStep } from "@meridian/model";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { findObject } from "./kubernetes-step.ts";
import { allPlans, plansOf } from "./recovery-documents.ts";
import { stepsOfPlan } from "./run-steps.ts";
import type { ServedTraffic } from "./served-traffic.ts";

const AGAIN_MS = 30 * 60_000;
const LOOK_MS = 1000;

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
  readonly secrets: Secrets;
  readonly nowMs: () => number;
}

export class PlanEvaluations {
  readonly #options: PlanEvaluationsOptions;
  readonly #closing = new AbortController();
  #findings: ReadonlyMap<string, readonly PlanFinding[]> = new Map();
  #seen = "";
  #seenAtMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: PlanEvaluationsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.look().finally(() => {
        this.#looking = undefined;
      });
    }, LOOK_MS).unref();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#looking;
  }

  /** What was found of `NAMESPACE/PLAN`; undefined where it was not looked at yet. */
  of(plan: string): readonly PlanFinding[] | undefined {
    return this.#findings.get(plan);
  }

  /** Looks at all plans where something has changed, or it is time. */
  async look(): Promise<void> {
    const { documents, served, nowMs } = this.#options;
    const set = documents();
    const plans = allPlans(set);
    const seen = JSON.stringify([served(), plans]);
    if (seen === this.#seen && nowMs() - this.#seenAtMs < AGAIN_MS) return;
    const found = new Map<string, readonly PlanFinding[]>();
    for (const plan of plans) {
      const { namespace, name } = plan.metadata;
      found.set(`${namespace}/${name}`, await this.#evaluate(plan, set));
    }
    this.#findings = found;
    this.#seen = seen;
    this.#seenAtMs = nowMs();
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
      if (what.webhook !== undefined && what.webhook.signingKey === undefined)
        add("warning", step, "the webhook is not signed");
      for (const problem of await this.#credentials(namespace, what)) add("error", step, problem);
    }
    return findings;
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
