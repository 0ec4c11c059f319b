// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import fc from "fast-check";
import { Client } from "./client.ts";
import { distribution } from "./distribution.ts";
import { Admin, PER_MILLE, Verdict, endpointSlot } from "./overlay.ts";
import { chiSquareExceeds } from "./testing/chi-square.ts";
import { countAnswers } from "./testing/decisions.ts";
import { branch, loadWorld, member, node, pool } from "./testing/world-fixture.ts";
import { TargetKind } from "./world.ts";

const client = new Client();

const slotArbitrary = fc.record({
  verdict: fc.constantFrom(Verdict.healthy, Verdict.unhealthy, Verdict.healthy),
  admin: fc.constantFrom(Admin.active, Admin.active, Admin.active, Admin.drained),
  capacity: fc.constantFrom(1000, 1000, 250, 0),
  dial: fc.constantFrom(1000, 1000, 700, 300, 0),
});

test("select() draws what distribution() says, over random graphs and overlays", () => {
  const kinds = ["weighted", "roundRobin", "capacity", "failover", "multivalue"] as const;
  const branchArbitrary = fc.record({
    target: fc.nat(5),
    weight: fc.constantFrom(0, 1, 1, 5),
    evaluateHealth: fc.constantFrom(true, true, true, false),
    isFence: fc.constantFrom(false, false, false, true),
    dial: fc.constantFrom(1000, 1000, 1000, 400),
  });
  const graphArbitrary = fc.record({
    pools: fc.array(
      fc.array(
        fc.record({
          weight: fc.constantFrom(0, 1, 3),
          priority: fc.constantFrom(0, 0, 1),
          slot: slotArbitrary,
        }),
        { minLength: 0, maxLength: 3 },
      ),
      { minLength: 3, maxLength: 3 },
    ),
    nodes: fc.array(
      fc.record({
        kind: fc.constantFrom(...kinds),
        action: fc.constantFrom("parent", "parent", "open", "closed"),
        minimum: fc.constantFrom(0, 0, 1, 2),
        branches: fc.array(branchArbitrary, { minLength: 1, maxLength: 3 }),
      }),
      { minLength: 3, maxLength: 3 },
    ),
  });
  fc.assert(
    fc.property(graphArbitrary, fc.nat(), (graph, seed) => {
      const pools = graph.pools.map((members, index) =>
        pool(
          `default/p${index}`,
          members.map((entry, at) => member(`m${at}`, index * 10 + at + 1, entry)),
        ),
      );
      const nodes = graph.nodes.map((entry, index) => {
        const branches = entry.branches.map((own, at) => {
          const below = index + 1 + (own.target % 3);
          const target =
            own.target >= 3 && below < 3
              ? { node: `n${below}` }
              : { pool: `default/p${own.target % 3}` };
          // A node that two branches share has one dial decision a draw; the twin takes them as independent.
          const dial = index === 0 ? own.dial : PER_MILLE;
          return branch(target, { ...own, dial, tier: at, target });
        });
        const minHealthy =
          entry.minimum === 0 ? undefined : { kind: 1, value: entry.minimum, isPerFamily: false };
        const onAllUnhealthy =
          index === 0 && entry.action === "parent" ? "open" : (entry.action as "open");
        return node(`n${index}`, entry.kind, branches, { onAllUnhealthy, minHealthy });
      });
      const world = loadWorld(pools, [{ name: "default/p", root: "n0", nodes }]);
      const slots = world.initialSlots();
      graph.pools.forEach((members, index) =>
        members.forEach(({ slot }, at) => {
          const own = world.slotOfKey(key64(`endpoint/default/p${index}/m${at}`));
          slots[own] = endpointSlot(slot.verdict, slot.admin, slot.capacity, slot.dial, 3);
        }),
      );
      const expected = new Map<string, number>();
      for (const [key, chance] of distribution(world, slots, TargetKind.policy, 0, client, 0)) {
        const name = key.startsWith("endpoint/") || key.startsWith("name@") ? key : "none";
        expected.set(name, (expected.get(name) ?? 0) + chance);
      }
      const counts = countAnswers(world, slots, "default/p", 4000, seed);
      assert.ok(
        !chiSquareExceeds(counts, expected, 4000),
        JSON.stringify([[...counts], [...expected]]),
      );
    }),
    { numRuns: 150 },
  );
});
