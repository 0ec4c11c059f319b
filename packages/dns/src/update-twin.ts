// SPDX-License-Identifier: Apache-2.0
//
// RFC 2136 as its pseudocode has it (§3.2.5, §3.4.1.3, §3.4.2.7), over a plain list of records: what update.ts is compared with.

import { RRClass, RRType, Rcode } from "./constants.ts";
import { canonicalRdata } from "./dnssec/canonical.ts";
import type { ResourceRecord } from "./message.ts";
import { equalNames, isSubdomain } from "./name.ts";
import { isRdata } from "./rdata.ts";
import type { ZoneRecord } from "./zone-record.ts";

const TYPE_ANY = 255;
const metaTypes: ReadonlySet<number> = new Set([0, 41, 249, 250, 251, 252, 253, 254, 255]);

/** The rcode of an update, and what it leaves of the zone. */
export function updateBySteps(
  origin: Uint8Array,
  zone: readonly ZoneRecord[],
  prerequisites: readonly ResourceRecord[],
  updates: readonly ResourceRecord[],
): { readonly rcode: number; readonly zone: readonly ZoneRecord[] } {
  const rcode = prerequisiteStep(origin, zone, prerequisites) || prescanStep(origin, updates);
  if (rcode !== Rcode.NOERROR) return { rcode, zone };
  let records = [...zone];
  for (const record of updates) records = updateStep(origin, records, record);
  return { rcode, zone: records };
}

function prerequisiteStep(
  origin: Uint8Array,
  zone: readonly ZoneRecord[],
  prerequisites: readonly ResourceRecord[],
): number {
  const temporary: ResourceRecord[] = [];
  for (const record of prerequisites) {
    const { owner, type, ttl, rdata } = record;
    if (ttl !== 0) return Rcode.FORMERR;
    if (!isSubdomain(owner, origin)) return Rcode.NOTZONE;
    const isInUse = zone.some((each) => equalNames(each.owner, owner));
    const exists = zone.some((each) => equalNames(each.owner, owner) && each.type === type);
    switch (record.class) {
      case RRClass.ANY:
        if (rdata.length !== 0 || (type !== TYPE_ANY && metaTypes.has(type))) return Rcode.FORMERR;
        if (type === TYPE_ANY ? !isInUse : !exists)
          return type === TYPE_ANY ? Rcode.NXDOMAIN : Rcode.NXRRSET;
        break;
      case RRClass.NONE:
        if (rdata.length !== 0 || (type !== TYPE_ANY && metaTypes.has(type))) return Rcode.FORMERR;
        if (type === TYPE_ANY ? isInUse : exists)
          return type === TYPE_ANY ? Rcode.YXDOMAIN : Rcode.YXRRSET;
        break;
      case RRClass.IN:
        if (metaTypes.has(type) || !isRdata(type, rdata)) return Rcode.FORMERR;
        temporary.push(record);
        break;
      default:
        return Rcode.FORMERR;
    }
  }
  for (const { owner, type } of temporary) {
    const ofSet = (each: { owner: Uint8Array; type: number }): boolean =>
      equalNames(each.owner, owner) && each.type === type;
    const [wanted, found] = [temporary.filter(ofSet), zone.filter(ofSet)];
    const isIn = (all: readonly { rdata: Uint8Array }[], one: Uint8Array): boolean =>
      all.some(({ rdata }) => isSameData(type, rdata, one));
    const isEqual =
      wanted.every(({ rdata }) => isIn(found, rdata)) &&
      found.every(({ rdata }) => isIn(wanted, rdata));
    if (!isEqual) return Rcode.NXRRSET;
  }
  return Rcode.NOERROR;
}

function prescanStep(origin: Uint8Array, updates: readonly ResourceRecord[]): number {
  for (const { owner, type, class: rrClass, ttl, rdata } of updates) {
    if (!isSubdomain(owner, origin)) return Rcode.NOTZONE;
    if (rrClass === RRClass.IN) {
      if (metaTypes.has(type) || !isRdata(type, rdata)) return Rcode.FORMERR;
    } else if (rrClass === RRClass.ANY) {
      if (ttl !== 0 || rdata.length !== 0) return Rcode.FORMERR;
      if (type !== TYPE_ANY && metaTypes.has(type)) return Rcode.FORMERR;
    } else if (rrClass === RRClass.NONE) {
      if (ttl !== 0 || metaTypes.has(type) || !isRdata(type, rdata)) return Rcode.FORMERR;
    } else return Rcode.FORMERR;
  }
  return Rcode.NOERROR;
}

function updateStep(
  origin: Uint8Array,
  zone: readonly ZoneRecord[],
  { owner, type, class: rrClass, ttl, rdata }: ResourceRecord,
): ZoneRecord[] {
  const isApex = equalNames(owner, origin);
  const isAt = (each: ZoneRecord): boolean => equalNames(each.owner, owner);
  const isOf = (each: ZoneRecord): boolean => isAt(each) && each.type === type;
  if (rrClass === RRClass.IN) {
    const isCname = (each: number): boolean => each === RRType.CNAME;
    const mayStand = (each: number): boolean => each === RRType.RRSIG || each === RRType.NSEC;
    const there = zone.filter(isAt).map((each) => each.type);
    if (isCname(type) && there.some((each) => !isCname(each) && !mayStand(each))) return [...zone];
    if (!isCname(type) && !mayStand(type) && there.some(isCname)) return [...zone];
    if (type === RRType.SOA && !isApex) return [...zone];
    const isAlone = type === RRType.SOA || isCname(type) || type === RRType.DNAME;
    const time = ttl >= 2 ** 31 ? 0 : ttl;
    const kept = zone.filter((each) => !isOf(each) || !isAlone);
    const isThere = kept.some((each) => isOf(each) && isSameData(type, each.rdata, rdata));
    const all = isThere ? kept : [...kept, { owner, type, ttl: time, rdata }];
    return all.map((each) => (isOf(each) ? { ...each, ttl: time } : each));
  }
  if (rrClass === RRClass.ANY) {
    const stays = (each: ZoneRecord): boolean =>
      isApex && (each.type === RRType.SOA || each.type === RRType.NS);
    return zone.filter((each) => {
      const isMeant = type === TYPE_ANY ? isAt(each) : isOf(each);
      return !isMeant || stays(each);
    });
  }
  if (type === RRType.SOA) return [...zone];
  const isLastServer = isApex && type === RRType.NS && zone.filter(isOf).length === 1;
  return zone.filter((each) => !isOf(each) || !isSameData(type, each.rdata, rdata) || isLastServer);
}

function isSameData(type: number, a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(canonicalRdata(type, a), canonicalRdata(type, b)) === 0;
}
