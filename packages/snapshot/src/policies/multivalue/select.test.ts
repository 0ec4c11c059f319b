// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WithheldEde } from "../../trace.ts";
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
import type { World } from "../../world.ts";
import type { BranchInput } from "../policies-writer.ts";

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

/** Pools x (two members) and y of one `multivalue`, over a node that may be left for pool z. */
function build(x: Partial<BranchInput>, y: Partial<BranchInput> = {}): World {
  return loadWorld(
    [
      pool("default/x", [member("x1", 1), member("x2", 2)]),
      pool("default/y", [member("y", 3)]),
      pool("default/z", [member("z", 4)]),
    ],
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node(
            "f",
            "failover",
            [branch({ node: "m" }), branch({ pool: "default/z" }, { tier: 1 })],
            { onAllUnhealthy: "open" },
          ),
          node("m", "multivalue", [
            branch({ pool: "default/x" }, x),
            branch({ pool: "default/y" }, y),
          ]),
        ],
      },
    ],
  );
}

const downX = { "default/x/x1": BAD, "default/x/x2": BAD };

test("a pool whose health is not evaluated gives what is healthy, and all of it where nothing is", () => {
  const world = build({ evaluateHealth: false });
  const ask = (states: Record<string, number>): string[] =>
    new Decider(world, slotsOf(world, states)).ask(1, 1).toSorted();
  assert.deepEqual(ask({ "default/x/x1": BAD }), ["x2", "y"]);
  assert.deepEqual(ask(downX), ["x1", "x2", "y"]);
  assert.deepEqual(ask({ ...downX, "default/y/y": BAD }), ["x1", "x2"]);
});

test("a fenced pool that is down is answered as if it were up, and the node is never left for another place", () => {
  const world = build({ isFence: true });
  const ask = (states: Record<string, number>): string[] =>
    new Decider(world, slotsOf(world, states)).ask(1, 1).toSorted();
  assert.deepEqual(ask({ "default/x/x1": BAD }), ["x2", "y"]);
  assert.deepEqual(ask(downX), ["x1", "x2", "y"]);
  const drained = { "default/x/x1": DRAINED, "default/x/x2": DRAINED };
  assert.deepEqual(ask(drained), ["y"]);
  const decider = new Decider(world, slotsOf(world, { ...drained, "default/y/y": BAD }));
  assert.deepEqual(decider.ask(1, 1), []);
  assert.equal(decider.selector.ede, WithheldEde.prohibited);
});

test("multivalue answers eight distinct good ones, all five, or eight of twelve bad (reference vector 5)", () => {
  const members = Array.from({ length: 12 }, (_, index) => member(`m${index}`, index + 1));
  const world = loadWorld(
    [pool("default/m", members)],
    [
      {
        name: "default/p",
        root: "m",
        nodes: [
          node("m", "multivalue", [branch({ pool: "default/m" })], { onAllUnhealthy: "open" }),
        ],
      },
    ],
  );
  const sizes = (bad: number): number[] => {
    const down = members.slice(0, bad).map(({ name }) => [`default/m/${name}`, BAD] as const);
    const decider = new Decider(world, slotsOf(world, Object.fromEntries(down)));
    const answers = Array.from({ length: 200 }, (_, at) => decider.ask(at, at * 0x9e37_79b9, 0, 4));
    return [...new Set(answers.map((names) => new Set(names).size))];
  };
  assert.deepEqual(sizes(3), [8]);
  assert.deepEqual(sizes(7), [5]);
  assert.deepEqual(sizes(12), [8]);
});
