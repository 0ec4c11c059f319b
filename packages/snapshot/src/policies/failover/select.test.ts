// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import fc from "fast-check";
import { Admin, PER_MILLE, Verdict, endpointSlot } from "../../overlay.ts";
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
import { Selector } from "../../selector.ts";
import type { World } from "../../world.ts";
import type { EndpointInput } from "../../pools/pools-writer.ts";
import type { NodeInput } from "../policies-writer.ts";
import { healthyTiers, isTierUnjudged } from "./tiers.ts";

const LATCH = key64("latch/default/p/f");

/** One pool a branch, `sizes[tier]` branches in each tier; members are named `TIER-BRANCH`. */
function build(sizes: readonly number[], settings: Partial<NodeInput> = {}): World {
  const places = sizes.flatMap((size, tier) =>
    Array.from({ length: size }, (_, at) => ({ tier, name: `${tier}-${at}` })),
  );
  return loadWorld(
    places.map(({ name }, at) => pool(`default/p${name}`, [member(name, at + 1)])),
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node(
            "f",
            "failover",
            places.map(({ tier, name }) => branch({ pool: `default/p${name}` }, { tier })),
            { onAllUnhealthy: "open", ...settings },
          ),
        ],
      },
    ],
  );
}

test("the first tier that can answer from the latched one on serves, all of its healthy branches and nothing else", () => {
  const tierArbitrary = fc.array(fc.constantFrom(GOOD, BAD, BAD, DRAINED), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(
      fc.array(tierArbitrary, { minLength: 1, maxLength: 4 }),
      fc.nat(5),
      fc.nat(),
      (tiers, latch, seed) => {
        const world = build(tiers.map(({ length }) => length));
        const states = tiers.flatMap((tier, at) =>
          tier.map((state, own) => [`default/p${at}-${own}/${at}-${own}`, state] as const),
        );
        const slots = slotsOf(world, Object.fromEntries(states));
        slots[world.slotOfKey(LATCH)] = latch;
        const start = latch > 0 && latch <= tiers.length ? latch - 1 : 0;
        const order = [...tiers.keys()].map((at) => (start + at) % tiers.length);
        const serving = (states: readonly number[]): string[] => {
          const tier = order.find((at) => tiers[at]?.some((state) => states.includes(state)));
          const branches = tier === undefined ? [] : (tiers[tier] ?? []);
          return branches.flatMap((state, own) =>
            states.includes(state) ? [`${tier}-${own}`] : [],
          );
        };
        const healthy = serving([GOOD]);
        // Nothing healthy: open, which a drained member does not take part in.
        const expected = healthy.length > 0 ? healthy : serving([GOOD, BAD]);
        const counts = new Decider(world, slots).count(200, seed);
        assert.deepEqual([...counts.keys()].toSorted(), expected.length > 0 ? expected : ["none"]);
      },
    ),
    { numRuns: 200 },
  );
});

test("healthyTiers() says which tiers select() would take", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }), (healthy) => {
      const world = build(healthy.map(() => 2));
      const states = healthy.flatMap((is, at) =>
        is ? [] : [0, 1].map((own) => [`default/p${at}-${own}/${at}-${own}`, BAD] as const),
      );
      const slots = slotsOf(world, Object.fromEntries(states));
      assert.deepEqual(healthyTiers(new Selector(world), 0, slots), healthy);
      const first = healthy.indexOf(true);
      if (first < 0) return;
      const [answer] = new Decider(world, slots).ask(1, 7, 1);
      assert.ok(answer?.startsWith(`${first}-`), String(answer));
    }),
    { numRuns: 100 },
  );
});

test("isTierUnjudged() is true while an endpoint that takes part has no verdict, and for that tier only", () => {
  const world = build([2, 1]);
  const selector = new Selector(world);
  const unknown = endpointSlot(Verdict.unknown, Admin.active, PER_MILLE, PER_MILLE, 0);
  const drainedUnknown = endpointSlot(Verdict.unknown, Admin.drained, PER_MILLE, PER_MILLE, 0);
  const unjudged = (state: number): boolean[] => {
    const slots = slotsOf(world, { "default/p0-0/0-0": BAD, "default/p0-1/0-1": state });
    return [0, 1].map((tier) => isTierUnjudged(selector, 0, tier, slots));
  };
  assert.deepEqual(unjudged(unknown), [true, false]);
  assert.deepEqual(unjudged(BAD), [false, false]);
  assert.deepEqual(unjudged(drainedUnknown), [false, false]);
});

test("a latch that names a tier which is no longer there counts for nothing", () => {
  const world = build([1, 1]);
  const slots = slotsOf(world);
  slots[world.slotOfKey(LATCH)] = 9;
  assert.deepEqual(new Decider(world, slots).ask(1, 1, 1), ["0-0"]);
});

function nested(minHealthy: number): World {
  return loadWorld(
    ["a", "b", "c", "other"].map((name, at) => pool(`default/${name}`, [member(name, at + 1)])),
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node(
            "f",
            "failover",
            [branch({ node: "child" }), branch({ pool: "default/other" }, { tier: 1 })],
            {
              onAllUnhealthy: "open",
            },
          ),
          node(
            "child",
            "roundRobin",
            ["a", "b", "c"].map((name) => branch({ pool: `default/${name}` })),
            { minHealthy: { kind: 1, value: minHealthy, isPerFamily: false } },
          ),
        ],
      },
    ],
  );
}

test("a nested node with two of three healthy is online at a minimum of 2, not of 3 (reference vector 21)", () => {
  const answers = (minHealthy: number): string[] => {
    const world = nested(minHealthy);
    const counts = new Decider(world, slotsOf(world, { "default/c/c": BAD })).count(200, 1);
    return [...counts.keys()].toSorted();
  };
  assert.deepEqual(answers(2), ["a", "b"]);
  assert.deepEqual(answers(3), ["other"]);
});

/** Two tiers of one pool each; the first has `size` members and a minimum. */
function pooled(
  size: number,
  minHealthy: { kind: number; value: number },
  settings: Partial<NodeInput> = {},
): World {
  const members = Array.from({ length: size }, (_, at) => member(`m${at}`, at + 1));
  return loadWorld(
    [
      pool("default/empty", []),
      pool("default/first", members, { minHealthy: { ...minHealthy, isPerFamily: false } }),
      pool("default/next", [member("next", 9)]),
      pool("default/sorry", [member("sorry", 10)]),
    ],
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node(
            "f",
            "failover",
            ["empty", "first", "next"].map((name, tier) =>
              branch({ pool: `default/${name}` }, { tier }),
            ),
            { onAllUnhealthy: "open", ...settings },
          ),
        ],
      },
    ],
  );
}

function bad(count: number): Record<string, number> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, at) => [`default/first/m${at}`, BAD]),
  );
}

test("half of four healthy is available, a quarter is not; all bad: the first pool that is not empty (reference vector 23)", () => {
  const world = pooled(4, { kind: 2, value: 50 });
  const first = (states: Record<string, number>): string[] =>
    [...new Decider(world, slotsOf(world, states)).count(300, 1).keys()].toSorted();
  assert.deepEqual(first(bad(2)), ["m2", "m3"]);
  assert.deepEqual(first(bad(3)), ["next"]);
  assert.deepEqual(first({ ...bad(4), "default/next/next": BAD }), ["m0", "m1", "m2", "m3"]);
});

test("below the minimum the next pool serves; all critical: the fallback whatever its health, or nothing (reference vector 25)", () => {
  const minimum = { kind: 1, value: 2 };
  const fallback = branch({ pool: "default/sorry" });
  const world = pooled(2, minimum, { onAllUnhealthy: "fallback", fallback });
  const first = (states: Record<string, number>): string[] => [
    ...new Decider(world, slotsOf(world, states)).count(50, 1).keys(),
  ];
  assert.deepEqual(first(bad(1)), ["next"]);
  const all = { ...bad(1), "default/next/next": BAD };
  assert.deepEqual(first(all), ["sorry"]);
  assert.deepEqual(first({ ...all, "default/sorry/sorry": BAD }), ["sorry"]);
  const closed = pooled(2, minimum, { onAllUnhealthy: "closed" });
  assert.deepEqual(new Decider(closed, slotsOf(closed, all)).ask(1, 1), []);
});

test("a pool whose healthy members all have weight 0 still serves, unlike an endpoint group of reference vector 33", () => {
  const world = loadWorld(
    [
      pool("default/a", [member("zero", 1, { weight: 0 }), member("main", 2)]),
      pool("default/b", [member("b", 3)]),
    ],
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node("f", "failover", [
            branch({ pool: "default/a" }),
            branch({ pool: "default/b" }, { tier: 1 }),
          ]),
        ],
      },
    ],
  );
  const decider = new Decider(world, slotsOf(world, { "default/a/main": BAD }));
  assert.deepEqual(decider.ask(1, 1, 1), ["zero"]);
});

test("one answer from a tier of several branches, two from a tier of one pool, whatever failed before it", () => {
  const world = loadWorld(
    [
      pool("default/a", [member("a1", 1), member("a2", 2)]),
      pool("default/b", [member("b1", 3), member("b2", 4)]),
      pool("default/c", [member("c1", 5), member("c2", 6)]),
    ],
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node("f", "failover", [
            branch({ pool: "default/a" }),
            branch({ pool: "default/b" }),
            branch({ pool: "default/c" }, { tier: 1 }),
          ]),
        ],
      },
    ],
  );
  const ask = (latch: number, states: Record<string, number> = {}): string[] => {
    const slots = slotsOf(world, states);
    slots[world.slotOfKey(LATCH)] = latch;
    return new Decider(world, slots).ask(1, 1).toSorted();
  };
  const firstTier = { "default/a/a1": BAD, "default/a/a2": BAD };
  const down = { ...firstTier, "default/b/b1": BAD, "default/b/b2": BAD };
  assert.equal(ask(0).length, 1);
  assert.deepEqual(ask(0, down), ["c1", "c2"]);
  assert.deepEqual(ask(2), ["c1", "c2"]);
  assert.equal(ask(2, { "default/c/c1": BAD, "default/c/c2": BAD }).length, 1);
});

test("failover follows the truth table (reference vector 4)", () => {
  const failover = (secondary: Partial<EndpointInput>): World =>
    loadWorld(
      [pool("default/a", [member("a", 1)]), pool("default/b", [member("b", 2, secondary)])],
      [
        {
          name: "default/p",
          root: "f",
          nodes: [
            node(
              "f",
              "failover",
              [branch({ pool: "default/a" }), branch({ pool: "default/b" }, { tier: 1 })],
              { onAllUnhealthy: "open" },
            ),
          ],
        },
      ],
    );
  const first = (world: World, a: number, b: number): string[] => [
    ...new Decider(world, slotsOf(world, { "default/a/a": a, "default/b/b": b }))
      .count(50, 1)
      .keys(),
  ];
  const checked = failover({});
  const at = (a: number, b: number): string[] => first(checked, a, b);
  assert.deepEqual(at(GOOD, GOOD), ["a"]);
  assert.deepEqual(at(GOOD, BAD), ["a"]);
  assert.deepEqual(at(BAD, GOOD), ["b"]);
  assert.deepEqual(at(BAD, BAD), ["a"]);
  const unchecked = failover({ isChecked: false });
  assert.deepEqual(first(unchecked, BAD, BAD), ["b"]);
});

test("failover leaves a latched tier only when it fails, then starts again at the first (reference vector 24)", () => {
  const world = build([1, 1, 1]);
  const held = (states: Record<string, number>): string[] => {
    const slots = slotsOf(world, states);
    slots[world.slotOfKey(LATCH)] = 3;
    return [...new Decider(world, slots).count(50, 1).keys()];
  };
  assert.deepEqual(held({}), ["2-0"]);
  assert.deepEqual(held({ "default/p2-0/2-0": BAD }), ["0-0"]);
});
