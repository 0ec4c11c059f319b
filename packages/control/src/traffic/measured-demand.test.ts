// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { NodeWord, worldOf, type TrafficCounts, type World } from "@meridian/snapshot";
import { compileModel, modelOf } from "../testing/control-fixture.ts";
import { MeasuredDemand } from "./measured-demand.ts";

const header = "apiVersion: meridian.dev/v1alpha1\nkind:";
const model = modelOf(
  [
    `${header} Zone\nmetadata: {name: example.org}\nspec: {origin: example.org, nameServers: [{name: ns1.example.net}]}\n`,
    `${header} Pool\nmetadata: {name: de}\nspec: {members: {a: {address: 192.0.2.1}}}\n`,
    `${header} Pool\nmetadata: {name: us}\nspec: {members: {a: {address: 192.0.2.2}}}\n`,
    `${header} TrafficPolicy\nmetadata: {name: geo}\nspec: {root: g, nodes: {g: {geo: {branches: [{pool: de, countries: [DE]}, {pool: us, default: true}]}}}}\n`,
    `${header} Record\nmetadata: {name: www}\nspec: {name: www.example.org, policy: geo}\n`,
    `${header} Record\nmetadata: {name: us}\nspec: {name: us.example.org, pool: us}\n`,
  ].join("---\n"),
);

function setUp(): { world: World; classOf: (country: string) => number } {
  const world = worldOf(compileModel(model).sections, 1);
  assert.ok(typeof world === "object");
  const link = world.policies.nodeWord(0, NodeWord.classifier);
  const classifier = world.classifiers[world.classifierOfLink[link] ?? -1];
  assert.ok(classifier !== undefined);
  // The branch of DE is the first one.
  const german = Array.from({ length: classifier.classCount }, (_, index) => index).find(
    (index) => classifier.orders[classifier.orderStart(index)] === 0,
  );
  assert.ok(german !== undefined);
  const classOf = (country: string): number => (country === "DE" ? german : 1 - german);
  return { world, classOf };
}

const nothing = {
  revision: 1,
  elapsedMs: 1000,
  policies: [],
  pools: [],
  endpoints: [],
  audiences: [],
};

test("what edges count becomes demand of a name that the policy decides, by where its audiences are", () => {
  const { world, classOf } = setUp();
  const demand = new MeasuredDemand();
  const counts: Omit<TrafficCounts, "epoch"> = {
    ...nothing,
    policies: [{ key: key64("policy/default/geo"), count: 400 }],
    pools: [{ key: key64("pool/default/us"), count: 100 }],
    audiences: [
      { word: classOf("DE"), count: 300 },
      { word: classOf("US"), count: 100 },
      { word: 9999, count: 1 },
    ],
  };
  assert.equal(demand.profile(world, 0), undefined, "nothing was counted");
  for (let nowMs = 0; nowMs <= 60_000; nowMs += 1000) demand.take(counts, world, nowMs);
  const found = demand.profile(world, 65_000);
  assert.ok(found !== undefined);
  assert.deepEqual([found.seconds, found.ageMs, found.spec.unit], [59, 6000, "queries/s"]);
  const rows = Object.values(found.spec.demand);
  const rateOf = (wanted: (row: (typeof rows)[number]) => boolean): number =>
    rows.filter(wanted).reduce((sum, { rate }) => sum + rate, 0);
  const near = (value: number, wanted: number): void =>
    assert.ok(Math.abs(value - wanted) < wanted * 0.05, `${value}, expected ${wanted}`);
  near(
    rateOf(({ name }) => name === "www.example.org."),
    400,
  );
  near(
    rateOf(({ from }) => from.country === "DE"),
    300,
  );
  near(
    rateOf(({ name, from }) => name === "us.example.org." && from.everywhere !== undefined),
    100,
  );
  assert.equal(
    demand.profile(world, 65_000 + 25 * 3_600_000),
    undefined,
    "too old to say anything",
  );
});

test("of what an edge tells that was cut off for an hour only the last seconds count", () => {
  const { world } = setUp();
  const demand = new MeasuredDemand();
  const rateAt = (nowMs: number): number =>
    Object.values(demand.profile(world, nowMs)?.spec.demand ?? {}).reduce(
      (sum, { rate }) => sum + rate,
      0,
    );
  const policies = [{ key: key64("policy/default/geo"), count: 10 }];
  for (let nowMs = 0; nowMs <= 20_000; nowMs += 1000)
    demand.take({ ...nothing, policies }, undefined, nowMs);
  assert.equal(Math.round(rateAt(20_000)), 10);
  const hour = [{ key: key64("policy/default/geo"), count: 36_000 }];
  demand.take({ ...nothing, elapsedMs: 3_600_000, policies: hour }, undefined, 20_000);
  assert.equal(Math.round(rateAt(20_000)), 20, "two edges with 10 each second");
});

test("audiences of another revision are counted with their policy alone", () => {
  const { world } = setUp();
  const demand = new MeasuredDemand();
  const counts = {
    ...nothing,
    policies: [{ key: key64("policy/default/geo"), count: 10 }],
    audiences: [{ word: 0, count: 10 }],
  };
  for (let nowMs = 0; nowMs <= 20_000; nowMs += 1000) demand.take(counts, undefined, nowMs);
  const found = demand.profile(world, 20_000);
  assert.deepEqual(
    Object.values(found?.spec.demand ?? {}).map(({ from }) => from),
    [{ everywhere: {} }],
  );
});
