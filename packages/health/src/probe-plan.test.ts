// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { defaultTiming, type CheckSpec, type ProbeTarget } from "./check.ts";
import { defaultCapacityRule } from "./load/capacity-factor.ts";
import { PlanKeeper } from "./probe-plan.ts";

const tcp = (intervalMs: number): CheckSpec => ({ ...defaultTiming, kind: "tcp", intervalMs });

const targets = fc.uniqueArray(
  fc.record(
    {
      key: fc.constantFrom("a", "b", "c", "d"),
      checkName: fc.constantFrom("x", "y"),
      check: fc.constantFrom(1000, 2000).map(tcp),
      address: fc.constantFrom("192.0.2.1", "192.0.2.2"),
      port: fc.constantFrom(1, 2),
    },
    { noNullPrototype: true },
  ),
  { selector: ({ key }) => key },
);

test("changes of plans, one after the other, lead to the last plan", () => {
  fc.assert(
    fc.property(fc.array(targets, { maxLength: 6 }), (plans) => {
      const keeper = new PlanKeeper();
      const there = new Map<string, ProbeTarget>();
      for (const plan of plans) {
        const change = keeper.take({ targets: plan, rules: [] });
        for (const key of change?.gone ?? []) assert.ok(there.delete(key), `${key} was there`);
        for (const target of change?.changed ?? []) {
          assert.notDeepEqual(there.get(target.key), target, "only what is other is sent");
          there.set(target.key, target);
        }
        assert.deepEqual(there, new Map(plan.map((target) => [target.key, target])));
      }
    }),
  );
});

test("an equal plan is no change, and rules travel when one of them is other", () => {
  const keeper = new PlanKeeper();
  const plan = (maxStep: number): Parameters<PlanKeeper["take"]>[0] => ({
    targets: [{ key: "a", checkName: "x", check: tcp(1000), address: "192.0.2.1", port: 1 }],
    rules: [["a", { ...defaultCapacityRule, maxStep }]],
  });
  assert.equal(keeper.take(plan(1))?.changed.length, 1);
  assert.equal(keeper.take(plan(1)), undefined);
  assert.deepEqual(keeper.take(plan(2)), { changed: [], gone: [], rules: plan(2).rules });
  const { targets: changed, rules } = plan(2);
  assert.deepEqual(keeper.whole(), { changed, gone: [], rules });
});
