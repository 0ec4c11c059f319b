// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { Client } from "./client.ts";
import { distribution } from "./distribution.ts";
import { Admin, PER_MILLE, Verdict, branchSlot, endpointSlot } from "./overlay.ts";
import type { BranchInput, NodeInput, PolicyInput } from "./policies/policies-writer.ts";
import type { PoolInput } from "./pools/pools-writer.ts";
import { chiSquareExceeds } from "./testing/chi-square.ts";
import { countAnswers, slotsOf } from "./testing/decisions.ts";
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

function answered(world: World, slots: Uint32Array, policy = "default/p"): string[] {
  return [...countAnswers(world, slots, policy, 400, 1).keys()]
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
  const slots = slotsOf(world, { "default/c/c": BAD });
  const counts = countAnswers(world, slots, "default/p", 30_000, 7);
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
    answered(world, slotsOf(world, { "default/a/a": a, "default/b/b": b, "default/c/c": c }));
  assert.deepEqual(at(BAD, BAD, GOOD), ["c"]);
  assert.deepEqual(at(BAD, BAD, BAD), ["a", "b"]);
  assert.deepEqual(at(BAD, GOOD, BAD), ["b"]);
  assert.deepEqual(at(GOOD, GOOD, BAD), ["a", "b"]);
});

test("all weights 0 are uniform; 1 and 255 give 1/256 (reference vector 3)", () => {
  const zero = loadWorld(three, [weighted([0, 0, 0])]);
  assert.deepEqual(answered(zero, slotsOf(zero, {})), ["a", "b", "c"]);
  const world = loadWorld(three, [weighted([1, 255])]);
  const counts = countAnswers(world, slotsOf(world), "default/p", 100_000, 3);
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
  assert.deepEqual(answered(evaluated, slotsOf(evaluated, dead)), ["ap"]);
  const taken = tree({ evaluateHealth: false });
  assert.deepEqual(answered(taken, slotsOf(taken, dead)), ["us1", "us2"]);
  const unchecked = tree({}, { isChecked: false });
  assert.deepEqual(answered(unchecked, slotsOf(unchecked, dead)), ["us2"]);
  // Vector 7: all leaves of all branches bad still answers.
  assert.deepEqual(answered(evaluated, slotsOf(evaluated, { ...dead, "default/ap/ap": BAD })), [
    "us1",
    "us2",
  ]);
});

test("open never answers what an operator drained", () => {
  const world = loadWorld(three, [weighted([1, 1, 1])]);
  assert.deepEqual(
    answered(
      world,
      slotsOf(world, { "default/a/a": BAD, "default/b/b": DRAINED, "default/c/c": BAD }),
    ),
    ["a", "c"],
  );
});

test("onAllUnhealthy: closed withholds, fallback answers elsewhere, lastKnown keeps what was there", () => {
  const bad = { "default/a/a": BAD, "default/b/b": BAD };
  const closed = loadWorld(three, [weighted([1, 1], { onAllUnhealthy: "closed" })]);
  assert.deepEqual(answered(closed, slotsOf(closed, bad)), ["none"]);
  const fallback = loadWorld(three, [
    weighted([1, 1], { onAllUnhealthy: "fallback", fallback: branch({ pool: "default/c" }) }),
  ]);
  assert.deepEqual(answered(fallback, slotsOf(fallback, bad)), ["c"]);
  const last = loadWorld(three, [weighted([1, 1], { onAllUnhealthy: "lastKnown" })]);
  assert.deepEqual(
    answered(last, slotsOf(last, { ...bad, "default/b/b": (BAD | 0x4000_0000) >>> 0 })),
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
  assert.deepEqual(answered(world, slotsOf(world, { "default/a/a": BAD })), ["a"]);
  assert.deepEqual(answered(world, slotsOf(world, { "default/a/a": DRAINED })), ["none"]);
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
  assert.deepEqual(answered(byCount, slotsOf(byCount, { "default/a/m1": BAD })), ["m2", "m3"]);
  assert.deepEqual(
    answered(byCount, slotsOf(byCount, { "default/a/m1": BAD, "default/a/m2": BAD })),
    ["b"],
  );
  // 50 % of three is two, rounded up; a drained member leaves both sides.
  const byPercent = build(2, 50);
  assert.deepEqual(
    answered(byPercent, slotsOf(byPercent, { "default/a/m1": BAD, "default/a/m2": BAD })),
    ["b"],
  );
  assert.deepEqual(
    answered(byPercent, slotsOf(byPercent, { "default/a/m1": DRAINED, "default/a/m2": BAD })),
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
  const slots = slotsOf(world);
  assert.ok(
    !chiSquareExceeds(
      countAnswers(world, slots, "default/p", 20_000, 4),
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
        const dead = slotsOf(world, { "default/b/b": BAD });
        dead[zero] = branchSlot(1, 0);
        return dead;
      })(),
    ),
    ["a"],
  );
});

test("members of equal dials go together, in all pools: a fifth of a site is a fifth", () => {
  const world = loadWorld(
    [
      pool("default/a", [member("m1", 1), member("m2", 2)]),
      pool("default/b", [member("m1", 3)]),
      pool("default/c", [member("m1", 4)]),
    ],
    [
      {
        name: "default/p",
        root: "root",
        nodes: [
          node("root", "failover", [
            branch({ pool: "default/a" }),
            branch({ pool: "default/b" }, { tier: 1 }),
            branch({ pool: "default/c" }, { tier: 2 }),
          ]),
        ],
      },
    ],
  );
  const dialed = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, 800, 5);
  const slots = slotsOf(world, {
    "default/a/m1": dialed,
    "default/a/m2": dialed,
    "default/b/m1": dialed,
  });
  const expected = new Map([
    ["endpoint/default/a/m1", 0.4],
    ["endpoint/default/a/m2", 0.4],
    ["endpoint/default/c/m1", 0.2],
  ]);
  const found = distribution(world, slots, TargetKind.policy, 0, client, 0);
  for (const [key, chance] of expected)
    assert.ok(Math.abs((found.get(key) ?? 0) - chance) < 1e-9, key);
  assert.ok(
    !chiSquareExceeds(countAnswers(world, slots, "default/p", 20_000, 6), expected, 20_000),
  );
});

test("members of equal dials go together, also where a node decides again", () => {
  const world = loadWorld(three, [
    {
      name: "default/p",
      root: "root",
      nodes: [
        node("root", "failover", [
          branch({ node: "few" }),
          branch({ pool: "default/b" }, { tier: 1 }),
          branch({ pool: "default/c" }, { tier: 2 }),
        ]),
        node("few", "weighted", [branch({ pool: "default/a" })], {
          minHealthy: { kind: 1, value: 2, isPerFamily: false },
          onAllUnhealthy: "open",
        }),
      ],
    },
  ]);
  const dialed = endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, 800, 5);
  const slots = slotsOf(world, { "default/a/a": dialed, "default/b/b": dialed });
  const expected = new Map([
    ["endpoint/default/a/a", 0.8],
    ["endpoint/default/c/c", 0.2],
  ]);
  const found = distribution(world, slots, TargetKind.policy, 0, client, 0);
  for (const [key, chance] of expected)
    assert.ok(Math.abs((found.get(key) ?? 0) - chance) < 1e-9, key);
  assert.ok(
    !chiSquareExceeds(countAnswers(world, slots, "default/p", 20_000, 6), expected, 20_000),
  );
});

test("an endpoint's dial hands its share to its peers", () => {
  const world = loadWorld([pool("default/a", [member("m1", 1), member("m2", 2)])], [weighted([1])]);
  const slots = slotsOf(world, {
    "default/a/m1": endpointSlot(Verdict.healthy, Admin.active, PER_MILLE, 500, 5),
  });
  const expected = new Map([
    ["endpoint/default/a/m1", 0.25],
    ["endpoint/default/a/m2", 0.75],
  ]);
  assert.deepEqual(distribution(world, slots, TargetKind.policy, 0, client, 0), expected);
  assert.ok(
    !chiSquareExceeds(countAnswers(world, slots, "default/p", 20_000, 6), expected, 20_000),
  );
});
