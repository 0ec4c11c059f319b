// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL_ENDPOINT_SLOT, KeyedSlots, branchSlot, type World } from "@meridian/snapshot";
import { BAD, branch, loadWorld, member, node, pool } from "@meridian/snapshot/testing";
import { restoredSlots } from "./restored-slots.ts";

function worldOfWeight(weight: number): World {
  const pools = [pool("a", [member("m", 1)]), pool("b", [member("n", 2)])];
  const branches = [branch({ pool: "a" }, { weight }), branch({ pool: "b" }, { weight: 1 })];
  return loadWorld(pools, [
    { name: "p", root: "split", nodes: [node("split", "weighted", branches)] },
  ]);
}

test("verdicts and latches are as they were, weights those of the snapshot, and only verdicts grow old", () => {
  const before = worldOfWeight(7);
  const was = before.initialSlots();
  was[0] = BAD;
  was[before.latchSlots] = 3;
  const slots = new KeyedSlots();
  for (const [slot, value] of was.entries())
    if (slot < before.poolEpochSlots || slot >= before.branchSlots)
      slots.set(before.slotKeyLow(slot), before.slotKeyHigh(slot), value, 1);

  // It was kept, and the process killed before its slots were.
  const world = worldOfWeight(9);
  const found = restoredSlots(world, { slots, isOld: false });
  assert.equal(found[0], BAD);
  assert.equal(found[1], INITIAL_ENDPOINT_SLOT);
  assert.equal(found[world.branchSlots], branchSlot(9, 1000));
  assert.equal(found[world.latchSlots], 3);

  const old = restoredSlots(world, { slots, isOld: true });
  assert.equal(old[0], (BAD & ~3) >>> 0);
  assert.equal(old[world.branchSlots], branchSlot(9, 1000));
  assert.equal(old[world.latchSlots], 3);
});
