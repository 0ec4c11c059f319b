// SPDX-License-Identifier: Apache-2.0

// MERIDIAN_TEST_SEEDS says which seeds run (1 to 200); MERIDIAN_TEST_SEED replays one and prints what happened.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HandOverWorld, type Fault } from "./hand-over.ts";
import { below, oneOf } from "./random-model.ts";
import { seedsToRun } from "./seeds.ts";

const EDGES = 4;
const TICKS = 120;
const TICK_MS = 500;
const HEALS_WITHIN_MS = 60_000;
const seeds = seedsToRun(200);

function run(seed: number, fault?: Fault): HandOverWorld {
  const world = new HandOverWorld(seed, EDGES, fault);
  world.runUntil(4000);
  world.controls[0]?.fence();
  for (let tick = 0; tick < TICKS && world.violations.length === 0; tick++) {
    happen(world);
    world.runUntil(world.nowMs + TICK_MS);
  }
  world.heal();
  const endMs = world.nowMs + HEALS_WITHIN_MS;
  while (!world.isQuiet && world.nowMs < endMs && world.violations.length === 0)
    world.runUntil(world.nowMs + TICK_MS);
  return world;
}

/** Something random, or nothing. */
function happen(world: HandOverWorld): void {
  const { random, controls, edges } = world;
  const edge = oneOf(random, edges);
  const control = oneOf(random, controls);
  switch (below(random, 24)) {
    case 0:
    case 1:
    case 2:
      return control.turn("left");
    case 3:
    case 4:
    case 5:
      return control.turn("right");
    case 6:
      return edge.isPaused ? edge.resume() : edge.pause();
    case 7:
      if (edge.isPaused) edge.resume();
      return;
    case 8:
      if (edge.isRunning) edge.kill();
      return;
    case 9:
    case 10:
      if (!edge.isRunning) edge.start();
      return;
    case 11:
      edge.cutFrom.add(control.name);
      return;
    case 12:
      for (const { name } of controls) edge.cutFrom.add(name);
      world.note(`${edge.name} is cut off`);
      return;
    case 13:
    case 14:
      edge.cutFrom.clear();
      return;
    case 15:
      control.reachesStore = false;
      world.note(`${control.name} loses the store`);
      return;
    case 16:
    case 17:
      control.reachesStore = true;
      return;
    case 18:
      control.cutFrom.add(oneOf(random, controls).name);
      return;
    case 19:
      control.cutFrom.clear();
      return;
    case 20:
      world.note(`${control.name} starts anew`);
      return control.start();
    case 21:
      if (edges.length < EDGES + 2) world.join();
      return;
    default:
  }
}

test("no two edges answer both sides of a fenced panel, and every hand-over ends", () => {
  let [changes, ended] = [0, 0];
  for (const seed of seeds) {
    const world = run(seed);
    const replay = `seed ${seed}; replay it with MERIDIAN_TEST_SEED=${seed}\n  ${world.trace.slice(-30).join("\n  ")}`;
    assert.deepEqual(world.violations, [], replay);
    assert.ok(world.isQuiet, `what is wanted is answered everywhere: ${replay}`);
    changes += world.changes;
    ended += world.ended;
  }
  // The runs are about something.
  if (seeds.length > 20) assert.ok(ended > seeds.length && changes > ended, `${changes} ${ended}`);
});

for (const fault of ["heard", "trusting", "unasked", "hasty", "generous"] as const)
  test(`what is left out is missed: ${fault}`, () => {
    const found = Array.from({ length: 400 }, (_, at) => at + 1).find(
      (seed) => run(seed, fault).violations.length > 0,
    );
    assert.notEqual(found, undefined);
  });
