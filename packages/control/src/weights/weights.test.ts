// SPDX-License-Identifier: Apache-2.0

// Weights that branches are given in place of their documents': what answers follow, what explain says, and how long they hold.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiFixture } from "../testing/api-fixture.ts";
import { branchTarget, type WeightOverride } from "./weight-overrides.ts";

const apiVersion = "meridian.dev/v1alpha1";
const document = (kind: string, name: string, spec: object): object => ({
  ...{ apiVersion, kind, metadata: { name }, spec },
});
const pool = (name: string, address: string): object =>
  document("Pool", name, { members: { one: { address } } });
const policy = (branches: readonly object[]): object =>
  document("TrafficPolicy", "split", { root: "all", nodes: { all: { weighted: { branches } } } });

const documents = [
  document("Zone", "example.org", {
    origin: "example.org",
    nameServers: [{ name: "ns1.example.net" }],
  }),
  ...[pool("stable", "192.0.2.1"), pool("canary", "192.0.2.2"), pool("third", "192.0.2.3")],
  policy([
    { pool: "stable", weight: 100 },
    { pool: "canary", weight: 0 },
  ]),
  document("Record", "www", { name: "www.example.org", policy: "split" }),
];

test("a node's branches have the weights that they are given, until they have their own again", async (t) => {
  const api = await ApiFixture.start(t, {});
  assert.equal((await api.local("POST", "/v1/apply", { body: documents })).status, 200);
  const branches = async (): Promise<string[]> => {
    const { text } = await api.local("GET", "/v1/explain?name=www.example.org");
    const words: unknown = Reflect.get(Object(JSON.parse(text)), "text");
    return String(words)
      .split("\n")
      .filter((line) => /[├└]─ pool /.test(line));
  };
  const own = { policy: "default/split", node: "all", owner: "rollout/default/x" };
  const give = async (
    given: Pick<WeightOverride, "weights" | "cause" | "sinceMs"> | undefined,
  ): Promise<void> => {
    const write = api.weights.write(own, given);
    assert.ok(write !== undefined);
    assert.ok(await api.state.write([write], "rollout", {}));
    await api.weights.look();
  };
  await give({
    weights: { "pool/default/stable": 0, "pool/default/canary": 100, "pool/default/gone": 7 },
    ...{ cause: "rollout x, step 2", sinceMs: 5 },
  });
  const given = [
    "└─ pool default/canary: chosen, weight 100 of 100 (100.0 %), weight instead of 0: rollout x, step 2",
    "└─ pool default/stable: not tried, weight 0 instead of 100: rollout x, step 2",
  ];
  const strip = (lines: readonly string[]): string[] =>
    lines.map((line) => line.trim().replace("├", "└")).toSorted();
  assert.deepEqual(strip(await branches()), given);
  assert.equal(api.weights.of("default/split", "all")?.sinceMs, 5);
  assert.equal(api.weights.write({ ...own, owner: "run/default/y" }, undefined), undefined);

  // Another document: its branches have other places and weights; what was given holds for those that it names.
  const changed = policy([
    { pool: "third", weight: 3 },
    { pool: "canary", weight: 1 },
  ]);
  assert.equal((await api.local("POST", "/v1/apply", { body: [changed] })).status, 200);
  const [canary, third] = strip(await branches());
  assert.match(third ?? "", /third: (chosen|not tried)(, weight 3 of 103 .*)?$/);
  assert.match(canary ?? "", /canary.* instead of 1: rollout x, step 2$/);

  await give(undefined);
  assert.doesNotMatch((await branches()).join(), /instead/);
  assert.deepEqual(api.weights.all(), []);
});

test("branchTarget() names what a branch leads to", () => {
  assert.equal(branchTarget("ns", { pool: "a" }), "pool/ns/a");
  assert.equal(branchTarget("ns", { pool: "other/a" }), "pool/other/a");
  assert.equal(branchTarget("ns", { node: "n" }), "node/n");
  assert.equal(branchTarget("ns", { name: "WWW.example.net" }), "name/www.example.net.");
});
