// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PER_MILLE, branchSlot } from "../../overlay.ts";
import { chiSquareExceeds } from "../../testing/chi-square.ts";
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

const ROUNDS = 4000;

function build(
  weights: readonly number[],
  settings: { readonly minHealthy?: { kind: number; value: number; isPerFamily: boolean } } = {},
): World {
  return loadWorld(
    weights.map((_, at) => pool(`default/b${at}`, [member(`b${at}`, at + 1)])),
    [
      {
        name: "default/p",
        root: "w",
        nodes: [
          node(
            "w",
            "weighted",
            weights.map((weight, at) => branch({ pool: `default/b${at}` }, { weight })),
            { onAllUnhealthy: "open", ...settings },
          ),
        ],
      },
    ],
  );
}

/** The chances that design §5 and Route 53 give, written down a second time. */
function expectedShares(
  weights: readonly number[],
  states: readonly number[],
): Map<string, number> {
  const shareOf = (among: readonly number[], isEqual: boolean): Map<string, number> => {
    const total = among.reduce((sum, at) => sum + (isEqual ? 1 : (weights[at] ?? 0)), 0);
    return new Map(among.map((at) => [`b${at}`, (isEqual ? 1 : (weights[at] ?? 0)) / total]));
  };
  const all = [...weights.keys()];
  const healthy = all.filter((at) => states[at] === GOOD);
  const weighty = (among: readonly number[]): number[] =>
    among.filter((at) => (weights[at] ?? 0) > 0);
  if (weighty(healthy).length > 0) return shareOf(weighty(healthy), false);
  if (healthy.length > 0) return shareOf(healthy, true);
  const opened = all.filter((at) => states[at] !== DRAINED);
  // The last resort stays in the non-zero set.
  if (weighty(all).length > 0)
    return weighty(opened).length > 0 ? shareOf(weighty(opened), false) : new Map([["none", 1]]);
  return opened.length > 0 ? shareOf(opened, true) : new Map([["none", 1]]);
}

test("shares are what Route 53's loop says, for any weights and states", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          weight: fc.constantFrom(0, 0, 1, 2, 10),
          state: fc.constantFrom(GOOD, GOOD, BAD, BAD, DRAINED),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      fc.nat(),
      (branches, seed) => {
        const weights = branches.map(({ weight }) => weight);
        const states = branches.map(({ state }) => state);
        const world = build(weights);
        const named = Object.fromEntries(
          states.map((state, at) => [`default/b${at}/b${at}`, state]),
        );
        const counts = new Decider(world, slotsOf(world, named)).count(ROUNDS, seed);
        const expected = expectedShares(weights, states);
        assert.ok(
          !chiSquareExceeds(counts, expected, ROUNDS),
          JSON.stringify([[...counts], [...expected]]),
        );
      },
    ),
    { numRuns: 120 },
  );
});

test("the weight in the overlay counts, not the one in the document", () => {
  const world = build([1, 1]);
  const slots = slotsOf(world);
  slots[world.branchSlots] = branchSlot(3, PER_MILLE);
  const counts = new Decider(world, slots).count(20_000, 1);
  assert.ok(
    !chiSquareExceeds(
      counts,
      new Map([
        ["b0", 0.75],
        ["b1", 0.25],
      ]),
      20_000,
    ),
  );
});

test("raising one weight moves draws to that branch only", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(20), { minLength: 2, maxLength: 5 }),
      fc.integer(),
      (weights, draw) => {
        const [before, after] = [weights, [...weights.slice(0, -1), (weights.at(-1) ?? 0) + 1]].map(
          (own) => {
            const world = build(own.map((weight) => weight + 1));
            return new Decider(world, slotsOf(world)).ask(1, draw >>> 0, 1)[0];
          },
        );
        // The last branch's interval grows at the end: what was behind it stays in order, so nobody jumps over a neighbour.
        const at = (name: string | undefined): number => Number(name?.slice(1));
        assert.ok(at(after) === at(before) || at(after) > at(before));
      },
    ),
    { numRuns: 200 },
  );
});

test("minHealthy in percent counts weight: below it the node is left for what its parent has", () => {
  const minHealthy = { kind: 2, value: 60, isPerFamily: false };
  const world = loadWorld(
    [
      pool("default/x", [member("x", 1)]),
      pool("default/y", [member("y", 2)]),
      pool("default/z", [member("z", 3)]),
    ],
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node("f", "failover", [
            branch({ node: "w" }),
            branch({ pool: "default/z" }, { tier: 1 }),
          ]),
          node(
            "w",
            "weighted",
            [
              branch({ pool: "default/x" }, { weight: 7 }),
              branch({ pool: "default/y" }, { weight: 3 }),
            ],
            { minHealthy },
          ),
        ],
      },
    ],
  );
  const first = (states: Record<string, number>): string[] => [
    ...new Decider(world, slotsOf(world, states)).count(50, 1).keys(),
  ];
  assert.deepEqual(first({ "default/y/y": BAD }), ["x"]);
  assert.deepEqual(first({ "default/x/x": BAD }), ["z"]);
});

test("the greatest weights hold: a million, and what it is compared with", () => {
  const world = loadWorld(
    [pool("default/x", [member("x", 1)]), pool("default/y", [member("y", 2)])],
    [
      {
        name: "default/p",
        root: "w",
        nodes: [
          node("w", "weighted", [
            branch({ pool: "default/x" }, { weight: 1_000_000 }),
            branch({ pool: "default/y" }, { weight: 1_000_000 }),
          ]),
        ],
      },
    ],
  );
  const slots = slotsOf(world);
  assert.equal((slots[world.branchSlots] ?? 0) & 0xf_ffff, 1_000_000);
  slots[world.branchSlots + 1] = branchSlot(500_000, 1000);
  const counts = new Decider(world, slots).count(9000, 3);
  assert.ok(Math.abs((counts.get("x") ?? 0) - 6000) < 250, JSON.stringify([...counts]));
});
