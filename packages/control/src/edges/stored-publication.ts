// SPDX-License-Identifier: Apache-2.0

// A revision of the state folder as edges are sent it, with the slots that were recorded last: what they go on with while a later one is
// staged by a control that was started anew.

import {
  OverlayWriter,
  SectionPack,
  World,
  type Manifest,
  type StoredSlots,
} from "@meridian/snapshot";
import { manifestSection, type SnapshotStore } from "@meridian/snapshot/disk";
import { makeManifest } from "@meridian/snapshot";
import type { Publication } from "../embedded-options.ts";

/** An older revision, or why it cannot be had. */
export function storedPublication(
  store: SnapshotStore,
  { epoch, revision }: Pick<Manifest, "epoch" | "revision">,
  recorded: StoredSlots | undefined,
): Publication | string {
  const stored = store.loadOld(revision);
  if (typeof stored === "string") return stored;
  if (stored.epoch !== epoch)
    return `Revision ${revision} is of epoch ${stored.epoch}, expected ${epoch}`;
  const pack = SectionPack.make(stored.sections);
  if ("error" in pack) return pack.error;
  const world = World.load(pack.sections, stored.seed);
  if ("error" in world) return world.error;
  const slots = world.initialSlots();
  for (let slot = 0; slot < world.slotCount; slot++) {
    const found = recorded?.find(world.slotKeyLow(slot), world.slotKeyHigh(slot)) ?? -1;
    if (found >= 0 && world.outlives(slot, found)) slots[slot] = found;
  }
  const { buffer: overlay, slotCount } = new OverlayWriter(slots);
  const sections = stored.sections.map(manifestSection);
  const manifest = makeManifest(revision, stored.seed, sections, epoch);
  return { manifest, revision, world: world.share(), overlay, slotCount };
}
