// SPDX-License-Identifier: Apache-2.0
// How long it may take until clients have left a dead endpoint: found out by probes, decided and
// published here, forgotten by caches, and by those that keep answers for longer than they are told. The bound of detection is interval × (1 + jitter) ×
// threshold, plus the timeout (a probe that hangs is only known to have failed then), plus slack.
import { parseDuration } from "@meridian/core";
import type { HealthCheckDocument } from "./documents.ts";
import { probeTiming } from "./kinds/health-check.ts";
import type { Model, Pool } from "./model.ts";
import { reachablePools } from "./policy-graph.ts";
import type { RecordShape } from "./record-table.ts";

/** The parts of a failover in milliseconds, each at its worst. */
export interface FailoverBudget {
  readonly detectionMs: number;
  readonly decisionMs: number;
  readonly publishMs: number;
  readonly ttlMs: number;
  /** From the TTL on, until those caches have asked again that keep answers for a minute at least, as one of twenty does. */
  readonly drainMs: number;
  readonly totalMs: number;
}

/** Slack of the bound of detection: scheduling of probes and their timers. */
const detectionSlackMs = 100;
/** From the last report to the verdict. */
const decisionMs = 10;
/** From a verdict to the answers of every edge. */
const publishMs = 100;
/** The TTL that some caches take a shorter one for. */
const ttlFloorMs = 60_000;

/** What is looked up to know a budget. */
export type BudgetModel = Pick<Model, "pool" | "policy" | "check">;

/** What a record's name leads to. */
export interface BudgetTarget {
  readonly namespace: string;
  /** Exactly one of the two. */
  readonly policy?: string | undefined;
  readonly pool?: string | undefined;
}

/** The budget of a name, by its slowest check; undefined where nothing of it is checked. */
export function failoverBudget(
  model: BudgetModel,
  { metadata, spec }: RecordShape,
): FailoverBudget | undefined {
  const { policy, pool, ttl } = spec;
  const target = { namespace: metadata.namespace, policy, pool };
  return targetBudget(model, target, parseDuration(ttl.max) ?? 0);
}

/** The budget of a name that leads to `target` and is cached for at most `ttlMs`. */
export function targetBudget(
  model: BudgetModel,
  target: BudgetTarget,
  ttlMs: number,
): FailoverBudget | undefined {
  const detections = poolsOfTarget(model, target).flatMap(({ document }) => {
    const { metadata, spec } = document;
    const check =
      spec.healthCheck === undefined
        ? undefined
        : model.check(metadata.namespace, spec.healthCheck);
    return check === undefined || check.spec.disabled ? [] : [detectionBoundMs(model, check)];
  });
  if (detections.length === 0) return undefined;
  const detectionMs = Math.max(...detections);
  return budgetAtTtl({ detectionMs, decisionMs, publishMs }, ttlMs);
}

/** The same for answers that are cached for at most `ttlMs`. */
export function budgetAtTtl(
  {
    detectionMs,
    decisionMs,
    publishMs,
  }: Pick<FailoverBudget, "detectionMs" | "decisionMs" | "publishMs">,
  ttlMs: number,
): FailoverBudget {
  const drainMs = Math.max(0, ttlFloorMs - ttlMs);
  const totalMs = detectionMs + decisionMs + publishMs + ttlMs + drainMs;
  return { detectionMs, decisionMs, publishMs, ttlMs, drainMs, totalMs };
}

/** The longest time, in milliseconds, until a check finds a failure out. */
export function detectionBoundMs(model: Pick<Model, "check">, check: HealthCheckDocument): number {
  const { spec, metadata } = check;
  if (spec.calculated !== undefined) {
    const children = spec.calculated.children.flatMap(
      (name) => model.check(metadata.namespace, name) ?? [],
    );
    return Math.max(0, ...children.map((child) => detectionBoundMs(model, child)));
  }
  const { intervalMs, timeoutMs } = probeTiming(spec);
  const roundsMs = intervalMs * (1 + spec.jitter / 100) * spec.unhealthyThreshold;
  return Math.ceil(roundsMs + timeoutMs + detectionSlackMs);
}

/** The pools that clients of a name may be sent to. */
export function poolsOfRecord(model: Model, { metadata, spec }: RecordShape): Pool[] {
  const { policy, pool } = spec;
  return poolsOfTarget(model, { namespace: metadata.namespace, policy, pool });
}

function poolsOfTarget(model: BudgetModel, { namespace, policy, pool }: BudgetTarget): Pool[] {
  if (pool !== undefined) return [model.pool(namespace, pool) ?? []].flat();
  const decides = policy === undefined ? undefined : model.policy(namespace, policy);
  if (decides === undefined) return [];
  const { metadata, spec } = decides;
  return [...reachablePools(spec)].flatMap((name) => model.pool(metadata.namespace, name) ?? []);
}
