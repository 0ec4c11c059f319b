// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { PER_MILLE, Verdict, endpointSlot } from "../overlay.ts";
import { Decider, slotsOf } from "../testing/decisions.ts";
import { branch, loadWorld, member, node, pool } from "../testing/world-fixture.ts";

const changesIn = (log2: number): number =>
  endpointSlot(Verdict.healthy, 0, PER_MILLE, PER_MILLE, log2);

test("an answer holds until the first verdict behind it can change, of members that are probed", () => {
  const world = loadWorld(
    [
      pool("default/a", [member("x", 1), member("y", 2), member("free", 3, { isChecked: false })]),
      pool("default/b", [member("z", 4)]),
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
  const secondsOf = (states: Readonly<Record<string, number>>): number => {
    const decider = new Decider(world, slotsOf(world, states));
    decider.ask(1, 1);
    return decider.selector.changeSeconds;
  };
  const states = {
    "default/a/x": changesIn(5),
    "default/a/y": changesIn(3),
    "default/a/free": changesIn(0),
    "default/b/z": changesIn(1),
  };
  assert.equal(secondsOf(states), 8, "the second tier was not looked at");
  const dead = endpointSlot(Verdict.unhealthy, 0, PER_MILLE, PER_MILLE, 4);
  const noFree = { "default/a/free": endpointSlot(Verdict.healthy, 1, 1000, 1000, 0) };
  const down = { ...states, ...noFree, "default/a/x": dead, "default/a/y": dead };
  assert.equal(secondsOf(down), 2, "both tiers stand behind the answer");
  assert.equal(secondsOf({ ...down, "default/b/z": changesIn(9) }), 16);
});

test("candidates are derived again when a pool's epoch moves, and only then", () => {
  const world = loadWorld(
    [pool("default/a", [member("x", 1), member("y", 2)])],
    [
      {
        name: "default/p",
        root: "w",
        nodes: [node("w", "weighted", [branch({ pool: "default/a" })])],
      },
    ],
  );
  const slots = slotsOf(world);
  const decider = new Decider(world, slots);
  assert.deepEqual([...decider.count(50, 1).keys()].toSorted(), ["x", "y"]);
  slots[0] = endpointSlot(Verdict.unhealthy, 0, PER_MILLE, PER_MILLE, 4);
  assert.equal(decider.count(50, 1).size, 2, "nobody said that the pool changed");
  slots[world.poolEpochSlots] = (slots[world.poolEpochSlots] ?? 0) + 1;
  assert.deepEqual([...decider.count(50, 1).keys()], ["y"]);
});
