// SPDX-License-Identifier: Apache-2.0
import { Verdict, type World } from "@meridian/snapshot";
import type { RestoredPair } from "./edge-state.ts";

/**
 * The slots of a stored snapshot as they were; verdicts that are too old are unknown. Weights and dials of branches are those of the snapshot,
 * unless they were given others: it may be newer than what is stored of slots, by the moment in which a process was killed.
 */
export function restoredSlots(
  world: World,
  { slots, isOld }: Pick<RestoredPair, "slots" | "isOld">,
): Uint32Array {
  const values = world.initialSlots();
  for (let slot = 0; slot < world.slotCount; slot++) {
    if (slot >= world.poolEpochSlots && slot < world.branchSlots) continue;
    const value = slots.find(world.slotKeyLow(slot), world.slotKeyHigh(slot));
    if (value < 0 || !world.outlives(slot, value)) continue;
    const isStale = isOld && slot < world.poolEpochSlots;
    values[slot] = isStale ? ((value & ~3) | Verdict.unknown) >>> 0 : value;
  }
  return values;
}
