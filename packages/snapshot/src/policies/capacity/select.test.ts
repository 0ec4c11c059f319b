// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Client } from "../../client.ts";
import { distribution } from "../../distribution.ts";
import { Admin, PER_MILLE, Verdict, endpointSlot } from "../../overlay.ts";
import { chiSquareExceeds } from "../../testing/chi-square.ts";
import { Decider, slotsOf } from "../../testing/decisions.ts";
import { BAD, branch, loadWorld, member, node, pool } from "../../testing/world-fixture.ts";
import { TargetKind, type World } from "../../world.ts";

interface Place {
  readonly weight: number;
  readonly capacity: number;
  /** What is left, in thousandths. */
  readonly left: number;
}

const placeArbitrary = fc.record({
  weight: fc.constantFrom(1, 1, 2),
  capacity: fc.constantFrom(0, 10, 100),
  left: fc.integer({ min: 1, max: 1000 }),
});
const placesArbitrary = fc.array(placeArbitrary, { minLength: 2, maxLength: 5 });

function build(places: readonly Place[]): World {
  return loadWorld(
    places.map(({ capacity }, at) =>
      pool(`default/b${at}`, [member(`b${at}`, at + 1, { capacity })]),
    ),
    [
      {
        name: "default/p",
        root: "c",
        nodes: [
          node(
            "c",
            "capacity",
            places.map(({ weight }, at) => branch({ pool: `default/b${at}` }, { weight })),
            { onAllUnhealthy: "open" },
          ),
        ],
      },
    ],
  );
}

function loaded(world: World, places: readonly Place[]): Uint32Array {
  return slotsOf(
    world,
    Object.fromEntries(
      places.map(({ left }, at) => [
        `default/b${at}/b${at}`,
        endpointSlot(Verdict.healthy, Admin.active, left, PER_MILLE, 5),
      ]),
    ),
  );
}

function chances(world: World, slots: Uint32Array, count: number): number[] {
  const chance = distribution(world, slots, TargetKind.policy, 0, new Client(), 0);
  return Array.from(
    { length: count },
    (_, at) => chance.get(`endpoint/default/b${at}/b${at}`) ?? 0,
  );
}

test("shares are weight × capacity × what is left", () => {
  fc.assert(
    fc.property(placesArbitrary, fc.nat(), (places, seed) => {
      const world = build(places);
      const parts = places.map(
        ({ weight, capacity, left }) => weight * Math.max(1, capacity) * left,
      );
      const total = parts.reduce((sum, part) => sum + part, 0);
      const expected = new Map(parts.map((part, at) => [`b${at}`, part / total]));
      const counts = new Decider(world, loaded(world, places)).count(4000, seed);
      assert.ok(
        !chiSquareExceeds(counts, expected, 4000),
        JSON.stringify([[...counts], [...expected]]),
      );
    }),
    { numRuns: 60 },
  );
});

test("a place that gets fuller gets less, and every other no less than before", () => {
  fc.assert(
    fc.property(
      placesArbitrary,
      fc.nat(),
      fc.integer({ min: 0, max: 1000 }),
      (places, pick, left) => {
        const at = pick % places.length;
        const was = places[at];
        assert.ok(was !== undefined);
        const fuller = places.with(at, { ...was, left: Math.min(left, was.left) });
        const world = build(places);
        const before = chances(world, loaded(world, places), places.length);
        const after = chances(world, loaded(world, fuller), places.length);
        for (const [own, share] of before.entries()) {
          const now = after[own] ?? 0;
          assert.ok(
            own === at ? now <= share + 1e-12 : now >= share - 1e-12,
            `${own}: ${share} → ${now}`,
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("shed load: with the factors of loads 5, 15 and 20 between watermarks 10 and 20 the share is whole, halved, none (reference vector 37)", () => {
  for (const [left, share] of [
    [1000, 1 / 2],
    [500, 1 / 3],
    [0, 0],
  ] as const) {
    const places = [
      { weight: 1, capacity: 1, left },
      { weight: 1, capacity: 1, left: 1000 },
    ];
    const world = build(places);
    assert.ok(Math.abs((chances(world, loaded(world, places), 2)[0] ?? 0) - share) < 1e-9);
    const counts = new Decider(world, loaded(world, places)).count(6000, 3);
    assert.ok(
      !chiSquareExceeds(
        counts,
        new Map([
          ["b0", share],
          ["b1", 1 - share],
        ]),
        6000,
      ),
    );
  }
});

test("a full place serves when every other is down, and open trusts no measurement", () => {
  const places = [
    { weight: 1, capacity: 1, left: 0 },
    { weight: 3, capacity: 1, left: 1000 },
  ];
  const world = build(places);
  const slots = loaded(world, places);
  slots[1] = BAD;
  assert.deepEqual([...new Decider(world, slots).count(50, 1).keys()], ["b0"]);
  slots[0] = BAD;
  const counts = new Decider(world, slots).count(8000, 1);
  assert.ok(
    !chiSquareExceeds(
      counts,
      new Map([
        ["b0", 1 / 4],
        ["b1", 3 / 4],
      ]),
      8000,
    ),
  );
});
