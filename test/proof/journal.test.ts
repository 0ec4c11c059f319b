// SPDX-License-Identifier: Apache-2.0

// (revision, sequence) names one overlay: whatever endpoints, shifts, latches, reloads and restarts did, the journal gives back the
// very slots that were served.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import { worldOf } from "@meridian/control";
import { allKinds } from "./all-kinds.ts";
import { randomSlot } from "./random-slot.ts";
import { System, pause } from "./system.ts";

const steps = process.env["MERIDIAN_LONG"] === "1" ? 600 : 80;

interface Served {
  readonly revision: number;
  readonly sequence: number;
  readonly slots: readonly number[];
}

/** Slots as served, pool epochs left out: they only say that something changed. */
function served(system: System): Served {
  const { world, embedded } = system;
  const { sequence, slots } = embedded.overlay.moment();
  slots.fill(0, world.poolEpochSlots, world.branchSlots);
  return { revision: embedded.revision, sequence, slots: [...slots] };
}

function rebuilt(system: System, { revision, sequence }: Served): number[] {
  const stored = system.persistence.store.loadOld(revision);
  if (typeof stored === "string") assert.fail(stored);
  const world = worldOf(stored.sections, stored.seed);
  if (typeof world === "string") assert.fail(world);
  const past = system.persistence.journal.at({ revision, sequence });
  if (typeof past === "string") assert.fail(past);
  assert.deepEqual([past.last?.revision, past.last?.sequence], [revision, sequence]);
  const slots = world.initialSlots();
  for (const [key, value] of past.slots) {
    const slot = world.slotOfKey(key);
    if (slot >= 0) slots[slot] = value;
  }
  slots.fill(0, world.poolEpochSlots, world.branchSlots);
  return [...slots];
}

test("the journal gives back every overlay that was served, over reloads and restarts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-journal-"));
  mkdirSync(folder, { recursive: true });
  const random = new Pcg32(7);
  const below = (limit: number): number => random.next32() % limit;
  let variant = 0;
  const options = { folder, workers: 1, listen: ["127.0.0.1:0"] };
  let system = await System.start({ ...options, documents: allKinds(folder, variant) });
  const seen = new Map<string, Served>();
  const see = (): void => {
    const now = served(system);
    const key = `${now.revision}:${now.sequence}`;
    const before = seen.get(key);
    if (before !== undefined)
      assert.deepEqual(now.slots, before.slots, `${key} names two overlays`);
    seen.set(key, now);
  };
  try {
    for (let step = 0; step < steps; step++) {
      const what = below(12);
      if (what === 0) {
        variant = below(6);
        await system.reload(allKinds(folder, variant));
      } else if (what === 1) {
        await system.embedded.addShift({
          target: ["site/west", "pool/default/a", "endpoint/default/b/m1"][below(3)] ?? "",
          percent: 10 + below(90),
          reason: "proof",
          actor: "test",
          expiresAtMs: Date.now() + 60_000,
        });
      } else if (what === 2) {
        const [shift] = system.embedded.shifts();
        if (shift !== undefined) await system.embedded.removeShifts(shift.id);
      } else if (what === 3 && step % 3 === 0) {
        await system.close(true);
        system = await System.start({ ...options, documents: allKinds(folder, variant) });
      } else {
        const { poolEpochSlots } = system.world;
        const changes = Array.from({ length: 1 + below(4) }, () => {
          const slot = below(poolEpochSlots);
          return { slot, value: randomSlot(random, system.embedded.overlay.read(slot)) };
        });
        await system.toggle(changes);
      }
      see();
      // A waiting change set leaves with the next turn of the event loop.
      if (step % 5 === 0) await pause(1);
      see();
    }
    system.persistence.journal.save();
    for (const one of seen.values())
      assert.deepEqual(rebuilt(system, one), one.slots, `${one.revision}:${one.sequence}`);
    assert.ok(seen.size > steps / 2, `${seen.size} overlays were served`);
  } finally {
    await system.close(true);
    rmSync(folder, { recursive: true, force: true });
  }
});
