// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { SnapshotCounters, counterShape } from "@meridian/edge";
import {
  Admin,
  HASTENED,
  INITIAL_ENDPOINT_SLOT,
  SelectionLayout,
  TRAFFIC_ENTRIES_MAX,
  type World,
} from "@meridian/snapshot";
import { compile, worldOf } from "@meridian/control";
import { loadModel } from "@meridian/model";
import fc from "fast-check";
import { ToldCounts } from "./told-counts.ts";

const POOLS = 700;

/** A world of so many pools of one endpoint each. */
function poolsWorld(count: number): World {
  const text = Array.from(
    { length: count },
    (_, index) =>
      `apiVersion: meridian.dev/v1alpha1\nkind: Pool\nmetadata: {name: p${index}}\nspec: {members: {a: {address: 192.0.2.1}}}\n`,
  ).join("---\n");
  const { model } = loadModel([{ path: "m.yaml", bytes: Buffer.from(text) }], { now: 0 });
  assert.ok(model !== undefined);
  const world = worldOf(
    compile(model, { seed: 1, classify: () => assert.fail("nothing looks") }).sections,
    1,
  );
  assert.ok(typeof world === "object");
  return world;
}

function setUp(): { world: World; bases: SnapshotCounters; totals: Float64Array } {
  const world = poolsWorld(POOLS);
  const bases = new SnapshotCounters(counterShape(world, new SelectionLayout(world)));
  return { world, bases, totals: new Float64Array(bases.bytes / 4) };
}

test("everything is told once, the largest first, and only of endpoints that are moved away", () => {
  const { world, bases, totals } = setUp();
  const drained = INITIAL_ENDPOINT_SLOT | (Admin.drained << 2);
  const slots = new Map([
    [3, drained],
    [4, (INITIAL_ENDPOINT_SLOT | HASTENED) >>> 0],
  ]);
  const slotOf = (_: World, endpoint: number): number =>
    slots.get(endpoint) ?? INITIAL_ENDPOINT_SLOT;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(POOLS - 1), fc.nat(5)), { maxLength: 3000 }),
      (queries) => {
        const told = new ToldCounts(() => assert.fail("there is one world"), 0);
        totals.fill(0);
        const wanted = new Map<bigint, number>();
        const heard = new Map<bigint, number>();
        const ask = (): boolean => {
          const { pools, endpoints } = told.since({ revision: 1, world, totals }, slotOf, 1);
          assert.ok(pools.length <= TRAFFIC_ENTRIES_MAX.pools);
          for (const { key, count } of [...pools, ...endpoints])
            heard.set(key, (heard.get(key) ?? 0) + count);
          return pools.length + endpoints.length > 0;
        };
        const count = (key: string, number: number): void => {
          if (number > 0) wanted.set(key64(key), (wanted.get(key64(key)) ?? 0) + number);
        };
        queries.forEach(([pool, number], index) => {
          totals[bases.poolBase + pool]! += number;
          totals[bases.endpointBase + pool]! += number;
          count(`pool/${world.pools.poolName(pool)}`, number);
          if (slots.has(pool)) count(world.endpointName(pool), number);
          if (index % 500 === 0) ask();
        });
        while (ask());
        assert.deepEqual(
          [...heard].toSorted(([one], [two]) => (one < two ? -1 : 1)),
          [...wanted].toSorted(([one], [two]) => (one < two ? -1 : 1)),
        );
      },
    ),
    { numRuns: 20 },
  );
});
