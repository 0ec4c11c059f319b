// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EdgeView } from "../edges/edge-hub.ts";
import { changedParts, withChange } from "../served-model.ts";
import { modelOf } from "../testing/control-fixture.ts";
import { servedAlerts, type Served } from "./served-alerts.ts";

const nowMs = Date.parse("2026-01-31T12:00:00Z");

const model = withChange(
  undefined,
  changedParts(
    modelOf(`
apiVersion: meridian.dev/v1alpha1
kind: HealthCheck
metadata: {name: web}
spec: {tcp: {}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: web}
spec: {healthCheck: web, members: {a: {address: 192.0.2.1, port: 80}, b: {address: 192.0.2.2, port: 80}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: spare}
spec: {members: {c: {address: 192.0.2.3}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: web}
spec:
  root: order
  nodes:
    order: {failover: {tiers: [{branches: [{node: both}]}, {branches: [{pool: spare}]}]}}
    both: {weighted: {branches: [{pool: web, weight: 1}]}}
`),
    undefined,
    "",
  ),
);

const [a, b] = ["endpoint/default/web/a", "endpoint/default/web/b"];

const edge: EdgeView = {
  name: "eu-1",
  connected: false,
  standing: "silent",
  epoch: undefined,
  revision: 1,
  sequence: 1,
  lastWordMs: nowMs - 16_000,
  staleMs: 16_000,
  answers: undefined,
  version: "1",
  address: "192.0.2.9",
};

function alertsOf(served: Partial<Served>): string[] {
  const nothing: Served = {
    model,
    verdicts: [],
    reasons: new Map(),
    latches: [],
    shifts: [],
    refused: [],
    unkept: undefined,
    edges: [],
    expiries: [],
  };
  const alerts = [...servedAlerts({ ...nothing, ...served }, nowMs)];
  return alerts.map(({ event, namespace, summary }) => `${event} (${namespace}): ${summary}`);
}

test("a pool is down when none of its endpoints may be up, and its failover uses the next tier", () => {
  const verdicts = (second: string) => [
    { key: a, verdict: "unhealthy" },
    { key: b, verdict: second },
  ];
  const verdict = `verdict (default): ${a} is unhealthy`;
  assert.deepEqual(alertsOf({ verdicts: verdicts("healthy") }), [verdict]);
  assert.deepEqual(alertsOf({ verdicts: verdicts("unknown") }), [verdict]);
  assert.deepEqual(alertsOf({ verdicts: verdicts("unhealthy") }), [
    verdict,
    `verdict (default): ${b} is unhealthy`,
    "all-down (default): Every endpoint of pool default/web is unhealthy",
    "failover (default): Failover node default/web/order uses tier 2 of 2",
  ]);
});

test("a latch says which tier is used, whatever is up", () => {
  const latches = [{ name: "default/web/order", tier: 2 }];
  assert.deepEqual(alertsOf({ latches }), [
    "failover (default): Failover node default/web/order uses tier 2 of 2",
  ]);
});

test("certificates, shifts that end, refused files, what the disk does not take and edges that are away are told", () => {
  const shift = {
    id: "1",
    percent: 100,
    reason: "",
    actor: "",
    createdAtMs: 0,
    target: "site/eu",
    expiresAtMs: nowMs + 60_000,
  };
  const disk = { what: "the overlay", reason: "no space left on device", sinceMs: nowMs };
  const reason = "certificate expires on 2026-02-03, wanted 14 days more";
  assert.deepEqual(
    alertsOf({
      verdicts: [{ key: a, verdict: "unhealthy" }],
      reasons: new Map([[a, reason]]),
      shifts: [shift, { ...shift, target: "pool/shop/web", expiresAtMs: nowMs + 3_600_000 }],
      refused: ["Cannot read a.yaml", "Cannot read b.yaml"],
      unkept: { revision: 7, sinceMs: nowMs, reason: "no space left on device" },
      edges: [edge, { ...edge, name: "eu-2", lastWordMs: nowMs - 1000, disk }],
    }),
    [
      `verdict (default): ${a} is unhealthy: ${reason}`,
      `expiring-certificate (default): ${a}: ${reason}`,
      "ending-shift (): The shift of site/eu ends at 2026-01-31T12:01:00Z",
      "refused-publish (): The last good revision stays: Cannot read a.yaml, and 1 more",
      "unkept-revision (): The state folder does not take revision 7, which is served: no space left on device",
      "isolated-edge (): Edge eu-1 was last heard of at 2026-01-31T11:59:44Z",
      "edge-disk (): The disk of edge eu-2 does not take the overlay: no space left on device",
    ],
  );
});

test("certificates are told that nobody renews: an edge's, those of APIs, and the authority's", () => {
  const [hour, day] = [3_600_000, 24 * 3_600_000];
  const connected = { ...edge, connected: true, standing: "serving" } as const;
  assert.deepEqual(
    alertsOf({
      edges: [
        { ...connected, certificateEndsMs: nowMs + 5 * hour },
        { ...connected, name: "eu-2", certificateEndsMs: nowMs + 7 * hour },
        { ...connected, name: "eu-3", certificateEndsMs: nowMs - hour },
        { ...connected, name: "eu-4" },
      ],
      expiries: [
        { subject: "control/a", atMs: nowMs + day },
        { subject: "control/b", atMs: nowMs + 8 * day },
        { subject: "certificate/api", atMs: nowMs - day },
        { subject: "certificate/authority", atMs: nowMs + 6 * day },
      ],
    }),
    [
      "expiring-certificate (): Edge eu-1 does not renew its certificate, which ends at 2026-01-31T17:00:00Z",
      "expiring-certificate (): Edge eu-3 does not renew its certificate, which ended at 2026-01-31T11:00:00Z",
      "expiring-certificate (): The certificate of the API of control a ends at 2026-02-01T12:00:00Z",
      "expiring-certificate (): The certificate of the API ended at 2026-01-30T12:00:00Z",
      "expiring-certificate (): The authority that certifies edges ends at 2026-02-06T12:00:00Z",
    ],
  );
});
