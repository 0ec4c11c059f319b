// SPDX-License-Identifier: Apache-2.0
import type { World } from "@meridian/snapshot";
import { loadWorld, member, pool } from "@meridian/snapshot/testing";

/** A pool `default/web` of members m0, m1, …, or `poolCount` pools web, web1, … */
export function worldOf(count: number, poolCount = 1): World {
  const members = Array.from({ length: count }, (_, at) =>
    member(`m${at}`, 1, { ipv4: Uint8Array.of(127, 0, 0, 1) }),
  );
  const pools = Array.from({ length: poolCount }, (_, at) =>
    pool(`default/web${at === 0 ? "" : at}`, members),
  );
  return loadWorld(pools, []);
}
