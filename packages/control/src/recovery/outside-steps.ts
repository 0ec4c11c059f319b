// SPDX-License-Identifier: Apache-2.0

// Steps that look at or change something outside the store. Each bears a key that is the same for every try and every leader, by which its target knows
// what it has done already.

import { setTimeout as sleep } from "node:timers/promises";
import { reasonOf } from "@meridian/core";
import { stepKindOf, type PrometheusCondition, type StepKind } from "@meridian/model";
import { askSeries, type PrometheusContext } from "../prometheus/ask-prometheus.ts";
import type { Secrets } from "../secrets/secrets.ts";
import { kubernetesStep } from "./kubernetes-step.ts";
import type { Outcome } from "./run-advance.ts";
import type { RecoveryRun, RunStep } from "./run-state.ts";
import type { ServedTraffic } from "./served-traffic.ts";
import { webhookStep } from "./webhook-step.ts";

/** How often health is looked at. */
const HEALTH_MS = 100;
/** How often Prometheus is asked. */
const PROMETHEUS_MS = 2000;

/** What the work of a step is given. */
export interface StepContext {
  readonly run: RecoveryRun;
  readonly step: RunStep;
  /** `RUN/STEP`; with `/rollback` where it is undone. */
  readonly key: string;
  readonly signal: AbortSignal;
  /** Says how it goes. */
  readonly report: (detail: string) => void;
}

/** Resolves with what came of it; `going` has it begun again with what is remembered by then. */
export type StepWork = (context: StepContext) => Promise<Outcome>;

/** The work of each kind of step that has some. */
export type OutsideWork = Partial<Readonly<Record<StepKind, StepWork>>>;

/** The key of a step that is running or being undone. */
export function stepKey(run: RecoveryRun, step: RunStep): string {
  return `${run.id}/${step.name}${step.state === "undoing" ? "/rollback" : ""}`;
}

/** Does the work of a step; what it throws is a failure. */
export async function doStep(work: OutsideWork, context: StepContext): Promise<Outcome> {
  const kind = stepKindOf(context.step.what);
  try {
    return (await work[kind]?.(context)) ?? { result: "going", detail: context.step.detail };
  } catch (error) {
    return { result: "failed", detail: reasonOf(error) };
  }
}

/** Waits until enough endpoints of a target are healthy. */
function waitForHealth(traffic: ServedTraffic): StepWork {
  return async ({ step, signal, report }) => {
    const { target, percent } = step.what.waitForHealth ?? { target: "", percent: 100 };
    for (;;) {
      const { total, healthy } = traffic.health(target);
      const detail = `${healthy} of ${total} endpoints of ${target} are healthy`;
      if (total > 0 && healthy >= (total * percent) / 100) return { result: "done", detail };
      report(detail);
      await sleep(HEALTH_MS, undefined, { signal });
    }
  };
}

/** Waits until an expression meets a condition. What is no number, or no data, does not. */
function waitForPrometheus(secrets: Secrets): StepWork {
  return async ({ run, step, signal, report }) => {
    const { waitForPrometheus: condition } = step.what;
    if (condition === undefined) return { result: "failed", detail: "it has no condition" };
    for (;;) {
      const { isMet, detail } = await conditionOf(condition, {
        ...{ secrets, namespace: run.namespace, signal },
      });
      if (isMet) return { result: "done", detail };
      report(detail);
      await sleep(PROMETHEUS_MS, undefined, { signal });
    }
  };
}

/** Whether a condition is met now, and what was found. */
export async function conditionOf(
  { source, query, above, below }: PrometheusCondition,
  context: PrometheusContext,
): Promise<{ readonly isMet: boolean; readonly detail: string }> {
  const answer = await askSeries(source, query, context);
  if (answer.kind !== "series") return { isMet: false, detail: answer.reason };
  const values = answer.samples.map(({ value }) => value);
  const wanted = above === undefined ? `below ${below ?? ""}` : `above ${above}`;
  const isMet = values.every(
    (value) =>
      Number.isFinite(value) && value > (above ?? -Infinity) && value < (below ?? Infinity),
  );
  return { isMet, detail: `${values.slice(0, 5).join(", ")}, wanted ${wanted}` };
}

/** The work of all kinds of steps that have some. */
export function outsideWork(
  traffic: ServedTraffic,
  secrets: Secrets,
  nowMs: () => number,
): OutsideWork {
  return {
    waitForHealth: waitForHealth(traffic),
    waitForPrometheus: waitForPrometheus(secrets),
    webhook: webhookStep(secrets, nowMs),
    kubernetes: kubernetesStep(secrets),
  };
}
