// SPDX-License-Identifier: Apache-2.0

// A zone and one below it both have an NSEC record at the name where the one is cut and the other begins, each signed by its own key. In one
// response they would be one set of two records (RFC 2181 §5), of which neither signature is right. So a chain of aliases that needs both ends
// before the second zone, and who asked asks for the rest by itself.

import { DnsLimits, isSubdomain } from "@meridian/dns";
import { nameStart, type CanonicalOrder, type LoadedZone } from "@meridian/snapshot";

/** Of one owner; a worker looks at one at a time. */
const ownerBytes = new Uint8Array(DnsLimits.nameBytesMax);

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
  const labelBytes = bytes[node + 1]!;
  for (let at = 0; at < labelBytes; at++) ownerBytes[at] = bytes[start + at]!;
  ownerBytes.set(zone.origin, labelBytes);
  return isSubdomain(ownerBytes.subarray(0, labelBytes + zone.origin.length), next.origin);
}
