// SPDX-License-Identifier: Apache-2.0

// What the slots of a revision are beside those of the one before: an edge that has those works them out by itself, as control does, instead
// of being sent hundreds of kilobytes with each revision.

import { carriedSlots } from "@meridian/health";
import { CARRIED_CHANGES_MAX, type OverlayMoment, type World } from "@meridian/snapshot";
import type { CarriedFrom } from "./embedded-options.ts";

/** A revision that is served, and its slots. */
export interface SlottedRevision {
  readonly world: World;
  readonly revision: number;
  readonly moment: OverlayMoment;
}

/** How the slots of `next` differ from what `before` gives; undefined where they do in too many. */
export function carriedFrom(
  before: SlottedRevision,
  next: Pick<SlottedRevision, "world" | "moment">,
): CarriedFrom | undefined {
  const { world } = next;
  const { sequence, slots } = next.moment;
  const carried = carriedSlots(before.world, before.moment.slots, world);
  const changes: { readonly key: bigint; readonly value: number }[] = [];
  // Epochs of pools are each edge's own.
  for (const [start, end] of [
    [0, world.poolEpochSlots],
    [world.branchSlots, world.slotCount],
  ] as const) {
    for (let slot = start; slot < end; slot++) {
      const value = slots[slot] ?? 0;
      if (value === carried[slot]) continue;
      if (changes.length === CARRIED_CHANGES_MAX) return undefined;
      changes.push({ key: world.slotKey(slot), value });
    }
  }
  return {
    sequence,
    from: { revision: before.revision, sequence: before.moment.sequence },
    changes,
  };
}
