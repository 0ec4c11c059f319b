// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { chiSquareExceeds } from "../../testing/chi-square.ts";
import { Decider, slotsOf } from "../../testing/decisions.ts";
import { BAD, GOOD, branch, loadWorld, member, node, pool } from "../../testing/world-fixture.ts";

test("every branch that can answer is picked equally often, whatever its weight and size", () => {
  const branchesArbitrary = fc.array(
    fc.record({
      state: fc.constantFrom(GOOD, GOOD, BAD),
      weight: fc.nat(3),
      size: fc.integer({ min: 1, max: 3 }),
    }),
    { minLength: 1, maxLength: 5 },
  );
  fc.assert(
    fc.property(branchesArbitrary, fc.nat(), (branches, seed) => {
      const world = loadWorld(
        branches.map(({ size }, at) =>
          pool(
            `default/b${at}`,
            Array.from({ length: size }, (_, own) => member(`b${at}-${own}`, at * 4 + own + 1)),
          ),
        ),
        [
          {
            name: "default/p",
            root: "r",
            nodes: [
              node(
                "r",
                "roundRobin",
                branches.map(({ weight }, at) => branch({ pool: `default/b${at}` }, { weight })),
                { onAllUnhealthy: "open" },
              ),
            ],
          },
        ],
      );
      const states = branches.flatMap(({ state, size }, at) =>
        Array.from({ length: size }, (_, own) => [`default/b${at}/b${at}-${own}`, state] as const),
      );
      const counts = new Map<string, number>();
      const decider = new Decider(world, slotsOf(world, Object.fromEntries(states)));
      for (const [name, count] of decider.count(3000, seed)) {
        const [own = ""] = name.split("-");
        counts.set(own, (counts.get(own) ?? 0) + count);
      }
      const healthy = [...branches.keys()].filter((at) => branches[at]?.state === GOOD);
      const serving = healthy.length > 0 ? healthy : [...branches.keys()];
      const expected = new Map(serving.map((at) => [`b${at}`, 1 / serving.length]));
      assert.ok(
        !chiSquareExceeds(counts, expected, 3000),
        JSON.stringify([[...counts], [...expected]]),
      );
    }),
    { numRuns: 80 },
  );
});
