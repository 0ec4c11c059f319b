// SPDX-License-Identifier: Apache-2.0

// A service in two places, eu before us, for tests of what moves it.

import { once } from "node:events";
import { createServer } from "node:http";
import type { TestContext } from "node:test";

const apiVersion = "meridian.dev/v1alpha1";

/** A document as the API takes it. */
export function documentOf(kind: string, name: string, spec: object): object {
  return { apiVersion, kind, metadata: { name }, spec };
}

/** `www.example.org`, by policy `order` of pools `eu` and `us`; kept for a second. */
export const twoPlaces = {
  "zone.yaml": `apiVersion: ${apiVersion}
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.net}]}
---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: eu}
spec: {members: {one: {address: 192.0.2.1}}}
---
apiVersion: ${apiVersion}
kind: Pool
metadata: {name: us}
spec: {members: {one: {address: 192.0.2.2}}}
---
apiVersion: ${apiVersion}
kind: TrafficPolicy
metadata: {name: order}
spec:
  root: order
  nodes: {order: {failover: {tiers: [{branches: [{pool: eu}]}, {branches: [{pool: us}]}]}}}
---
apiVersion: ${apiVersion}
kind: Record
metadata: {name: www}
spec: {name: www.example.org, policy: order, ttl: {min: 1s, max: 1s}}
`,
};

/** Answers one number, or none, as a Prometheus server does; its URL. */
export async function prometheusOf(
  t: TestContext,
  value: () => number | undefined,
): Promise<string> {
  const server = createServer((_request, reply) => {
    const now = value();
    const result = now === undefined ? [] : [{ metric: {}, value: [0, String(now)] }];
    reply.setHeader("content-type", "application/json");
    reply.end(JSON.stringify({ status: "success", data: { resultType: "vector", result } }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? (address?.port ?? 0) : 0}`;
}
