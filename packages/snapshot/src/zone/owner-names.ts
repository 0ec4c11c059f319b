// SPDX-License-Identifier: Apache-2.0

// Owner names of a loaded snapshot, a sample of them where there are many. Whether a name is in the sample depends on the name and the
// size alone, so that two snapshots of about equal size give the same names.

import { mix32 } from "@meridian/core";
import type { World } from "../world.ts";
import type { LoadedZone } from "./zone-table.ts";
import type { NamesChunk } from "./names-chunk.ts";
import { NODE_HEADER_BYTES, SET_BYTES } from "./zone-format.ts";

/** About `countMax` owner names of all zones as on the wire, all of them where there are fewer. `owners` sets the share, if given. */
export function sampleOwners(world: World, countMax: number, owners?: number): Uint8Array[] {
  const { zones } = world.zones;
  const count = owners ?? zones.reduce((sum, zone) => sum + zone.ownerCount, 0);
  const share = count <= countMax ? 1 : countMax / count;
  const names: Uint8Array[] = [];
  for (const zone of zones)
    for (let chunk = 0; chunk < zone.chunkCount; chunk++)
      sampleChunk(zone, zone.chunkAt(chunk), share, names);
  return names;
}

function sampleChunk(zone: LoadedZone, chunk: NamesChunk, share: number, to: Uint8Array[]): void {
  const { words, bucketBase, bucketMask } = chunk;
  for (let bucket = 0; bucket <= bucketMask; bucket++) {
    const at = bucketBase + bucket * 2;
    const entry = words[at + 1] ?? 0;
    if (entry === 0) continue;
    if (share < 1 && mix32(words[at] ?? 0) >= share * 2 ** 32) continue;
    const name = nameOf(zone, chunk, chunk.nodesBase + entry - 1);
    if (name !== undefined) to.push(name);
  }
}

function nameOf(zone: LoadedZone, { bytes }: NamesChunk, node: number): Uint8Array | undefined {
  const length = bytes[node + 1] ?? 0;
  const start = node + NODE_HEADER_BYTES + (bytes[node + 2] ?? 0) * SET_BYTES;
  if (start + length > bytes.length) return undefined;
  const name = new Uint8Array(length + zone.origin.length);
  name.set(bytes.subarray(start, start + length));
  name.set(zone.origin, length);
  return name;
}
