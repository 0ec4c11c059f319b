// SPDX-License-Identifier: Apache-2.0
import { formatDuration, parseDuration } from "@meridian/core";
import type { RecordDocument } from "../documents.ts";
import { type FailoverBudget, failoverBudget, poolsOfRecord } from "../failover-budget.ts";
import type { Model } from "../model.ts";
import { branchesOf, reachableNodes } from "../policy-graph.ts";
import type { Report } from "../report.ts";

/** A TTL above which a health-checked name is warned of. */
const ttlMsMax = 300_000;

/** What is equal for all names of one policy or pool, so that a million names stay cheap. */
interface Behind {
  readonly budget: FailoverBudget | undefined;
  readonly places: number;
  /** The longest TTL in milliseconds by its text. */
  readonly ttlMs: Map<string, number>;
}

/** Warns of names that fail over too slowly, or cannot at all. */
export function lintRecords(model: Model, report: Report): void {
  const known = new Map<string, Map<string, Behind>>();
  for (const record of model.records.values()) {
    const { policy, pool = "" } = record.spec;
    // Names of policies and pools share a map, so the latter get a sign that no name has.
    const target = policy ?? `/${pool}`;
    const inNamespace = known.get(record.metadata.namespace) ?? new Map<string, Behind>();
    if (inNamespace.size === 0) known.set(record.metadata.namespace, inNamespace);
    let behind = inNamespace.get(target);
    if (behind === undefined) {
      const places = countPlaces(model, record);
      behind = { budget: failoverBudget(model, record), places, ttlMs: new Map() };
      inNamespace.set(target, behind);
    }
    lintRecord(record, behind, report);
  }
}

function lintRecord(record: RecordDocument, behind: Behind, report: Report): void {
  const { budget, places } = behind;
  const ttlMax = record.spec.ttl.max;
  const ttlMs = behind.ttlMs.get(ttlMax) ?? parseDuration(ttlMax) ?? 0;
  behind.ttlMs.set(ttlMax, ttlMs);
  const target = record.spec.policy === undefined ? "pool" : "policy";
  if (places < 2) {
    report.warning(record, {
      code: "endpoint-single",
      path: ["spec", target],
      found: places === 0 ? "answered without any endpoint" : "answered from one endpoint only",
      said: true,
      wanted: "two at least, so that there is one to fail over to",
    });
  }
  const objective = record.spec.objective?.recoveryTime;
  const totalMs = budget === undefined ? undefined : budget.totalMs - budget.ttlMs + ttlMs;
  if (objective !== undefined && totalMs === undefined) {
    report.warning(record, {
      code: "budget-exceeded",
      path: ["spec", "objective", "recoveryTime"],
      found: `${objective} while nothing of the name is checked`,
      said: true,
      wanted: "a health check on its pools",
    });
  } else if (objective !== undefined && budget !== undefined && totalMs !== undefined) {
    lintBudget(record, objective, { ...budget, ttlMs, totalMs }, report);
  }
  if (budget !== undefined && ttlMs > ttlMsMax) {
    const wanted = `at most ${formatDuration(ttlMsMax)} for a name that is health-checked`;
    const path = ["spec", "ttl", "max"];
    report.warning(record, { code: "ttl-long", path, found: record.spec.ttl.max, wanted });
  }
}

function lintBudget(
  record: RecordDocument,
  objective: string,
  { detectionMs, decisionMs, publishMs, ttlMs, totalMs }: FailoverBudget,
  report: Report,
): void {
  if (totalMs <= (parseDuration(objective) ?? 0)) return;
  const parts = [
    `detection ${seconds(detectionMs)}`,
    `decision ${seconds(decisionMs)}`,
    `publishing ${seconds(publishMs)}`,
    `TTL ${seconds(ttlMs)}`,
  ].join(", ");
  report.warning(record, {
    code: "budget-exceeded",
    path: ["spec", "objective", "recoveryTime"],
    found: `${objective} while failing over takes ${seconds(totalMs)} (${parts})`,
    said: true,
    wanted: `${formatDuration(Math.ceil(totalMs / 1000) * 1000)} or more, or shorter parts`,
  });
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

/** Endpoints and other names that a name may be answered with. */
function countPlaces(model: Model, record: RecordDocument): number {
  const members = poolsOfRecord(model, record).map((pool) => pool.members.size);
  const endpoints = members.reduce((sum, count) => sum + count, 0);
  const policy = model.policy(record.metadata.namespace, record.spec.policy ?? "");
  if (policy === undefined) return endpoints;
  const names = [...reachableNodes(policy.spec)].flatMap((name) => {
    const node = policy.spec.nodes[name];
    const placed = node === undefined ? [] : branchesOf(node);
    return [...placed.map(({ branch }) => branch.name), node?.fallback?.name];
  });
  return endpoints + names.filter((name) => name !== undefined).length;
}
