// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Decider, slotsOf } from "../../testing/decisions.ts";
import {
  BAD,
  DRAINED,
  GOOD,
  branch,
  loadWorld,
  member,
  node,
  pool,
} from "../../testing/world-fixture.ts";

const memberArbitrary = fc.record({
  weight: fc.constantFrom(0, 1, 1, 5),
  domain: fc.constantFrom("a", "b", "c"),
  state: fc.constantFrom(GOOD, GOOD, GOOD, BAD, DRAINED),
});

test("answers are distinct, eligible, as many as there are, and from different failure domains first", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(memberArbitrary, { maxLength: 6 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer(),
      (pools, answers, draw) => {
        const world = loadWorld(
          pools.map((members, at) =>
            pool(
              `default/p${at}`,
              members.map(({ weight, domain }, own) =>
                member(`${at}-${own}`, at * 8 + own + 1, { weight, failureDomain: domain }),
              ),
            ),
          ),
          [
            {
              name: "default/p",
              root: "m",
              nodes: [
                node(
                  "m",
                  "multivalue",
                  pools.map((_, at) => branch({ pool: `default/p${at}` })),
                  { answers, onAllUnhealthy: "closed" },
                ),
              ],
            },
          ],
        );
        const all = pools.flatMap((members, at) =>
          members.map((each, own) => ({ ...each, at, name: `${at}-${own}` })),
        );
        const states = Object.fromEntries(
          all.map(({ at, name, state }) => [`default/p${at}/${name}`, state]),
        );
        const chosen = new Decider(world, slotsOf(world, states)).ask(1, draw >>> 0);
        // Members of weight 0 count only where their pool has no healthy one with a weight.
        const good = all.filter(({ state }) => state === GOOD);
        const eligible = good.filter(
          ({ at, weight }) =>
            weight > 0 || !good.some((other) => other.at === at && other.weight > 0),
        );
        const names = new Set(eligible.map(({ name }) => name));
        assert.equal(new Set(chosen).size, chosen.length);
        assert.ok(
          chosen.every((name) => names.has(name)),
          chosen.join(),
        );
        assert.equal(chosen.length, Math.min(answers, eligible.length));
        const domainOf = new Map(eligible.map(({ name, domain }) => [name, domain]));
        const domains = new Set(domainOf.values()).size;
        const spread = new Set(chosen.slice(0, domains).map((name) => domainOf.get(name)));
        assert.equal(
          spread.size,
          Math.min(domains, chosen.length),
          "one of each domain comes first",
        );
      },
    ),
    { numRuns: 300 },
  );
});

test("every eligible member is answered by some draw", () => {
  const members = ["x", "y", "z"].map((name, at) => member(name, at + 1));
  const world = loadWorld(
    [pool("default/a", members)],
    [
      {
        name: "default/p",
        root: "m",
        nodes: [node("m", "multivalue", [branch({ pool: "default/a" })], { answers: 1 })],
      },
    ],
  );
  const counts = new Decider(world, slotsOf(world)).count(300, 2, 0);
  assert.deepEqual([...counts.keys()].toSorted(), ["x", "y", "z"]);
});

test("a dialed pool is left for the others by its share, and answers where nobody else does", () => {
  const members = ["x", "y"].map((name, at) => pool(`default/${name}`, [member(name, at + 1)]));
  const [x, y] = members;
  assert.ok(x !== undefined && y !== undefined);
  const policyOf = (names: readonly string[]) => [
    {
      name: "default/p",
      root: "m",
      nodes: [
        node(
          "m",
          "multivalue",
          names.map((name) => branch({ pool: `default/${name}` })),
          { answers: 1 },
        ),
      ],
    },
  ];
  const world = loadWorld([{ ...x, dial: 250 }, y], policyOf(["x", "y"]));
  const counts = new Decider(world, slotsOf(world)).count(8000, 5, 0);
  // A quarter of the draws leaves x in, and then each is picked for half of them.
  assert.ok(Math.abs((counts.get("x") ?? 0) - 1000) < 150, JSON.stringify([...counts]));
  const alone = loadWorld([{ ...x, dial: 0 }], policyOf(["x"]));
  assert.deepEqual([...new Decider(alone, slotsOf(alone)).count(50, 6, 0).keys()], ["x"]);
});
