// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { Client } from "./client.ts";
import { writeClassifier } from "./location/classifier-writer.ts";
import { parsePrefix } from "./location/prefix.ts";
import { SelectionCounts, SelectionLayout } from "./selection-counts.ts";
import { Outcome, Selector } from "./selector.ts";
import { BAD, GOOD, branch, loadWorld, member, node, pool } from "./testing/world-fixture.ts";
import { TargetKind, type World } from "./world.ts";

const before = 3;

/** Branch 0 for 10.0.0.0/8, branch 1 for 11.0.0.0/8, nobody for the rest. */
function placedWorld(): World {
  const prefix = (text: string, cls: number) => {
    const parsed = parsePrefix(text);
    assert.ok(parsed !== undefined);
    return { prefix: parsed, cls };
  };
  const classifier = writeClassifier({
    orders: [[], [0, 1], [1, 0]],
    defaultClass: 0,
    isExactPrefix: true,
    prefixes: [prefix("10.0.0.0/8", 1), prefix("11.0.0.0/8", 2)],
  });
  const inner = [branch({ pool: "default/a" }, { weight: 0 }), branch({ pool: "default/b" })];
  return loadWorld(
    [pool("default/a", [member("one", 1)]), pool("default/b", [member("one", 2)])],
    [
      {
        name: "default/p",
        root: "where",
        nodes: [
          node("where", "subnet", [branch({ node: "by" }), branch({ pool: "default/a" })], {
            classifier: classifier.key,
            onAllUnhealthy: "open",
          }),
          node("by", "weighted", inner),
        ],
      },
    ],
    [classifier],
  );
}

/** Selects once for each address and returns the counts by node, branch and audience. */
function countsOf(world: World, slots: Uint32Array, clients: readonly number[]): number[][] {
  const layout = new SelectionLayout(world);
  const { nodes, branches, audiences } = layout;
  const words = new Uint32Array(before + nodes + branches + audiences + 1);
  const selector = new Selector(world);
  selector.counts = new SelectionCounts(words, before, layout);
  const client = new Client();
  for (const octet of clients) {
    client.set(4, new Uint8Array([octet, 0, 0, 0]), 0, 24);
    const outcome = selector.select(slots, TargetKind.policy, 0, client, 7, 4, 0);
    assert.equal(outcome === Outcome.endpoints, octet !== 12);
  }
  assert.deepEqual([...words.subarray(0, before), words.at(-1)], [0, 0, 0, 0]);
  const from = (start: number, count: number): number[] => [
    ...words.subarray(before + start, before + start + count),
  ];
  return [from(0, nodes), from(nodes, branches), from(nodes + branches, audiences)];
}

test("nodes and branches count the answers that came through them, audiences whom a node placed", () => {
  const world = placedWorld();
  const slots = world.initialSlots().fill(GOOD, 0, world.pools.endpointCount);
  assert.deepEqual(countsOf(world, slots, [10, 10, 11, 12]), [
    [3, 2],
    [2, 1, 0, 2],
    [1, 2, 1],
  ]);
});

test("a decision that opens counts its client once", () => {
  const world = placedWorld();
  const slots = world.initialSlots().fill(BAD, 0, world.pools.endpointCount);
  assert.ok(world.slotOfKey(key64("endpoint/default/a/one")) >= 0);
  const [nodes, , audiences] = countsOf(world, slots, [10, 11]);
  assert.deepEqual([nodes?.[0], audiences], [2, [0, 1, 1]]);
});
