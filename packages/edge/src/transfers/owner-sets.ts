// SPDX-License-Identifier: Apache-2.0

// What a zone holds, owner by owner in canonical order and set by set, as it is signed and digested.

import { RRType, canonicalKey } from "@meridian/dns";
import { walkChunk, type WalkedOwner, type WalkedRecord } from "@meridian/snapshot";
import { RoutedRecords } from "./routed-records.ts";
import type { WholeZoneInput } from "./whole-zone.ts";

/** A set of records. */
export interface OwnerSet {
  readonly ttl: number;
  readonly rdatas: readonly Uint8Array[];
  readonly isSigned: boolean;
  /** Where they were made elsewhere. */
  readonly rrsigs?: readonly Uint8Array[];
}

/** An owner with its sets by type, rising. */
export interface ZoneOwner {
  readonly key: string;
  readonly owner: Uint8Array;
  readonly sets: ReadonlyMap<number, OwnerSet>;
}

/** The same, with where it stands in the zone. */
export interface PlacedOwner extends ZoneOwner {
  readonly isCut: boolean;
  readonly isOccluded: boolean;
}

/** Types that a signer makes, whatever the zone holds. */
const madeTypes: ReadonlySet<number> = new Set([
  RRType.RRSIG,
  RRType.NSEC,
  RRType.NSEC3,
  RRType.NSEC3PARAM,
]);

/** All owners that have something, the SOA as given. */
export function* ownersOf(
  { world, zone, as, signing, digests }: WholeZoneInput,
  soa: WalkedRecord,
): Generator<undefined, PlacedOwner[]> {
  const routed = new RoutedRecords(world, as, { zone });
  const owners: PlacedOwner[] = [];
  const isSigned = signing !== undefined;
  for (let chunk = 0; chunk < zone.chunkCount; chunk++)
    for (const walked of walkChunk(zone, zone.chunkAt(chunk))) {
      yield;
      const isApex = walked.owner.length === zone.origin.length;
      const { owner, isCut, isOccluded } = walked;
      const records = contentOf(walked, routed).filter(
        ({ type }) =>
          !(isSigned && (madeTypes.has(type) || (isApex && signing.apex.has(type)))) &&
          !(isApex && digests.length > 0 && type === RRType.ZONEMD),
      );
      if (isApex) records.push(soa);
      if (records.length === 0) continue;
      const isOwn = (type: number): boolean =>
        isSigned && !isOccluded && (!isCut || type === RRType.DS);
      const sets = setsOf(records, isOwn);
      if (isApex && isSigned) for (const [type, set] of signing.apex) sets.set(type, set);
      const key = canonicalKey(owner);
      owners.push({ key, owner, sets: sorted(sets), isCut, isOccluded });
    }
  return owners.sort((one, other) => (one.key < other.key ? -1 : 1));
}

function contentOf({ records, bindings }: WalkedOwner, routed: RoutedRecords): WalkedRecord[] {
  const own = records.filter(({ type }) => type !== RRType.SOA);
  return bindings.length > 0 ? [...own, ...routed.of(bindings)] : own;
}

function setsOf(
  records: readonly WalkedRecord[],
  isSigned: (type: number) => boolean,
): Map<number, OwnerSet> {
  const sets = new Map<number, OwnerSet & { readonly rdatas: Uint8Array[] }>();
  for (const { type, ttl, rdata } of records) {
    const known = sets.get(type);
    if (known === undefined) sets.set(type, { ttl, rdatas: [rdata], isSigned: isSigned(type) });
    else known.rdatas.push(rdata);
  }
  return new Map<number, OwnerSet>(sets);
}

/** By type. */
export function sorted(sets: ReadonlyMap<number, OwnerSet>): Map<number, OwnerSet> {
  return new Map([...sets].sort(([one], [other]) => one - other));
}
