// SPDX-License-Identifier: Apache-2.0
import { formatDuration, parseDuration } from "@meridian/core";
import {
  type FailoverBudget,
  budgetAtTtl,
  failoverBudget,
  poolsOfRecord,
} from "../failover-budget.ts";
import { indexKey } from "../model-index.ts";
import type { Model } from "../model.ts";
import { branchesOf, reachableNodes } from "../policy-graph.ts";
import type { RecordShape } from "../record-table.ts";
import type { Fault, Report } from "../report.ts";

/** A TTL above which a health-checked name is warned of. */
const ttlMsMax = 300_000;

/** Warns of names that fail over too slowly, or cannot at all. */
export function lintRecords(model: Model, report: Report, records = model.records): void {
  const behind = new Map<string, Behind>();
  const faults = records.shapes.map((shape) => faultsOf(shape, behindOf(model, shape, behind)));
  if (faults.every(({ length }) => length === 0)) return;
  for (let at = 0; at < records.count; at += 1) {
    const found = faults[records.shapeAt(at)] ?? [];
    if (found.length === 0) continue;
    const record = records.document(at);
    for (const fault of found) report.warning(record, fault);
  }
}

/** What is equal for all names of one policy or pool. */
interface Behind {
  readonly budget: FailoverBudget | undefined;
  readonly places: number;
}

function behindOf(model: Model, shape: RecordShape, known: Map<string, Behind>): Behind {
  const { policy, pool = "" } = shape.spec;
  const target = `${policy === undefined ? "pool" : "policy"}/${indexKey(shape.metadata.namespace, policy ?? pool)}`;
  let behind = known.get(target);
  if (behind === undefined) {
    behind = { budget: failoverBudget(model, shape), places: countPlaces(model, shape) };
    known.set(target, behind);
  }
  return behind;
}

function faultsOf({ spec }: RecordShape, { budget, places }: Behind): Fault[] {
  const faults: Fault[] = [];
  const ttlMs = parseDuration(spec.ttl.max) ?? 0;
  if (places < 2) {
    faults.push({
      code: "endpoint-single",
      path: ["spec", spec.policy === undefined ? "pool" : "policy"],
      found: places === 0 ? "answered without any endpoint" : "answered from one endpoint only",
      said: true,
      wanted: "two at least, so that there is one to fail over to",
    });
  }
  const objective = spec.objective?.recoveryTime;
  if (objective !== undefined && budget === undefined) {
    faults.push({
      code: "budget-exceeded",
      path: ["spec", "objective", "recoveryTime"],
      found: `${objective} while nothing of the name is checked`,
      said: true,
      wanted: "a health check on its pools",
    });
  } else if (objective !== undefined && budget !== undefined) {
    faults.push(...budgetFaults(objective, budgetAtTtl(budget, ttlMs)));
  }
  if (budget !== undefined && ttlMs > ttlMsMax) {
    const wanted = `at most ${formatDuration(ttlMsMax)} for a name that is health-checked`;
    faults.push({ code: "ttl-long", path: ["spec", "ttl", "max"], found: spec.ttl.max, wanted });
  }
  return faults;
}

function budgetFaults(
  objective: string,
  { detectionMs, decisionMs, publishMs, ttlMs, drainMs, totalMs }: FailoverBudget,
): Fault[] {
  if (totalMs <= (parseDuration(objective) ?? 0)) return [];
  const parts = [
    `detection ${seconds(detectionMs)}`,
    `decision ${seconds(decisionMs)}`,
    `publishing ${seconds(publishMs)}`,
    `TTL ${seconds(ttlMs)}`,
    `drain ${seconds(drainMs)}`,
  ].join(", ");
  return [
    {
      code: "budget-exceeded",
      path: ["spec", "objective", "recoveryTime"],
      found: `${objective} while failing over takes ${seconds(totalMs)} (${parts})`,
      said: true,
      wanted: `${formatDuration(Math.ceil(totalMs / 1000) * 1000)} or more, or shorter parts`,
    },
  ];
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}

/** Endpoints and other names that a name may be answered with. */
function countPlaces(model: Model, record: RecordShape): number {
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
