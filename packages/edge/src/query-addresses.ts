// SPDX-License-Identifier: Apache-2.0

import type { PoolTable } from "@meridian/snapshot";

/** How many addresses of a family (4 or 6) an endpoint is answered with: its own one, else those that its host name resolved to. */
export function addressCount(pools: PoolTable, endpoint: number, family: number): number {
  const hasOwn = family === 4 ? pools.hasIpv4(endpoint) : pools.hasIpv6(endpoint);
  return hasOwn ? 1 : pools.resolved.count(endpoint, family);
}

/** Writes address `index` (below `addressCount()`) of an endpoint: four or sixteen bytes. */
export function copyAddress(
  pools: PoolTable,
  endpoint: number,
  family: number,
  index: number,
  out: Uint8Array,
  at: number,
): void {
  const hasOwn = family === 4 ? pools.hasIpv4(endpoint) : pools.hasIpv6(endpoint);
  if (!hasOwn) pools.resolved.copy(endpoint, family, index, out, at);
  else if (family === 4) pools.copyIpv4(endpoint, out, at);
  else pools.copyIpv6(endpoint, out, at);
}
