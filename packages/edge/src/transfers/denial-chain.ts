// SPDX-License-Identifier: Apache-2.0

// The chain by which a signed zone denies what it does not hold, as a whole: NSEC (RFC 4034 §4) or NSEC3 records (RFC 5155 §7.1, without
// salt, iterations and opt-out). It is that of what goes out: a routed name of which nothing goes out is not in it.

import { RRType, canonicalKey, encodeBase32Hex, encodeTypeBitmap, parentName } from "@meridian/dns";
import { Denial, NSEC3_HASH_BYTES, nsec3Hash, type LoadedZone } from "@meridian/snapshot";
import { sorted, type OwnerSet, type PlacedOwner, type ZoneOwner } from "./owner-sets.ts";
import type { ZoneSigning } from "./zone-signing.ts";

/** SHA-1, no flags, no iterations, no salt (RFC 9276 §3.1). */
const PARAMETERS = Uint8Array.of(1, 0, 0, 0, 0);

/** The owners with the records of the chain, those of hashed names behind them. */
export function* chainOf(
  zone: LoadedZone,
  signing: ZoneSigning,
  owners: readonly PlacedOwner[],
): Generator<undefined, ZoneOwner[]> {
  return signing.denial === Denial.nsec3
    ? yield* withHashes(zone, signing, owners)
    : yield* withNames(zone, signing, owners);
}

function* withNames(
  zone: LoadedZone,
  signing: ZoneSigning,
  owners: readonly PlacedOwner[],
): Generator<undefined, ZoneOwner[]> {
  const listed = owners.filter(({ isOccluded }) => !isOccluded);
  const made: ZoneOwner[] = owners.filter(({ isOccluded }) => isOccluded);
  for (const [index, one] of listed.entries()) {
    yield;
    const next = listed[(index + 1) % listed.length]?.owner ?? zone.origin;
    const types = [...typesOf(one, zone, signing), RRType.RRSIG, RRType.NSEC];
    const rdata = Buffer.concat([next, encodeTypeBitmap(types)]);
    made.push(withSet(one, RRType.NSEC, setOf(zone, rdata)));
  }
  return made;
}

function* withHashes(
  zone: LoadedZone,
  signing: ZoneSigning,
  owners: readonly PlacedOwner[],
): Generator<undefined, ZoneOwner[]> {
  /** By name, the types that are said of it: none of a name that has only others below it. */
  const names = new Map<string, { readonly hash: Buffer; readonly types: readonly number[] }>();
  const made: ZoneOwner[] = [];
  for (const one of owners) {
    yield;
    const isApex = one.owner.length === zone.origin.length;
    made.push(isApex ? withSet(one, RRType.NSEC3PARAM, setOf(zone, PARAMETERS)) : one);
    if (one.isOccluded) continue;
    const own = typesOf(one, zone, signing);
    const isSigned = !one.isCut || own.includes(RRType.DS);
    const types = [
      ...own,
      ...(isApex ? [RRType.NSEC3PARAM] : []),
      ...(isSigned ? [RRType.RRSIG] : []),
    ];
    names.set(one.key, { hash: nsec3Hash(one.owner), types });
    let above = parentName(one.owner);
    for (; above !== undefined && above.length > zone.origin.length; above = parentName(above)) {
      const key = canonicalKey(above);
      if (!names.has(key)) names.set(key, { hash: nsec3Hash(above), types: [] });
    }
  }
  const hashes = [...names.values()].sort((one, other) => Buffer.compare(one.hash, other.hash));
  for (const [index, { hash, types }] of hashes.entries()) {
    yield;
    const next = hashes[(index + 1) % hashes.length]?.hash ?? hash;
    const head = Buffer.of(...PARAMETERS, NSEC3_HASH_BYTES);
    const rdata = Buffer.concat([head, next, encodeTypeBitmap(types)]);
    const label = Buffer.from(encodeBase32Hex(hash).toLowerCase());
    const owner = Buffer.concat([Buffer.of(label.length), label, zone.origin]);
    const sets = new Map([[RRType.NSEC3, setOf(zone, rdata)]]);
    made.push({ key: canonicalKey(owner), owner, sets });
  }
  return made;
}

/** Of a delegation what is the parent's (RFC 4035 §2.3). */
function typesOf(
  { sets, owner, isCut }: PlacedOwner,
  zone: LoadedZone,
  signing: ZoneSigning,
): number[] {
  const types = [...sets.keys()];
  if (isCut) return types.filter((type) => type === RRType.NS || type === RRType.DS);
  const isApex = owner.length === zone.origin.length;
  return isApex && signing.hasDigests ? [...types, RRType.ZONEMD] : types;
}

function setOf(zone: LoadedZone, rdata: Uint8Array): OwnerSet {
  return { ttl: zone.negativeTtl, rdatas: [rdata], isSigned: true };
}

function withSet({ key, owner, sets }: ZoneOwner, type: number, set: OwnerSet): ZoneOwner {
  return { key, owner, sets: sorted(new Map([...sets, [type, set]])) };
}
