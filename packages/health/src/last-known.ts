// SPDX-License-Identifier: Apache-2.0
import {
  EndpointWord,
  LAST_KNOWN_BIT,
  Mode,
  isConfigured,
  isEligible,
  type World,
} from "@meridian/snapshot";

/**
 * Adds to `changes`, values by slot, what follows for a pool from its changed endpoints: those that served just before the last one failed
 * are marked, and the marks go when one is back. `before` gives the slots as they are published.
 */
export function keepLastKnown(
  world: World,
  pool: number,
  changes: Map<number, number>,
  before: (slot: number) => number,
): void {
  const start = world.pools.memberStart(pool);
  const count = world.pools.memberCount(pool);
  const members = Array.from({ length: count }, (_, index) => start + index);
  const after = (endpoint: number): number => changes.get(endpoint) ?? before(endpoint);
  const serves = (endpoint: number, slot: number): boolean => {
    const serve = (world.pools.endpointWord(endpoint, EndpointWord.weight) >>> 27) & 3;
    return (
      isConfigured(serve, slot) &&
      isEligible(serve, world.pools.flags(endpoint), slot, Mode.verdict)
    );
  };
  const isAnyLeft = members.some((endpoint) => serves(endpoint, after(endpoint)));
  for (const endpoint of members) {
    const slot = after(endpoint);
    const was = before(endpoint);
    const keep = !isAnyLeft && (serves(endpoint, was) || (was & LAST_KNOWN_BIT) !== 0);
    const value = keep ? (slot | LAST_KNOWN_BIT) >>> 0 : (slot & ~LAST_KNOWN_BIT) >>> 0;
    if (value !== was) changes.set(endpoint, value);
    else changes.delete(endpoint);
  }
}
