// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import fc from "fast-check";
import { chiSquareExceeds } from "../../testing/chi-square.ts";
import { Decider, slotsOf } from "../../testing/decisions.ts";
import { BAD, branch, loadWorld, member, node, pool } from "../../testing/world-fixture.ts";
import { BRANCH_OVERRIDDEN, PER_MILLE, branchSlot } from "../../overlay.ts";
import type { World } from "../../world.ts";

const CLIENTS = 300;

interface Shape {
  /** Weights of the members of each pool, and of the branches. */
  readonly pools: readonly { readonly weight: number; readonly members: readonly number[] }[];
  readonly salt: string;
}

const shapeArbitrary = fc.record({
  pools: fc.array(
    fc.record({
      weight: fc.constantFrom(1, 1, 3),
      members: fc.array(fc.constantFrom(1, 2, 5), { minLength: 1, maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  salt: fc.string({ maxLength: 4 }),
});

function build({ pools, salt }: Shape, isReversed = false): World {
  const order = <Item>(items: Item[]): Item[] => (isReversed ? items.toReversed() : items);
  return loadWorld(
    order(
      pools.map(({ members }, at) =>
        pool(
          `default/p${at}`,
          order(
            members.map((weight, own) => member(`p${at}m${own}`, at * 8 + own + 1, { weight })),
          ),
        ),
      ),
    ),
    [
      {
        name: "default/p",
        root: "s",
        nodes: [
          node(
            "s",
            "sticky",
            order(pools.map(({ weight }, at) => branch({ pool: `default/p${at}` }, { weight }))),
            { onAllUnhealthy: "open", salt },
          ),
        ],
      },
    ],
  );
}

function homes(decider: Decider, seed = 1): string[] {
  const random = new Pcg32(seed);
  return Array.from({ length: CLIENTS }, (_, client) =>
    decider.ask(client, random.next32(), 1).join(),
  );
}

test("a client's answer does not depend on the draw, nor on the order of branches and members", () => {
  fc.assert(
    fc.property(shapeArbitrary, (shape) => {
      const world = build(shape);
      const before = homes(new Decider(world, slotsOf(world)), 1);
      assert.deepEqual(homes(new Decider(world, slotsOf(world)), 2), before);
      const turned = build(shape, true);
      assert.deepEqual(homes(new Decider(turned, slotsOf(turned))), before);
    }),
    // The salt makes a client's two scores equal.
    {
      numRuns: 40,
      examples: [
        [
          {
            pools: [
              { weight: 1, members: [1] },
              { weight: 1, members: [1] },
            ],
            salt: "$ ?^",
          },
        ],
      ],
    },
  );
});

test("a member that fails moves only its own clients, within its branch while that has another", () => {
  fc.assert(
    fc.property(shapeArbitrary, fc.nat(), fc.nat(), (shape, poolPick, memberPick) => {
      const at = poolPick % shape.pools.length;
      const members = shape.pools[at]?.members ?? [];
      const gone = `p${at}m${memberPick % members.length}`;
      const world = build(shape);
      const before = homes(new Decider(world, slotsOf(world)));
      const after = homes(new Decider(world, slotsOf(world, { [`default/p${at}/${gone}`]: BAD })));
      for (const [client, home] of before.entries()) {
        const now = after[client] ?? "";
        if (home !== gone) assert.equal(now, home);
        else if (members.length > 1) assert.ok(now.startsWith(`p${at}m`) && now !== gone, now);
        else if (shape.pools.length > 1) assert.notEqual(now, gone);
      }
    }),
    { numRuns: 60 },
  );
});

test("a branch that is added takes clients but moves none between the others", () => {
  fc.assert(
    fc.property(shapeArbitrary, fc.constantFrom(1, 4), (shape, weight) => {
      const world = build(shape);
      const before = homes(new Decider(world, slotsOf(world)));
      const pools = [...shape.pools, { weight, members: [1, 1] }];
      const grown = build({ ...shape, pools });
      const after = homes(new Decider(grown, slotsOf(grown)));
      const added = `p${shape.pools.length}m`;
      for (const [client, home] of before.entries()) {
        const now = after[client] ?? "";
        assert.ok(now === home || now.startsWith(added), `${home} became ${now}`);
      }
    }),
    { numRuns: 40 },
  );
});

test("while the weight of one of two branches grows, clients move to it alone; and back as they came", () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 4 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 8 }),
      (salt, steps) => {
        const world = build({
          salt,
          pools: [
            { weight: 1, members: [1, 1] },
            { weight: 0, members: [1, 1] },
          ],
        });
        const slots = slotsOf(world);
        const decider = new Decider(world, slots);
        const homesAt = (percent: number): string[] => {
          for (const { branch: at, target } of world.branchesOf("default/p", "s")) {
            const weight = target === "pool/default/p1" ? percent : 100 - percent;
            slots[world.branchSlots + at] = branchSlot(weight, PER_MILLE) | BRANCH_OVERRIDDEN;
          }
          return homes(decider);
        };
        const rising = steps.toSorted((a, b) => a - b).map((percent) => homesAt(percent));
        for (const [at, now] of rising.entries())
          for (const [client, home] of (rising[at - 1] ?? []).entries())
            assert.ok(home === now[client] || now[client]?.startsWith("p1"), `${home} back`);
        assert.deepEqual(homesAt(steps.toSorted((a, b) => a - b)[0] ?? 0), rising[0]);
      },
    ),
    { numRuns: 40 },
  );
});

test("shares follow the weights, of branches and of members", () => {
  const world = build({
    pools: [
      { weight: 1, members: [1, 3] },
      { weight: 3, members: [1] },
    ],
    salt: "",
  });
  const counts = new Decider(world, slotsOf(world)).count(40_000, 1);
  const expected = new Map([
    ["p0m0", 1 / 16],
    ["p0m1", 3 / 16],
    ["p1m0", 3 / 4],
  ]);
  assert.ok(!chiSquareExceeds(counts, expected, 40_000), JSON.stringify([...counts]));
});

test("another salt deals the clients out anew, in the same shares", () => {
  const pools = [1, 1, 1, 1].map((weight) => ({ weight, members: [1] }));
  const [first, second] = ["one", "two"].map((salt) => {
    const world = build({ pools, salt });
    return homes(new Decider(world, slotsOf(world)));
  });
  const kept = first?.filter((home, client) => home === second?.[client]).length ?? 0;
  // By chance a quarter stays; 300 clients, six standard deviations of √(300 × 1/4 × 3/4) = 7.5.
  assert.ok(Math.abs(kept - CLIENTS / 4) < 45, `${kept} of ${CLIENTS} stayed`);
});

test("a branch of weight 0 serves only when no other can", () => {
  const world = build({
    pools: [
      { weight: 0, members: [1] },
      { weight: 2, members: [1] },
    ],
    salt: "",
  });
  assert.deepEqual(new Set(homes(new Decider(world, slotsOf(world)))), new Set(["p1m0"]));
  const without = slotsOf(world, { "default/p1/p1m0": BAD });
  assert.deepEqual(new Set(homes(new Decider(world, without))), new Set(["p0m0"]));
});

test("the scope is at least the prefix that clients are kept together by", () => {
  const decider = new Decider(...worldAndSlots());
  decider.ask(7, 1);
  assert.equal(decider.selector.scope, 24);
});

test("what comes after a sticky node that found nothing draws as if it had not been tried", () => {
  const members = ["x", "y", "z"].map((name, at) => member(name, at + 1));
  const world = loadWorld(
    [pool("default/dead", [member("dead", 9)]), pool("default/rest", members)],
    [
      {
        name: "default/p",
        root: "f",
        nodes: [
          node("f", "failover", [
            branch({ node: "s" }),
            branch({ pool: "default/rest" }, { tier: 1 }),
          ]),
          node("s", "sticky", [branch({ pool: "default/dead" })]),
        ],
      },
    ],
  );
  const decider = new Decider(world, slotsOf(world, { "default/dead/dead": BAD }));
  const random = new Pcg32(4);
  const seen = new Set(Array.from({ length: 60 }, () => decider.ask(1, random.next32(), 1)[0]));
  assert.deepEqual(seen, new Set(["x", "y", "z"]), "one client, other draws");
});

function worldAndSlots(): [World, Uint32Array] {
  const world = build({ pools: [{ weight: 1, members: [1, 1, 1] }], salt: "" });
  return [world, slotsOf(world)];
}
