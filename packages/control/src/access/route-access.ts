// SPDX-License-Identifier: Apache-2.0

// Which verb a route of the API stands for, and of what kind. A route that is not listed here is for administrators alone.

import type { AccessVerb } from "@meridian/model";

/** Where a request says what it is about, as in `pool/NS/NAME`: the namespace counts. It is what the route itself reads, and nothing else. */
interface NeedTarget {
  readonly from: "body" | "query";
  readonly field: string;
  /** Place of the namespace in it. */
  readonly namespaceAt: number;
}

/** What a caller needs for a route. */
export interface RouteNeed {
  /** undefined: anyone, known or not. */
  readonly verb: AccessVerb | undefined;
  readonly kind: string;
  /** The route looks at each thing by itself: a rule for some things of the kind is enough to get in. */
  readonly isFiltered?: boolean;
  readonly target?: NeedTarget;
  /** The query names a domain name. */
  readonly isNamed?: boolean;
  readonly isAdminOnly?: boolean;
}

const anyone: RouteNeed = { verb: undefined, kind: "" };
const seen = (kind: string): RouteNeed => ({ verb: "get", kind });
/** Rows are kept to the namespaces that the caller may see. */
const rows = (kind: string): RouteNeed => ({ verb: "list", kind, isFiltered: true });
const inBody: NeedTarget = { from: "body", field: "target", namespaceAt: 1 };
const inQuery: NeedTarget = { from: "query", field: "target", namespaceAt: 1 };
const document = (verb: AccessVerb): RouteNeed => ({ verb, kind: "*", isFiltered: true });

/** By method and pattern of the path. */
const needs: Readonly<Record<string, RouteNeed>> = {
  "GET /healthz": anyone,
  "GET /readyz": anyone,
  "GET /metrics": seen("Metrics"),
  "GET /v1/openapi.json": anyone,
  "GET /v1/reference": anyone,
  "GET /v1/whoami": anyone,
  "GET /v1/status": seen("Status"),
  "GET /v1/controls": { verb: "list", kind: "Control" },
  "DELETE /v1/controls/:name": { verb: "token", kind: "Control" },
  "GET /v1/edges": { verb: "list", kind: "Edge" },
  "GET /v1/dnssec": rows("Zone"),
  "GET /v1/secondaries": rows("Zone"),
  "POST /v1/dnssec/roll": { verb: "apply", kind: "Zone" },
  "POST /v1/dnssec/export": { verb: "token", kind: "Zone" },
  "GET /v1/shards": { verb: "list", kind: "Shard" },
  "GET /v1/vantages": { verb: "list", kind: "Vantage" },
  "DELETE /v1/edges/:name": { verb: "token", kind: "Edge" },
  "POST /v1/edges/invitations": { verb: "token", kind: "Edge" },
  "GET /v1/publication": { verb: "list", kind: "Edge" },
  "GET /v1/endpoints": rows("Endpoint"),
  "GET /v1/pools": rows("Pool"),
  "GET /v1/sites": { verb: "list", kind: "Site" },
  "GET /v1/policies": rows("TrafficPolicy"),
  "GET /v1/policies/counts": { verb: "list", kind: "TrafficPolicy" },
  "GET /v1/records": rows("Record"),
  "GET /v1/health": rows("Health"),
  "GET /v1/health/history": rows("Health"),
  "GET /v1/routing-controls": rows("RoutingControl"),
  "GET /v1/recoveryplans": rows("RecoveryPlan"),
  "GET /v1/recoveryruns": rows("RecoveryPlan"),
  "GET /v1/recoveryreport": { verb: "get", kind: "RecoveryPlan", isFiltered: true },
  "GET /v1/rollouts": rows("Rollout"),
  "POST /v1/rollouts": { verb: "rollout", kind: "Rollout", isFiltered: true },
  "GET /v1/shifts": rows("Shift"),
  "GET /v1/drills": rows("Drill"),
  "POST /v1/drills/:namespace/:name": { verb: "run", kind: "Drill", isFiltered: true },
  "GET /v1/approvals": rows("Approval"),
  "POST /v1/approvals/:id": { verb: "approve", kind: "*", isFiltered: true },
  "GET /v1/latches": rows("Latch"),
  "GET /v1/notifications": rows("Notification"),
  "GET /v1/top/names": { verb: "list", kind: "Name" },
  "GET /v1/explain": { verb: "explain", kind: "Record", isNamed: true },
  "POST /v1/replay": { verb: "explain", kind: "Record" },
  "POST /v1/routing-controls": { verb: "set", kind: "RoutingControl", isFiltered: true },
  "POST /v1/recoveryruns": { verb: "run", kind: "RecoveryPlan", isFiltered: true },
  "PUT /v1/recoveryruns": { verb: "run", kind: "RecoveryPlan", isFiltered: true },
  "POST /v1/recoveryapprovals": { verb: "approve", kind: "RecoveryPlan", isFiltered: true },
  "POST /v1/shifts": { verb: "drain", kind: "Shift", target: inBody },
  "PUT /v1/shifts": { verb: "drain", kind: "Shift", target: inBody },
  "DELETE /v1/shifts": { verb: "undrain", kind: "Shift", target: inQuery },
  "POST /v1/failback": {
    ...{ verb: "failback", kind: "Latch" },
    target: { from: "query", field: "node", namespaceAt: 0 },
  },
  "POST /v1/push": {
    ...{ verb: "push", kind: "Health" },
    target: { from: "query", field: "endpoint", namespaceAt: 1 },
  },
  "POST /v1/latency": { verb: "push", kind: "DataSet" },
  "POST /v1/reload": { verb: "reload", kind: "File" },
  "GET /v1/documents": document("list"),
  "GET /v1/documents/:kind": document("list"),
  "GET /v1/documents/:kind/:first": { verb: undefined, kind: "*" },
  "GET /v1/documents/:kind/:first/:name": document("get"),
  "PUT /v1/documents/:kind/:first": document("apply"),
  "PUT /v1/documents/:kind/:first/:name": document("apply"),
  "DELETE /v1/documents/:kind/:first": document("delete"),
  "DELETE /v1/documents/:kind/:first/:name": document("delete"),
  "POST /v1/apply": document("apply"),
  "POST /v1/diff": document("diff"),
  // It tells of all that is served.
  "POST /v1/plans": { verb: "diff", kind: "*" },
  "GET /v1/diff": document("diff"),
  "GET /v1/history": document("history"),
  "POST /v1/rollback": document("rollback"),
  "GET /v1/audit": { verb: "audit", kind: "Audit" },
  "GET /v1/audit/refusals": { verb: "audit", kind: "Audit" },
  "GET /v1/audit/verify": { verb: "audit", kind: "Audit" },
  "GET /v1/tokens": { verb: "token", kind: "Token" },
  "POST /v1/tokens": { verb: "token", kind: "Token" },
  "DELETE /v1/tokens/:name": { verb: "token", kind: "Token" },
};

/** Every route that is listed, as `METHOD PATTERN`. */
export const listedRoutes: readonly string[] = Object.keys(needs);

/** What a route needs; undefined for one that is not listed. */
export function routeNeed(method: string, pattern: string): RouteNeed | undefined {
  return needs[`${method === "HEAD" ? "GET" : method} ${pattern}`];
}
