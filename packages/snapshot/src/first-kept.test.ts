// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { firstKept, type Choice } from "./first-kept.ts";

/** The loop in its own words: every order in which choices can be dropped. */
function twin(choices: readonly Choice[]): number[] {
  const chances = choices.map(() => 0);
  const choose = (left: readonly number[], reach: number): void => {
    const total = left.reduce((sum, index) => sum + (choices[index]?.weight ?? 0), 0);
    for (const index of left) {
      const { weight = 0, holds = 0 } = choices[index] ?? {};
      const share = (reach * weight) / total;
      chances[index]! += share * holds;
      if (holds < 1)
        choose(
          left.filter((other) => other !== index),
          share * (1 - holds),
        );
    }
  };
  choose([...choices.keys()], 1);
  return chances;
}

const choice = fc.record({
  weight: fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 1_000_000_000 })),
  holds: fc.oneof(
    fc.constantFrom(0, 1),
    fc.integer({ min: 0, max: 1000 }).map((dial) => dial / 1000),
  ),
});

test("firstKept() gives what summing over all orders gives", () => {
  fc.assert(
    fc.property(fc.array(choice, { minLength: 1, maxLength: 6 }), (choices) => {
      const wanted = twin(choices);
      firstKept(choices).forEach((chance, index) => {
        assert.ok(Math.abs(chance - (wanted[index] ?? 0)) < 1e-10, `${chance} ${wanted[index]}`);
      });
    }),
    { numRuns: 500 },
  );
});

test("firstKept() of a thousand choices ends, though there are 2^1024 ways, and leaves what none of them takes", () => {
  const choices = Array.from({ length: 1024 }, (_, index) => ({ weight: 1 + index, holds: 0.01 }));
  const sum = firstKept(choices).reduce((all, chance) => all + chance, 0);
  assert.ok(Math.abs(sum - (1 - 0.99 ** 1024)) < 1e-9, String(sum));
});
