// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { expectedLine } from "./answers.ts";
import { largePlan, policyKinds, poolsOf, smallPlan } from "./plan.ts";
import { clientPrefixes, formatNet, regionNets } from "./regions.ts";

const size = { names: 2000, policies: 110, endpoints: 1100, zones: 3, wildcards: 0.1 };

test("largePlan() has the size asked for, every kind of policy, and distinct names and addresses", () => {
  const plan = largePlan(size, 7);
  assert.equal(new Set(plan.owners).size, size.names);
  const addresses = poolsOf(plan).flatMap((pool) => pool.endpoints.map((each) => each.address));
  assert.equal(addresses.length, size.endpoints);
  assert.equal(new Set(addresses).size, size.endpoints);
  assert.equal(poolsOf(plan).length, 3 * size.policies);
  assert.deepEqual(new Set(plan.policies.map((each) => each.kind)), new Set(policyKinds));
  const wildcards = plan.owners.filter((owner) => owner.startsWith("*.")).length;
  assert.ok(Math.abs(wildcards / size.names - size.wildcards) < 0.03, `${wildcards} wildcards`);
  assert.ok(poolsOf(plan).every((pool) => pool.endpoints.some((each) => !each.isDown)));
});

test("largePlan() is the same for the same seed and another for another", () => {
  assert.deepEqual(largePlan(size, 7), largePlan(size, 7));
  assert.notDeepEqual(largePlan(size, 7).owners, largePlan(size, 8).owners);
});

test("smallPlan() of failover has half of the endpoints down and answers from the tier that is up", () => {
  const plan = smallPlan("failover", 1);
  const endpoints = poolsOf(plan).flatMap((pool) => pool.endpoints);
  assert.equal(endpoints.filter((each) => each.isDown).length * 2, endpoints.length);
  assert.equal(expectedLine(plan, 0, "policy"), "0 127.16.0.3,127.16.0.4");
  assert.equal(expectedLine(plan, 1, "policy"), "0 127.16.0.5,127.16.0.6");
});

test("expectedLine() holds one set a region under geo", () => {
  const plan = smallPlan("geo", 1);
  assert.equal(
    expectedLine(plan, 0, "policy"),
    "0 127.16.0.1,127.16.0.2|127.16.0.3,127.16.0.4|127.16.0.5,127.16.0.6",
  );
  assert.equal(expectedLine(plan, 0, "static"), "0 127.16.0.1");
});

test("clientPrefixes() are distinct and lie in a network of their region", () => {
  const nets = regionNets(3);
  const prefixes = clientPrefixes(nets, 1000, 3);
  assert.equal(new Set(prefixes.map(formatNet)).size, 1000);
  for (const prefix of prefixes) {
    const holder = nets.find((net) => net.address >>> 22 === prefix.address >>> 22);
    assert.equal(holder?.region, prefix.region);
  }
});
