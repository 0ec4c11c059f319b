// SPDX-License-Identifier: Apache-2.0

// How much smaller one change may make what is served: half a list that was written, a generator that lost its source. Counted is
// what is left, so that renaming is no shrinking.

import type { World } from "@meridian/snapshot";

/** Most of the names, and of the endpoints, that one change may take away: octoDNS's share, and so what operators of DNS are used to. */
const SHRUNK_SHARE_MAX = 0.3;
/** Of fewer than these any may go: of three pools one is more than that share. */
const COUNTED_MIN = 10;

/** How large a snapshot is. */
export interface SetSize {
  readonly names: number;
  readonly endpoints: number;
}

export function sizeOf({ zones, pools }: World): SetSize {
  const names = zones.zones.reduce((sum, { ownerCount }) => sum + ownerCount, 0);
  return { names, endpoints: pools.endpointCount };
}

/** What speaks against `after`, as the end of a sentence; undefined for nothing. */
export function shrinkingOf(before: SetSize, after: SetSize): string | undefined {
  for (const part of ["names", "endpoints"] as const) {
    const [was, is] = [before[part], after[part]];
    const share = (was - is) / Math.max(1, was);
    if (was < COUNTED_MIN || share <= SHRUNK_SHARE_MAX) continue;
    return `of ${was} ${part} that are served it leaves ${is} (${Math.round(share * 100)} % less), expected at most ${SHRUNK_SHARE_MAX * 100} % less`;
  }
  return undefined;
}
