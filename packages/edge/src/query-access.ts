// SPDX-License-Identifier: Apache-2.0

// Zones that not everybody may ask. The client is who sent the packet, or whom a listed proxy states, and the key that signed it: never a
// client subnet, which anybody may write.

import type { LoadedZone, World } from "@meridian/snapshot";
import type { QueryState } from "./query-state.ts";

/** Whether some zone says who may ask: else nothing has to be looked at for a query. */
export function isRestricted({ zones }: World): boolean {
  return zones.zones.some(({ access }) => access !== undefined);
}

/** Whether a zone may not be shown to who asks. */
export function isHidden(query: QueryState, zone: LoadedZone): boolean {
  const { access } = zone;
  if (access === undefined) return false;
  const { source, sourceStart, family } = query;
  return !access.allows(source, sourceStart, family, query.signedBy?.(zone));
}
