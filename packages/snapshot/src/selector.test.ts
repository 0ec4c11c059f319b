// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32, key64 } from "@meridian/core";
import fc from "fast-check";
import { Client } from "./client.ts";
import { distribution } from "./distribution.ts";
import { Admin, PER_MILLE, Verdict, branchSlot, endpointSlot } from "./overlay.ts";
import type { BranchInput, NodeInput, PolicyInput } from "./policies/policies-writer.ts";
import type { PoolInput } from "./pools/pools-writer.ts";
import { Outcome, Selector } from "./selector.ts";
import { chiSquareExceeds } from "./testing/chi-square.ts";
import {
  BAD,
  DRAINED,
  GOOD,
  branch,
  loadWorld,
  member,
  node,
  pool,
} from "./testing/world-fixture.ts";
import { TargetKind, type World } from "./world.ts";

const client = new Client();

function setSlots(world: World, states: Readonly<Record<string, number>>): Uint32Array {
  const slots = world.initialSlots();
  slots.fill(GOOD, 0, world.pools.endpointCount);
  for (const [name, value] of Object.entries(states)) {
    const slot = world.slotOfKey(key64(`endpoint/${name}`));
    assert.ok(slot >= 0, name);
    slots[slot] = value;
  }
  return slots;
}

/** Counts of the first answers over `draws` seeded draws. */
function count(
  world: World,
  slots: Uint32Array,
  policy: string,
  draws: number,
  seed: number,
): Map<string, number> {
  const selector = new Selector(world);
  const random = new Pcg32(seed);
  const target = world.policies.policyIndexOf(key64(`policy/${policy}`));
  const counts = new Map<string, number>();
  for (let round = 0; round < draws; round++) {
    const outcome = selector.select(
      slots,
      TargetKind.policy,
      target,
      client,
      random.next32(),
      0,
      1,
    );
    const name =
      outcome === Outcome.endpoints
        ? selector.chosenCount === 0
          ? "noAddress"
          : world.endpointName(selector.chosen[0] ?? 0)
        : outcome === Outcome.alias
          ? `name@${selector.aliasOffset}`
          : "none";
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function answered(world: World, slots: Uint32Array, policy = "default/p"): string[] {
  return [...count(world, slots, policy, 400, 1).keys()]
    .map((name) => name.split("/").at(-1) ?? name)
    .sort();
}

const three = [
  pool("default/a", [member("a", 1)]),
  pool("default/b", [member("b", 2)]),
  pool("default/c", [member("c", 3)]),
];

function weighted(weights: readonly number[], settings: Partial<NodeInput> = {}): PolicyInput {
  const branches = weights.map((weight, index) =>
    branch({ pool: `default/${"abc"[index]}` }, { weight }),
  );
  return {
    name: "default/p",
    root: "w",
    nodes: [node("w", "weighted", branches, { onAllUnhealthy: "open", ...settings })],
  };
}

test("weights 10/20/20 with the third bad give 1/3, 2/3, 0 (reference vector 1)", () => {
  const world = loadWorld(three, [weighted([10, 20, 20])]);
  const slots = setSlots(world, { "default/c/c": BAD });
  const counts = count(world, slots, "default/p", 30_000, 7);
  assert.equal(counts.get("endpoint/default/c/c"), undefined);
  assert.ok(
    !chiSquareExceeds(
      counts,
      new Map([
        ["endpoint/default/a/a", 1 / 3],
        ["endpoint/default/b/b", 2 / 3],
      ]),
      30_000,
    ),
  );
});

test("zero weights get their second chance only when all others are out (reference vector 2)", () => {
  const world = loadWorld(three, [weighted([1, 1, 0])]);
  const at = (a: number, b: number, c: number): string[] =>
    answered(world, setSlots(world, { "default/a/a": a, "default/b/b": b, "default/c/c": c }));
  assert.deepEqual(at(BAD, BAD, GOOD), ["c"]);
  assert.deepEqual(at(BAD, BAD, BAD), ["a", "b"]);
  assert.deepEqual(at(BAD, GOOD, BAD), ["b"]);
  assert.deepEqual(at(GOOD, GOOD, BAD), ["a", "b"]);
});

test("all weights 0 are uniform; 1 and 255 give 1/256 (reference vector 3)", () => {
  const zero = loadWorld(three, [weighted([0, 0, 0])]);
  assert.deepEqual(answered(zero, setSlots(zero, {})), ["a", "b", "c"]);
  const world = loadWorld(three, [weighted([1, 255])]);
  const counts = count(world, setSlots(world, {}), "default/p", 100_000, 3);
  assert.ok(
    !chiSquareExceeds(
      counts,
      new Map([
        ["endpoint/default/a/a", 1 / 256],
        ["endpoint/default/b/b", 255 / 256],
      ]),
      100_000,
    ),
  );
});

test("failover follows the truth table (reference vector 4)", () => {
  const failover = (secondary: Partial<PoolInput["members"][number]>): World =>
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
  const checked = failover({});
  const at = (a: number, b: number): string[] =>
    answered(checked, setSlots(checked, { "default/a/a": a, "default/b/b": b }));
  assert.deepEqual(at(GOOD, GOOD), ["a"]);
  assert.deepEqual(at(GOOD, BAD), ["a"]);
  assert.deepEqual(at(BAD, GOOD), ["b"]);
  assert.deepEqual(at(BAD, BAD), ["a"]);
  const unchecked = failover({ isChecked: false });
  assert.deepEqual(
    answered(unchecked, setSlots(unchecked, { "default/a/a": BAD, "default/b/b": BAD })),
    ["b"],
  );
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
  const random = new Pcg32(5);
  const distinct = (bad: number): Set<number>[] => {
    const slots = setSlots(
      world,
      Object.fromEntries(members.slice(0, bad).map(({ name }) => [`default/m/${name}`, BAD])),
    );
    const selector = new Selector(world);
    return Array.from({ length: 200 }, () => {
      selector.select(slots, TargetKind.policy, 0, client, random.next32(), 4, 0);
      return new Set(selector.chosen.subarray(0, selector.chosenCount));
    });
  };
  assert.ok(distinct(3).every((chosen) => chosen.size === 8));
  assert.ok(distinct(7).every((chosen) => chosen.size === 5));
  assert.ok(distinct(12).every((chosen) => chosen.size === 8));
});

test("a dead branch is backed out of unless its health is not evaluated (reference vector 6)", () => {
  const tree = (
    settings: Partial<BranchInput>,
    leaf: Partial<PoolInput["members"][number]> = {},
  ): World =>
    loadWorld(
      [
        pool("default/us1", [member("us1", 1)]),
        pool("default/us2", [member("us2", 2, leaf)]),
        pool("default/ap", [member("ap", 3)]),
      ],
      [
        {
          name: "default/p",
          root: "f",
          nodes: [
            node(
              "f",
              "failover",
              [branch({ node: "us" }, settings), branch({ node: "ap" }, { tier: 1 })],
              { onAllUnhealthy: "open" },
            ),
            node("us", "weighted", [
              branch({ pool: "default/us1" }),
              branch({ pool: "default/us2" }),
            ]),
            node("ap", "weighted", [branch({ pool: "default/ap" })]),
          ],
        },
      ],
    );
  const dead = { "default/us1/us1": BAD, "default/us2/us2": BAD };
  const evaluated = tree({});
  assert.deepEqual(answered(evaluated, setSlots(evaluated, dead)), ["ap"]);
  const taken = tree({ evaluateHealth: false });
  assert.deepEqual(answered(taken, setSlots(taken, dead)), ["us1", "us2"]);
  const unchecked = tree({}, { isChecked: false });
  assert.deepEqual(answered(unchecked, setSlots(unchecked, dead)), ["us2"]);
  // Vector 7: all leaves of all branches bad still answers.
  assert.deepEqual(answered(evaluated, setSlots(evaluated, { ...dead, "default/ap/ap": BAD })), [
    "us1",
    "us2",
  ]);
});

test("open never answers what an operator drained", () => {
  const world = loadWorld(three, [weighted([1, 1, 1])]);
  assert.deepEqual(
    answered(
      world,
      setSlots(world, { "default/a/a": BAD, "default/b/b": DRAINED, "default/c/c": BAD }),
    ),
    ["a", "c"],
  );
});

test("onAllUnhealthy: closed withholds, fallback answers elsewhere, lastKnown keeps what was there", () => {
  const bad = { "default/a/a": BAD, "default/b/b": BAD };
  const closed = loadWorld(three, [weighted([1, 1], { onAllUnhealthy: "closed" })]);
  assert.deepEqual(answered(closed, setSlots(closed, bad)), ["none"]);
  const fallback = loadWorld(three, [
    weighted([1, 1], { onAllUnhealthy: "fallback", fallback: branch({ pool: "default/c" }) }),
  ]);
  assert.deepEqual(answered(fallback, setSlots(fallback, bad)), ["c"]);
  const last = loadWorld(three, [weighted([1, 1], { onAllUnhealthy: "lastKnown" })]);
  assert.deepEqual(
    answered(last, setSlots(last, { ...bad, "default/b/b": (BAD | 0x4000_0000) >>> 0 })),
    ["b"],
  );
});

test("a fenced branch is never left, not even by open", () => {
  const world = loadWorld(three, [
    {
      name: "default/p",
      root: "f",
      nodes: [
        node(
          "f",
          "failover",
          [
            branch({ pool: "default/a" }, { isFence: true }),
            branch({ pool: "default/b" }, { tier: 1 }),
          ],
          { onAllUnhealthy: "open" },
        ),
      ],
    },
  ]);
  assert.deepEqual(answered(world, setSlots(world, { "default/a/a": BAD })), ["a"]);
  assert.deepEqual(answered(world, setSlots(world, { "default/a/a": DRAINED })), ["none"]);
});

test("minHealthy leaves a place before its last member", () => {
  const policy: PolicyInput = {
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
  };
  const members = ["m1", "m2", "m3"].map((name, index) => member(name, index + 1));
  const build = (kind: number, value: number): World =>
    loadWorld(
      [
        pool("default/a", members, { minHealthy: { kind, value, isPerFamily: false } }),
        pool("default/b", [member("b", 9)]),
      ],
      [policy],
    );
  const byCount = build(1, 2);
  assert.deepEqual(answered(byCount, setSlots(byCount, { "default/a/m1": BAD })), ["m2", "m3"]);
  assert.deepEqual(
    answered(byCount, setSlots(byCount, { "default/a/m1": BAD, "default/a/m2": BAD })),
    ["b"],
  );
  // 50 % of three is two, rounded up; a drained member leaves both sides.
  const byPercent = build(2, 50);
  assert.deepEqual(
    answered(byPercent, setSlots(byPercent, { "default/a/m1": BAD, "default/a/m2": BAD })),
    ["b"],
  );
  assert.deepEqual(
    answered(byPercent, setSlots(byPercent, { "default/a/m1": DRAINED, "default/a/m2": BAD })),
    ["m3"],
  );
});

test("dials 50/50 keep half and hand the rest on; dial 0 still serves when nobody else can (reference vector 32)", () => {
  const world = loadWorld(three, [
    {
      name: "default/p",
      root: "f",
      nodes: [
        node(
          "f",
          "failover",
          [
            branch({ pool: "default/a" }, { dial: 500 }),
            branch({ pool: "default/b" }, { tier: 1, dial: 1000 }),
          ],
          { onAllUnhealthy: "open" },
        ),
      ],
    },
  ]);
  const slots = setSlots(world, {});
  assert.ok(
    !chiSquareExceeds(
      count(world, slots, "default/p", 20_000, 4),
      new Map([
        ["endpoint/default/a/a", 0.5],
        ["endpoint/default/b/b", 0.5],
      ]),
      20_000,
    ),
  );
  const zero = world.slotOfKey(key64("branch/default/p/f/0"));
  slots[zero] = branchSlot(1, 0);
  assert.deepEqual(answered(world, slots), ["b"]);
  assert.deepEqual(
    answered(
      world,
      (() => {
        const dead = setSlots(world, { "default/b/b": BAD });
        dead[zero] = branchSlot(1, 0);
        return dead;
      })(),
    ),
    ["a"],
  );
});

test("failover leaves a latched tier only when it fails, then starts again at the first (reference vector 24)", () => {
  const world = loadWorld(three, [
    {
      name: "default/p",
      root: "f",
      nodes: [
        node(
          "f",
          "failover",
          [0, 1, 2].map((tier) => branch({ pool: `default/${"abc"[tier]}` }, { tier })),
          { onAllUnhealthy: "open" },
        ),
      ],
    },
  ]);
  const latch = world.slotOfKey(key64("latch/default/p/f"));
  const held = (states: Record<string, number>): string[] => {
    const slots = setSlots(world, states);
    slots[latch] = 3;
    return answered(world, slots);
  };
  assert.deepEqual(held({}), ["c"]);
  assert.deepEqual(held({ "default/c/c": BAD }), ["a"]);
});

test("capacity gives shares by weight × capacity × what is left", () => {
  const world = loadWorld(
    [
      pool("default/a", [member("a", 1, { capacity: 100 })]),
      pool("default/b", [member("b", 2, { capacity: 100 })]),
      pool("default/c", [member("c", 3, { capacity: 50 })]),
    ],
    [
      {
        name: "default/p",
        root: "n",
        nodes: [
          node(
            "n",
            "capacity",
            ["a", "b", "c"].map((name) => branch({ pool: `default/${name}` })),
            { onAllUnhealthy: "open" },
          ),
        ],
      },
    ],
  );
  const half = endpointSlot(Verdict.healthy, Admin.active, 500, PER_MILLE, 5);
  const counts = count(world, setSlots(world, { "default/b/b": half }), "default/p", 40_000, 8);
  assert.ok(
    !chiSquareExceeds(
      counts,
      new Map([
        ["endpoint/default/a/a", 0.5],
        ["endpoint/default/b/b", 0.25],
        ["endpoint/default/c/c", 0.25],
      ]),
      40_000,
    ),
  );
});

test("sticky: removing one member moves only the clients that it had, and shares follow the weights", () => {
  const members = Array.from({ length: 10 }, (_, index) =>
    member(`m${index}`, index + 1, { weight: index < 5 ? 1 : 3 }),
  );
  const world = loadWorld(
    [pool("default/m", members)],
    [
      {
        name: "default/p",
        root: "s",
        nodes: [node("s", "sticky", [branch({ pool: "default/m" })], { onAllUnhealthy: "open" })],
      },
    ],
  );
  // One selector an overlay: candidates are kept until the pool's epoch moves.
  const selectors = new Map<Uint32Array, Selector>();
  const bytes = new Uint8Array(4);
  const choose = (slots: Uint32Array, round: number): number => {
    new DataView(bytes.buffer).setUint32(0, round << 8);
    client.set(4, bytes, 0, 24);
    const selector = selectors.get(slots) ?? new Selector(world);
    selectors.set(slots, selector);
    selector.select(slots, TargetKind.policy, 0, client, Math.random() * 2 ** 32, 4, 0);
    assert.equal(selector.scope, 24);
    return selector.chosen[0] ?? -1;
  };
  const all = setSlots(world, {});
  const without = setSlots(world, { "default/m/m7": BAD });
  const gone = world.slotOfKey(key64("endpoint/default/m/m7"));
  const counts = new Map<string, number>();
  for (let round = 0; round < 50_000; round++) {
    const before = choose(all, round);
    assert.equal(choose(all, round), before);
    const after = choose(without, round);
    if (before === gone) assert.notEqual(after, gone);
    else assert.equal(after, before);
    counts.set(String(before), (counts.get(String(before)) ?? 0) + 1);
  }
  const expected = new Map(members.map((_, index) => [String(index), index < 5 ? 1 / 20 : 3 / 20]));
  assert.ok(!chiSquareExceeds(counts, expected, 50_000));
});

test("an endpoint's dial hands its share to its peers", () => {
  const world = loadWorld([pool("default/a", [member("m1", 1), member("m2", 2)])], [weighted([1])]);
  const slots = setSlots(world, {
    "default/a/m1": endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, 500, 5),
  });
  const expected = new Map([
    ["endpoint/default/a/m1", 0.25],
    ["endpoint/default/a/m2", 0.75],
  ]);
  assert.deepEqual(distribution(world, slots, TargetKind.policy, 0, client, 0), expected);
  assert.ok(!chiSquareExceeds(count(world, slots, "default/p", 20_000, 6), expected, 20_000));
});

const slotArbitrary = fc.record({
  verdict: fc.constantFrom(Verdict.healthy, Verdict.unhealthy, Verdict.healthy),
  admin: fc.constantFrom(Admin.active, Admin.active, Admin.active, Admin.drained),
  capacity: fc.constantFrom(1000, 1000, 250, 0),
});

test("select() draws what distribution() says, over random graphs and overlays", () => {
  const kinds = ["weighted", "roundRobin", "capacity", "failover"] as const;
  const branchArbitrary = fc.record({
    target: fc.nat(5),
    weight: fc.constantFrom(0, 1, 1, 5),
    evaluateHealth: fc.constantFrom(true, true, true, false),
    isFence: fc.constantFrom(false, false, false, true),
    dial: fc.constantFrom(1000, 1000, 1000, 400),
  });
  const graphArbitrary = fc.record({
    pools: fc.array(
      fc.array(
        fc.record({
          weight: fc.constantFrom(0, 1, 3),
          priority: fc.constantFrom(0, 0, 1),
          slot: slotArbitrary,
        }),
        { minLength: 0, maxLength: 3 },
      ),
      { minLength: 3, maxLength: 3 },
    ),
    nodes: fc.array(
      fc.record({
        kind: fc.constantFrom(...kinds),
        action: fc.constantFrom("parent", "parent", "open", "closed"),
        minimum: fc.constantFrom(0, 0, 1, 2),
        branches: fc.array(branchArbitrary, { minLength: 1, maxLength: 3 }),
      }),
      { minLength: 3, maxLength: 3 },
    ),
  });
  fc.assert(
    fc.property(graphArbitrary, fc.nat(), (graph, seed) => {
      const pools = graph.pools.map((members, index) =>
        pool(
          `default/p${index}`,
          members.map((entry, at) => member(`m${at}`, index * 10 + at + 1, entry)),
        ),
      );
      const nodes = graph.nodes.map((entry, index) => {
        const branches = entry.branches.map((own, at) => {
          const below = index + 1 + (own.target % 3);
          const target =
            own.target >= 3 && below < 3
              ? { node: `n${below}` }
              : { pool: `default/p${own.target % 3}` };
          // A node that two branches share has one dial decision a draw; the twin takes them as independent.
          const dial = index === 0 ? own.dial : PER_MILLE;
          return branch(target, { ...own, dial, tier: at, target });
        });
        const minHealthy =
          entry.minimum === 0 ? undefined : { kind: 1, value: entry.minimum, isPerFamily: false };
        const onAllUnhealthy =
          index === 0 && entry.action === "parent" ? "open" : (entry.action as "open");
        return node(`n${index}`, entry.kind, branches, { onAllUnhealthy, minHealthy });
      });
      const world = loadWorld(pools, [{ name: "default/p", root: "n0", nodes }]);
      const slots = world.initialSlots();
      graph.pools.forEach((members, index) =>
        members.forEach(({ slot }, at) => {
          const own = world.slotOfKey(key64(`endpoint/default/p${index}/m${at}`));
          slots[own] = endpointSlot(slot.verdict, slot.admin, slot.capacity, PER_MILLE, 3);
        }),
      );
      const expected = new Map<string, number>();
      for (const [key, chance] of distribution(world, slots, TargetKind.policy, 0, client, 0)) {
        const name = key.startsWith("endpoint/") || key.startsWith("name@") ? key : "none";
        expected.set(name, (expected.get(name) ?? 0) + chance);
      }
      const counts = count(world, slots, "default/p", 4000, seed);
      assert.ok(
        !chiSquareExceeds(counts, expected, 4000),
        JSON.stringify([[...counts], [...expected]]),
      );
    }),
    { numRuns: 150 },
  );
});
