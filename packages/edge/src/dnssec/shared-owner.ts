// SPDX-License-Identifier: Apache-2.0

// A zone and one below it both have an NSEC record at the name where the one is cut and the other begins, each signed by its own key. In one
// response they would be one set of two records (RFC 2181 §5), of which neither signature is right. So a chain of aliases that needs both ends
// before the second zone, and who asked asks for the rest by itself.

import { isSubdomain } from "@meridian/dns";
import { nameStart, type CanonicalOrder, type LoadedZone } from "@meridian/snapshot";

/** Whether the NSEC at a position of a zone's order may have the owner of one that proves something in zone `next`. */
export function sharesOwner(
  zone: LoadedZone,
  order: CanonicalOrder,
  position: number,
  next: LoadedZone,
): boolean {
  if (zone === next) return false;
  // What the zone above has at the cut, or by mistake below it, may be what a proof there needs.
  if (isSubdomain(zone.origin, next.origin)) return true;
  if (!isSubdomain(next.origin, zone.origin)) return false;
  const { bytes } = order.chunkAt(position);
  const node = order.nodeAt(position);
  const start = nameStart(bytes, node);
  const owner = new Uint8Array(bytes[node + 1]! + zone.origin.length);
  owner.set(bytes.subarray(start, start + bytes[node + 1]!));
  owner.set(zone.origin, bytes[node + 1]);
  return isSubdomain(owner, next.origin);
}
