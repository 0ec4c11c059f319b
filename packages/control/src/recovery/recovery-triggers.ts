// SPDX-License-Identifier: Apache-2.0

// What begins runs without people: looks each second whether the conditions of triggers are met for long enough; the control
// that leads begins them.

import { parseDuration, reasonOf, type Clock } from "@meridian/core";
import type { RecoveryTrigger } from "@meridian/model";
import { Caller } from "../access/caller.ts";
import type { Logger } from "../embedded-options.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { conditionOf } from "./outside-steps.ts";
import { TenantLooks } from "../tenant-looks.ts";
import { allPlans, plansOf } from "./recovery-documents.ts";
import type { RecoveryRuns } from "./recovery-runs.ts";
import { isOver } from "./run-state.ts";
import type { ServedTraffic } from "./served-traffic.ts";

const LOOK_MS = 1000;
/** What did not begin is tried again after this. */
const AGAIN_MS = 10_000;

export interface RecoveryTriggersOptions {
  readonly documents: () => DocumentSet;
  readonly runs: Pick<RecoveryRuns, "runs" | "begin">;
  readonly traffic: ServedTraffic;
  readonly secrets: Secrets;
  readonly isLeading: () => boolean;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** A run that did not begin. */
interface Failure {
  /** Of a clock that never leaps. */
  readonly atMs: number;
  /** Not for want of a store, say. */
  readonly isRefused: boolean;
  readonly reason: string;
}

export class RecoveryTriggers {
  readonly #options: RecoveryTriggersOptions;
  readonly #looks: TenantLooks;
  /** Since when a condition is met, by plan and trigger, of a clock that never leaps; as far as this control has seen it. */
  readonly #since = new Map<string, number>();
  /** Those that did not begin, until their condition is met no longer. */
  readonly #failed = new Map<string, Failure>();
  readonly #closing = new AbortController();

  constructor(options: RecoveryTriggersOptions) {
    this.#options = options;
    this.#looks = new TenantLooks({
      what: "triggers of recovery plans",
      everyMs: LOOK_MS,
      tenants: () => this.#tenants(),
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

  /** Looks once. */
  look(): Promise<void> {
    return this.#looks.look();
  }

  /** Those with triggers, and those that had some. */
  #tenants(): readonly string[] {
    const known = [...this.#since.keys(), ...this.#failed.keys()].map((key) => key.split("/")[0]);
    const plans = allPlans(this.#options.documents()).filter(
      ({ spec }) => Object.keys(spec.triggers).length > 0,
    );
    return [...plans.map(({ metadata }) => metadata.namespace), ...known.map(String)];
  }

  async #lookAt(namespace: string): Promise<void> {
    const { isLeading, documents, clock } = this.#options;
    const triggers = [...plansOf(documents(), namespace).values()].flatMap(
      ({ metadata: { name: plan }, spec }) =>
        Object.entries(spec.triggers).map(([name, trigger]) => ({
          ...{ namespace, plan, name, trigger },
          isAsking: trigger.prometheus !== undefined,
        })),
    );
    const met = new Set<string>();
    // Those that ask nobody come first.
    for (const each of triggers.toSorted((a, b) => Number(a.isAsking) - Number(b.isAsking))) {
      const key = `${namespace}/${each.plan}/${each.name}`;
      // Every control sees health, so that the next one that leads knows since when; one of them asks.
      if (each.isAsking && !isLeading()) continue;
      if (!(await this.#isMet(each.trigger, namespace))) continue;
      const sinceMs = this.#since.get(key) ?? clock.monotonicMs();
      this.#since.set(key, sinceMs);
      met.add(key);
      if (isLeading()) await this.#consider({ ...each, metMs: clock.monotonicMs() - sinceMs });
    }
    for (const known of [this.#since, this.#failed])
      for (const key of known.keys())
        if (key.startsWith(`${namespace}/`) && !met.has(key)) known.delete(key);
  }

  async #isMet({ unhealthy, prometheus }: RecoveryTrigger, namespace: string): Promise<boolean> {
    const { traffic, secrets } = this.#options;
    if (unhealthy !== undefined) {
      const { total, unhealthy: count } = traffic.health(unhealthy.target);
      return total > 0 && count >= (total * unhealthy.percent) / 100;
    }
    if (prometheus === undefined) return false;
    const { signal } = this.#closing;
    return (await conditionOf(prometheus, { secrets, namespace, signal, timeoutMs: 2000 })).isMet;
  }

  async #consider({
    namespace,
    plan,
    name,
    trigger,
    metMs,
  }: {
    readonly namespace: string;
    readonly plan: string;
    readonly name: string;
    readonly trigger: RecoveryTrigger;
    /** For how long its condition is met. */
    readonly metMs: number;
  }): Promise<void> {
    const { runs, clock, logger } = this.#options;
    const key = `${namespace}/${plan}/${name}`;
    const atMs = clock.wallMs();
    const failure = this.#failed.get(key);
    if (metMs < (parseDuration(trigger.for) ?? 0)) return;
    const triedAtMs = failure?.atMs ?? -Infinity;
    if (clock.monotonicMs() < triedAtMs + AGAIN_MS) return;
    const own = runs.runs().filter((run) => run.namespace === namespace && run.plan === plan);
    const isUnderWay = own.some((run) => !isOver(run));
    const last = own.find((run) => run.trigger !== undefined);
    const nextMs = (last?.createdAtMs ?? 0) + (parseDuration(trigger.minDelay) ?? 0);
    if (isUnderWay || atMs < nextMs) return;
    const caller = new Caller("meridian", undefined, "", [
      { verbs: ["run"], kinds: ["RecoveryPlan"] },
    ]);
    const request = {
      ...{ namespace, plan, mode: trigger.mode, reason: `trigger ${name} is met`, trigger: name },
      ...{ sinceMs: Math.round(atMs - metMs), detectedAtMs: atMs, isAgain: failure?.isRefused },
    };
    try {
      await runs.begin(request, caller);
      this.#failed.delete(key);
    } catch (error) {
      const [before, why] = [failure?.reason, reasonOf(error)];
      const isRefused = failure?.isRefused === true || error instanceof RequestRefusal;
      this.#failed.set(key, { atMs: clock.monotonicMs(), isRefused, reason: why });
      if (why !== before)
        logger.warn({ plan: `${namespace}/${plan}`, reason: why }, "Cannot recover");
    }
  }
}
