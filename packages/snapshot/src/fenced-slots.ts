// SPDX-License-Identifier: Apache-2.0
import { Admin, FENCED_BIT } from "./overlay.ts";
import type { World } from "./world.ts";

const ADMIN_MASK = 3 << 2;
/** Pools whose members are fenced have another epoch: candidates that were derived without count no more, and the other way round. */
const EPOCH_FLIP = 0x4000_0000;

/** A bank as it is answered from without a lease: nothing that a panel with fenced hand-over governs. */
export function fencedSlots(world: World, slots: Uint32Array): Uint32Array {
  const fenced = new Uint32Array(slots);
  const { pools, poolEpochSlots } = world;
  for (let endpoint = 0; endpoint < pools.endpointCount; endpoint++) {
    const slot = slots[endpoint] ?? 0;
    if ((slot & FENCED_BIT) === 0) continue;
    fenced[endpoint] = ((slot & ~ADMIN_MASK) | (Admin.fencedOff << 2)) >>> 0;
    const epoch = poolEpochSlots + pools.poolOfEndpoint(endpoint);
    fenced[epoch] = ((slots[epoch] ?? 0) ^ EPOCH_FLIP) >>> 0;
  }
  return fenced;
}
