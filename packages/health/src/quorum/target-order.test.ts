// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { defaultTiming, type ProbeTarget } from "../check.ts";
import { TargetOrder, moved } from "./target-order.ts";

const target = fc
  .record({ key: fc.stringMatching(/^[a-d]{1,3}$/), port: fc.nat(3), isPushed: fc.boolean() })
  .map(({ key, port, isPushed }): ProbeTarget => {
    const push = { ...defaultTiming, kind: "push", staleAfterMs: 1, onStale: "unknown" } as const;
    const check = isPushed ? push : ({ ...defaultTiming, kind: "tcp" } as const);
    return { key, checkName: "c", check, address: "192.0.2.1", port };
  });
const plan = fc.uniqueArray(target, { selector: ({ key }) => key, maxLength: 20 });

test("next() is the order of the whole plan, however it was come to", () => {
  fc.assert(
    fc.property(plan, plan, (first, second) => {
      const before = TargetOrder.of(first);
      const keys = new Set(second.map(({ key }) => key));
      const gone = first.filter(({ key }) => !keys.has(key)).map(({ key }) => key);
      const { order, was } = before.next(second, gone);
      const whole = TargetOrder.of(second);
      assert.deepEqual(order.targets, whole.targets);
      assert.deepEqual([order.print, order.hashes], [whole.print, whole.hashes]);
      for (const [place, { key }] of order.targets.entries()) {
        assert.equal(order.placeOf(key), place);
        assert.equal(was === undefined ? place : was[place], before.placeOf(key));
      }
      const values = Uint8Array.from(before.targets, (_, place) => place + 1);
      const after = was === undefined ? values : moved(was, values, new Uint8Array(order.length));
      assert.deepEqual(
        [...after],
        order.targets.map(({ key }) => before.placeOf(key) + 1),
      );
    }),
  );
});

test("placeOf() finds nothing that is not judged by many", () => {
  const check = { ...defaultTiming, kind: "tcp", disabled: true } as const;
  const order = TargetOrder.of([
    { key: "a", checkName: "c", check, address: "192.0.2.1", port: 1 },
  ]);
  assert.deepEqual([order.placeOf("a"), order.placeOf(""), order.length], [-1, -1, 0]);
});
