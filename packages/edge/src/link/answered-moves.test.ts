// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Admin,
  BRANCH_OVERRIDDEN,
  PER_MILLE,
  Verdict,
  endpointSlot,
  type World,
} from "@meridian/snapshot";
import { branch, loadWorld, member, node, pool } from "@meridian/snapshot/testing";
import { AnsweredMoves } from "./answered-moves.ts";

const active = (verdict: number): number =>
  endpointSlot(verdict, Admin.active, PER_MILLE, PER_MILLE, 0);
const drained = endpointSlot(Verdict.healthy, Admin.drained, PER_MILLE, PER_MILLE, 0);

function worldOf(names: readonly string[]): World {
  const pools = names.map((name, index) => pool(name, [member("m", index + 1)]));
  const branches = names.map((name) => branch({ pool: name }, { weight: 1 }));
  return loadWorld(pools, [
    { name: "p", root: "split", nodes: [node("split", "weighted", branches)] },
  ]);
}

function slotsOf(world: World, drainedPools: readonly string[]): Uint32Array {
  const slots = world.initialSlots();
  for (const name of drainedPools) slots[endpointOf(world, name)] = drained;
  return slots;
}

function endpointOf(world: World, name: string): number {
  for (let index = 0; index < world.poolEpochSlots; index++)
    if (world.endpointName(index).includes(`/${name}/`)) return index;
  return assert.fail(`there is no pool ${name}`);
}

test("an edge that begins with nothing has never answered otherwise", () => {
  let nowMs = 1000;
  const moves = new AnsweredMoves(() => nowMs);
  assert.equal(moves.ageMs, 0);
  const world = worldOf(["a", "b"]);
  moves.begin(world, slotsOf(world, ["a"]), false);
  nowMs = 5000;
  assert.equal(moves.ageMs, Infinity);
});

test("what people move begins anew; health, epochs and another order of slots do not", () => {
  let nowMs = 1000;
  const moves = new AnsweredMoves(() => nowMs);
  const world = worldOf(["a", "b"]);
  const a = endpointOf(world, "a");
  moves.begin(world, world.initialSlots(), true);
  nowMs = 1500;
  assert.equal(moves.ageMs, 500);
  moves.changed([
    { slot: a, value: active(Verdict.unhealthy) },
    { slot: world.poolEpochSlots, value: 1 },
  ]);
  assert.equal(moves.ageMs, 500);
  moves.changed([{ slot: a, value: drained }]);
  assert.equal(moves.ageMs, 0);
  nowMs = 1800;

  // Another control, and another revision, in which endpoints have other places.
  const later = worldOf(["0", "a", "b"]);
  moves.begin(later, slotsOf(later, ["a"]), false);
  assert.equal(moves.ageMs, 300);
  const split = later.branchSlots;
  moves.changed([{ slot: split, value: 7 }]);
  assert.equal(moves.ageMs, 300);
  moves.changed([{ slot: split, value: 7 | BRANCH_OVERRIDDEN }]);
  assert.equal(moves.ageMs, 0);
  nowMs = 2000;
  moves.changed([{ slot: endpointOf(later, "a"), value: active(Verdict.healthy) }]);
  assert.equal(moves.ageMs, 0);
  nowMs = 2100;

  // One that lacks the move is another state.
  const back = worldOf(["a"]);
  moves.begin(back, back.initialSlots(), false);
  assert.equal(moves.ageMs, 0);
});
