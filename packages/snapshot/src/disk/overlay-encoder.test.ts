// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KeyedSlots } from "../keyed-slots.ts";
import { SectionPack } from "../section-pack.ts";
import { branch, member, node, pool } from "../testing/world-fixture.ts";
import { World } from "../world.ts";
import { writePolicies, writePools } from "../writer.ts";
import { OverlayEncoder } from "./overlay-encoder.ts";
import { decodeOverlay, type StoredOverlay } from "./overlay-file.ts";

/** More than are looked at ahead of each other come and go at once. */
const POOLS_MAX = 200;

/** What is served in one step: which pools there are, and what slots become. */
interface Step {
  readonly pools: readonly number[];
  /** Each slot takes one of so many values, by its key. */
  readonly salt: number;
  readonly seconds: number;
}

const steps = fc.array(
  fc.record<Step>({
    pools: fc.subarray(Array.from({ length: POOLS_MAX }, (_, index) => index)),
    salt: fc.nat(2),
    seconds: fc.nat(1000),
  }),
  { minLength: 1, maxLength: 4 },
);

function worldOf(pools: readonly number[]): World {
  const pack = SectionPack.make([
    writePools(pools.map((name) => pool(`default/p${name}`, [member("one", 1), member("two", 1)]))),
    writePolicies(
      pools.slice(0, 3).map((name) => ({
        name: `default/q${name}`,
        root: "root",
        nodes: [node("root", "weighted", [branch({ pool: `default/p${name}` })])],
      })),
    ),
  ]);
  assert.ok(!("error" in pack));
  const world = World.load(pack.sections, 7);
  assert.ok(!("error" in world));
  return world;
}

function isKept(world: World, slot: number): boolean {
  return slot < world.poolEpochSlots || slot >= world.branchSlots;
}

/** The obvious way: each slot by its key. */
function expected(
  before: KeyedSlots,
  world: World,
  slots: Uint32Array,
  seconds: number,
): KeyedSlots {
  const after = new KeyedSlots();
  for (const [slot, value] of slots.entries()) {
    if (!isKept(world, slot)) continue;
    const [low, high] = [world.slotKeyLow(slot), world.slotKeyHigh(slot)];
    const row = before.rowOf(low, high);
    const isSame = row >= 0 && before.valueAt(row) === value;
    after.set(low, high, value, isSame ? before.secondsAt(row) : seconds);
  }
  return after;
}

function decoded(bytes: Uint8Array): StoredOverlay {
  const overlay = decodeOverlay(bytes);
  assert.ok(typeof overlay === "object", "what was encoded is an overlay");
  return overlay;
}

function rowsOf(slots: KeyedSlots): (readonly number[])[] {
  return Array.from({ length: slots.size }, (_, row) => [
    slots.lowAt(row),
    slots.highAt(row),
    slots.valueAt(row),
    slots.secondsAt(row),
  ]);
}

test("encode() gives each slot the time at which it took its value, whatever pools come and go", () => {
  fc.assert(
    fc.property(steps, (taken) => {
      let encoder = new OverlayEncoder();
      let before = new KeyedSlots();
      for (const [index, { pools, salt, seconds }] of taken.entries()) {
        const world = worldOf(pools);
        const slots = Uint32Array.from({ length: world.slotCount }, (_, slot) =>
          isKept(world, slot) ? (world.slotKeyLow(slot) + salt) % 3 : 9,
        );
        const savedAtMs = seconds * 1000 + 7;
        const overlay = decoded(encoder.encode({ savedAtMs, sequence: index }, world, slots));
        before = expected(before, world, slots, seconds);
        assert.deepEqual(rowsOf(overlay.slots), rowsOf(before));
        assert.deepEqual([overlay.savedAtMs, overlay.sequence], [savedAtMs, index]);
        // A process that starts goes on from what it read.
        if (index === 1) encoder = new OverlayEncoder(overlay.slots);
      }
    }),
    { numRuns: 30 },
  );
});
