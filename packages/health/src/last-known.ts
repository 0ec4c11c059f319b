// SPDX-License-Identifier: Apache-2.0
import {
  EndpointWord,
  LAST_KNOWN_BIT,
  Mode,
  isConfigured,
  isEligible,
  type World,
} from "@meridian/snapshot";

/** Values by slot; a Map is one. */
export interface SlotValues {
  get(slot: number): number | undefined;
  set(slot: number, value: number): unknown;
  delete(slot: number): unknown;
}

/**
 * Adds to `changes`, values by slot, what follows for a pool from its changed endpoints: those that served just before the last one failed
 * are marked, and the marks go when one is back. `before` are the slots as they are published.
 */
export function keepLastKnown(
  world: World,
  pool: number,
  changes: SlotValues,
  before: Uint32Array,
): void {
  const start = world.pools.memberStart(pool);
  const end = start + world.pools.memberCount(pool);
  let isAnyLeft = false;
  for (let endpoint = start; endpoint < end && !isAnyLeft; endpoint++)
    isAnyLeft = serves(world, endpoint, changes.get(endpoint) ?? before[endpoint] ?? 0);
  for (let endpoint = start; endpoint < end; endpoint++) {
    const was = before[endpoint] ?? 0;
    const slot = changes.get(endpoint) ?? was;
    const keep = !isAnyLeft && ((was & LAST_KNOWN_BIT) !== 0 || serves(world, endpoint, was));
    const value = keep ? (slot | LAST_KNOWN_BIT) >>> 0 : (slot & ~LAST_KNOWN_BIT) >>> 0;
    if (value !== was) changes.set(endpoint, value);
    else changes.delete(endpoint);
  }
}

function serves({ pools }: World, endpoint: number, slot: number): boolean {
  const serve = (pools.endpointWord(endpoint, EndpointWord.weight) >>> 27) & 3;
  return isConfigured(serve, slot) && isEligible(serve, pools.flags(endpoint), slot, Mode.verdict);
}
