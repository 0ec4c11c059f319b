// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, SelectionCounts, SelectionLayout, Selector, TargetKind } from "@meridian/snapshot";
import { worldOf } from "@meridian/snapshot";
import { policyCounts } from "@meridian/snapshot/surface";
import { compileModel, modelOf } from "./testing/control-fixture.ts";

const documents = `
apiVersion: meridian.dev/v1alpha1
kind: Pool
metadata: {name: a}
spec: {members: {one: {address: 192.0.2.1}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: other}
spec: {root: r, nodes: {r: {weighted: {branches: [{pool: a, weight: 1}]}}}}
---
apiVersion: meridian.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: p}
spec:
  root: where
  nodes:
    where:
      subnet: {branches: [{node: inner, prefixes: [203.0.113.0/24]}, {name: x.example.net, default: true}]}
      onAllUnhealthy: fallback
      fallback: {pool: a}
    inner:
      weighted: {branches: [{pool: a, weight: 0}, {pool: a, weight: 1}]}
`;

test("policyCounts() names nodes, branches and audiences with what passed through them", () => {
  const world = worldOf(compileModel(modelOf(documents)).sections, 1);
  assert.ok(typeof world !== "string");
  const layout = new SelectionLayout(world);
  const { nodes, branches, audiences } = layout;
  const words = new Uint32Array(nodes + branches + audiences);
  const selector = new Selector(world);
  selector.counts = new SelectionCounts(words, 0, layout);
  const index = world.policies.policyCount - 1;
  assert.equal(world.policies.policyName(index), "default/p");
  const client = new Client();
  for (const last of [113, 113, 114]) {
    client.set(4, new Uint8Array([203, 0, last, 0]), 0, 24);
    selector.select(world.initialSlots(), TargetKind.policy, index, client, 5, 4, 0);
  }
  const figures = {
    nodes: Float64Array.from(words.subarray(0, nodes)),
    branches: Float64Array.from(words.subarray(nodes, nodes + branches)),
    audiences: Float64Array.from(words.subarray(nodes + branches)),
  };
  const counts = policyCounts(world, figures, "default/p");
  const byNode = new Map(counts?.map((count) => [count.node, count]));
  assert.deepEqual(byNode.get("inner"), {
    node: "inner",
    kind: "weighted",
    answers: 2,
    branches: [
      { index: 0, target: "pool/default/a", answers: 0 },
      { index: 1, target: "pool/default/a", answers: 2 },
    ],
    audiences: [],
  });
  const where = byNode.get("where");
  assert.deepEqual(where?.branches, [
    { index: 0, target: "node/inner", answers: 2 },
    { index: 1, target: "name/x.example.net.", answers: 1 },
    { index: 2, target: "pool/default/a", answers: 0 },
  ]);
  assert.deepEqual(
    where.audiences
      .filter(({ queries }) => queries > 0)
      .map(({ branches: order, queries }) => [order[0], queries]),
    [
      [1, 1],
      [0, 2],
    ],
  );
  assert.equal(policyCounts(world, figures, "default/none"), undefined);
});
