// SPDX-License-Identifier: Apache-2.0
// How long it may take until clients have left a dead endpoint: found out by probes, decided and
// published here, forgotten by caches. The bound of detection is interval × (1 + jitter) ×
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
  readonly totalMs: number;
}

/** Slack of the bound of detection: scheduling of probes and their timers. */
const detectionSlackMs = 100;
/** From the last report to the verdict. */
const decisionMs = 10;
/** From a verdict to the answers of every edge. */
const publishMs = 100;

/** The budget of a name, by its slowest check; undefined where nothing of it is checked. */
export function failoverBudget(model: Model, record: RecordShape): FailoverBudget | undefined {
  const { namespace } = record.metadata;
  const detections = poolsOfRecord(model, record).flatMap(({ document }) => {
    const { healthCheck } = document.spec;
    const check = healthCheck === undefined ? undefined : model.check(namespace, healthCheck);
    return check === undefined || check.spec.disabled ? [] : [detectionBoundMs(model, check)];
  });
  if (detections.length === 0) return undefined;
  const detectionMs = Math.max(...detections);
  const ttlMs = parseDuration(record.spec.ttl.max) ?? 0;
  const totalMs = detectionMs + decisionMs + publishMs + ttlMs;
  return { detectionMs, decisionMs, publishMs, ttlMs, totalMs };
}

/** The longest time, in milliseconds, until a check finds a failure out. */
export function detectionBoundMs(model: Model, check: HealthCheckDocument): number {
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
export function poolsOfRecord(model: Model, record: RecordShape): Pool[] {
  const { namespace } = record.metadata;
  const { policy, pool } = record.spec;
  const spec = policy === undefined ? undefined : model.policy(namespace, policy)?.spec;
  const names = spec === undefined ? [] : [...reachablePools(spec)];
  if (pool !== undefined) names.push(pool);
  return names.flatMap((name) => model.pool(namespace, name) ?? []);
}
