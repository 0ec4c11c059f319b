// SPDX-License-Identifier: Apache-2.0
import type { Random } from "@meridian/core";
import { CAPACITY_SHIFT, CHANGE_SHIFT, DIAL_SHIFT, FENCED_BIT } from "@meridian/snapshot";

/**
 * An endpoint slot as verdicts and load could leave it: verdict, capacity factor and time to the earliest change are random, administrative state, the
 * fenced bit and dial stay as `was` says (they are the shifts').
 */
export function randomSlot(random: Random, was: number): number {
  const verdict = [1, 1, 1, 2, 0][random.next32() % 5] ?? 1;
  const capacity = random.next32() % 4 === 0 ? random.next32() % 1001 : 1000;
  const change = random.next32() % 6;
  const kept = was & ((0x3ff << DIAL_SHIFT) | (3 << 2) | FENCED_BIT);
  return (kept | verdict | (capacity << CAPACITY_SHIFT) | (change << CHANGE_SHIFT)) >>> 0;
}
