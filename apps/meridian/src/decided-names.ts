// SPDX-License-Identifier: Apache-2.0

import type { DecidedName } from "@meridian/control";
import { equalNames } from "@meridian/dns";
import { RoutedRecords } from "@meridian/edge";
import { walkChunk, type World } from "@meridian/snapshot";

/** What is decided now, with these slots, of the routed names of a zone for a client of no place. */
export function decidedNames(world: World, slots: Uint32Array, origin: Uint8Array): DecidedName[] {
  const zone = world.zones.zones.find(
    (each) => each.view === undefined && equalNames(each.origin, origin),
  );
  const routed = new RoutedRecords(world, "default", { slots });
  const names: DecidedName[] = [];
  for (let chunk = 0; zone !== undefined && chunk < zone.chunkCount; chunk++)
    for (const { owner, bindings } of walkChunk(zone, zone.chunkAt(chunk))) {
      const [first] = bindings;
      if (first === undefined) continue;
      // Not the one of the moment, which is another one each second near a change.
      const ttl = Math.min(...bindings.map(({ ttlMax }) => ttlMax));
      const records = routed.of(bindings).map(({ type, rdata }) => ({ type, ttl, rdata }));
      names.push({ name: owner, records });
    }
  return names;
}
