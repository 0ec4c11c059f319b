// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { loadModel, type Model } from "@meridian/model";
import { endpointSlot, type World } from "@meridian/snapshot";
import { compile } from "./compile.ts";
import { classifierCompiler } from "./data-sets/classifier-compiler.ts";
import { DataSets } from "./data-sets/data-sets.ts";
import { worldOf } from "@meridian/snapshot";
import { explain, explainText, parseClient, type Explanation } from "@meridian/snapshot/surface";
import { budgetOf } from "./explain-source.ts";

const documents = `
apiVersion: meridian.dev/v1alpha1
kind: HealthCheck
metadata: {name: web}
spec: {http: {}, interval: 1s, unhealthyThreshold: 2}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: eu}
spec: {healthCheck: web, members: {e1: {address: 192.0.2.1, site: eu}, e2: {address: 192.0.2.2, site: eu}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: us}
spec: {healthCheck: web, members: {u1: {address: 198.51.100.1, site: us}}}
---
apiVersion: meridian.dev/v1alpha1
kind: Site
metadata: {name: eu}
spec: {}
---
apiVersion: meridian.dev/v1alpha1
kind: Site
metadata: {name: us}
spec: {}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p}
spec:
  root: by-net
  nodes:
    by-net:
      subnet:
        branches:
          - {node: eu-first, prefixes: [203.0.113.0/24]}
          - {pool: us, default: true}
    eu-first:
      failover: {tiers: [{branches: [{pool: eu}]}, {branches: [{pool: us}]}]}
---
apiVersion: meridian.dev/v1alpha1
kind: Zone
metadata: {name: example.org}
spec: {origin: example.org, nameServers: [{name: ns1.example.org, addresses: [192.0.2.53]}]}
---
apiVersion: meridian.dev/v1alpha1
kind: Record
metadata: {name: www.example.org}
spec: {name: www.example.org, policy: p}
`;

function load(): { model: Model; world: World } {
  const { model, problems } = loadModel(
    [{ path: "a.yaml", bytes: new TextEncoder().encode(documents) }],
    { now: 0 },
  );
  assert.ok(model !== undefined, JSON.stringify(problems));
  const { sections } = compile(model, { seed: 1, classify: classifierCompiler(new DataSets()) });
  const world = worldOf(sections, 1);
  assert.ok(typeof world !== "string");
  return { model, world };
}

const healthy = endpointSlot(1, 0, 1000, 1000, 3);
const unhealthy = endpointSlot(2, 0, 1000, 1000, 2);

function ask(
  states: Readonly<Record<string, number>>,
  client: string,
  name = "www.example.org",
  type = "A",
): Explanation {
  const { model, world } = load();
  const slots = world.initialSlots();
  slots.fill(healthy, 0, world.pools.endpointCount);
  for (const [endpoint, value] of Object.entries(states))
    slots[world.slotOfKey(key64(`endpoint/default/${endpoint}`))] = value;
  const subnet = parseClient(client);
  const resolver = parseClient("127.0.0.1");
  assert.ok(subnet !== undefined && resolver !== undefined);
  const explanation = explain(
    { world, slots, budgetOf: budgetOf(model), revision: 3, sequence: 9 },
    { name, type, client: subnet, resolver, nowSeconds: 1_000_000 },
  );
  assert.ok(explanation !== undefined);
  return explanation;
}

test("explain() names every node visited, who was kept and dropped, and the chances", () => {
  const explanation = ask({ "eu/e1": unhealthy }, "203.0.113.0/24");
  assert.equal(explanation.outcome, "endpoints");
  assert.deepEqual(explanation.chances, [{ outcome: "endpoint/default/eu/e2", chance: 1 }]);
  assert.equal(explanation.scope, 24);
  assert.equal(
    explainText(explanation).replace(/draw \d+/, "draw D"),
    `www.example.org. A: endpoints
revision 3, overlay 9, at 1970-01-12T13:46:40.000Z
zone example.org., bound to policy/default/p
client 203.0.113.0/24, from the client subnet that the resolver sent; scope /24; draw D

subnet "by-net": chosen; verdicts as they are, audience 1 (scope /24)
├─ node eu-first: chosen
│  failover "eu-first": chosen; verdicts as they are
│  ├─ pool default/eu: chosen
│  │    - endpoint/default/eu/e1: unhealthy, weight 1
│  │    + endpoint/default/eu/e2: healthy, weight 1
│  └─ pool default/us: not tried
└─ pool default/us: not tried

chances of the first answer:
  100.00 %  endpoint/default/eu/e2

answer:
  www.example.org. 5 A 192.0.2.2 (endpoint/default/eu/e2)
TTL 5 s
failover budget 62.81 s: detection 2.7 s + decision 0.01 s + publishing 0.1 s + TTL 60 s + drain 0 s
`,
  );
});

test("explain() shows how everything down is decided again", () => {
  const explanation = ask({ "us/u1": unhealthy }, "198.18.0.0/24");
  assert.deepEqual(
    explanation.tree?.passes.map(({ verdicts, status }) => [verdicts, status]),
    [
      ["as they are", "unhealthy"],
      ["all healthy", "chosen"],
    ],
  );
});

test("explain() tells names apart that have no decision", () => {
  assert.equal(ask({}, "203.0.113.0/24", "other.example.org").outcome, "no such name");
  assert.equal(ask({}, "203.0.113.0/24", "www.example.org", "MX").outcome, "no such type");
  assert.equal(ask({}, "203.0.113.0/24", "example.org", "SOA").outcome, "static");
  assert.equal(ask({}, "203.0.113.0/24", "example.net").outcome, "not served here");
});
