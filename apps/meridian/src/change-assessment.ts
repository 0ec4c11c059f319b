// SPDX-License-Identifier: Apache-2.0

// Whether a revision goes to all edges at once or to a few first: by what it does to answers, unless who made it has said so.

import type { Publication } from "@meridian/control";
import { compareAnswers, type AskedPair } from "@meridian/edge";
import { OverlayObserver, World } from "@meridian/snapshot";

/** Share of all names that one revision may change, and of a zone's names that it may remove, before it goes to a few edges first. */
const CHANGED_SHARE_MAX = 0.01;
const REMOVED_SHARE_MAX = 0.2;

/** Whether `publication` goes to a few edges first, where all serve `before` and nobody has said how it is to go. */
export function isLarge(before: Publication, publication: Publication): boolean {
  const [old, now] = [pairOf(before), pairOf(publication)];
  // The first zones of all: there was no answer that could become worse, and edges that come meanwhile would get no zones at all.
  if (old.world.zones.zones.length === 0) return false;
  if (removesMuch(old.world, now.world)) return true;
  const { asked, changed, emptiedCount, failedCount } = compareAnswers(old, now);
  return emptiedCount + failedCount > 0 || changed > asked * CHANGED_SHARE_MAX;
}

function removesMuch(before: World, after: World): boolean {
  const counts = new Map(after.zones.zones.map(({ key, ownerCount }) => [key, ownerCount]));
  return before.zones.zones.some(({ key, ownerCount }) => {
    const left = counts.get(key) ?? 0;
    return left < ownerCount * (1 - REMOVED_SHARE_MAX);
  });
}

function pairOf({ world, overlay, slotCount }: Publication): AskedPair {
  const { slots } = new OverlayObserver(overlay, slotCount).moment();
  return { world: World.open(world), slots };
}
