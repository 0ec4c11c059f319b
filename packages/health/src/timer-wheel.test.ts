// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TimerWheel } from "./timer-wheel.ts";

type Step =
  | { readonly kind: "set"; readonly id: number; readonly inMs: number }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "advance"; readonly byMs: number };

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("set" as const),
    id: fc.nat(90),
    inMs: fc.oneof(fc.nat(100), fc.nat(40_000)),
  }),
  fc.record({ kind: fc.constant("cancel" as const), id: fc.nat(90) }),
  fc.record({ kind: fc.constant("advance" as const), byMs: fc.oneof(fc.nat(50), fc.nat(30_000)) }),
);

test("TimerWheel fires what a map of due times would", () => {
  fc.assert(
    fc.property(fc.array(stepArbitrary, { maxLength: 120 }), (steps) => {
      const tickMs = 10;
      let nowMs = 12_345;
      const wheel = new TimerWheel(tickMs, nowMs);
      const twin = new Map<number, number>();
      for (const step of steps) {
        if (step.kind === "set") {
          wheel.set(step.id, nowMs + step.inMs);
          const nextTick = Math.floor(nowMs / tickMs) + 1;
          twin.set(step.id, Math.max(nextTick, Math.ceil((nowMs + step.inMs) / tickMs)) * tickMs);
        } else if (step.kind === "cancel") {
          wheel.cancel(step.id);
          twin.delete(step.id);
        } else {
          nowMs += step.byMs;
          const fired: number[] = [];
          wheel.advance(nowMs, (id) => fired.push(id));
          const due = [...twin].filter(([, dueMs]) => dueMs <= nowMs).map(([id]) => id);
          for (const id of due) twin.delete(id);
          assert.deepEqual(new Set(fired), new Set(due));
          assert.equal(fired.length, due.length);
        }
        assert.equal(wheel.count, twin.size);
        const next = wheel.nextSlotMs();
        const earliest = Math.min(...twin.values());
        if (twin.size === 0) assert.equal(next, undefined);
        else assert.ok(next !== undefined && next <= earliest);
      }
    }),
    { numRuns: 300 },
  );
});

test("TimerWheel lets a firing timer set and cancel others", () => {
  const wheel = new TimerWheel(10, 0);
  wheel.set(1, 20);
  wheel.set(2, 20);
  const fired: number[] = [];
  wheel.advance(20, (id) => {
    fired.push(id);
    wheel.cancel(id === 1 ? 2 : 1);
    wheel.set(3, 20);
  });
  assert.equal(fired.length, 1);
  wheel.advance(29, (id) => fired.push(id));
  assert.equal(fired.length, 1);
  wheel.advance(30, (id) => fired.push(id));
  assert.deepEqual(fired.slice(1), [3]);
});
