// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32, systemClock } from "@meridian/core";
import { OverlayWriter } from "@meridian/snapshot";
import { rehearse } from "./rehearsal.ts";
import { worldOf } from "./testing/pool-world.ts";

const PROBES = 80;

test("rehearse() publishes flips of its own and leaves the overlay that is served alone", async () => {
  const world = worldOf(2);
  const served = new OverlayWriter(world.initialSlots(), 7).buffer;
  const before = Buffer.from(served.slice(0));
  const snapshot = { revision: 3, world: world.share(), lastSequence: 7, resumed: served };
  const publishedCount = await new Promise<number>((resolve) => {
    const random = new Pcg32(1);
    rehearse({ clock: systemClock, random, snapshot, probes: PROBES, onEnd: resolve });
  });
  // Each endpoint has twenty pairs of probes; what falls into one turn of the loop is one change set.
  assert.ok(publishedCount >= PROBES / 8, `${publishedCount} change sets`);
  assert.deepEqual(Buffer.from(served.slice(0)), before);
});

test("rehearse() does nothing where a snapshot has no endpoints", () => {
  const snapshot = { revision: 1, world: worldOf(0, 0).share(), lastSequence: 0 };
  const random = new Pcg32(1);
  rehearse({ clock: systemClock, random, snapshot, probes: PROBES, onEnd: () => assert.fail() });
});
