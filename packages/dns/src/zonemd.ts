// SPDX-License-Identifier: Apache-2.0
//
// A digest over a zone as a whole (RFC 8976), by the one scheme there is: SIMPLE, all records in
// canonical order. Left out are what is not below the origin, doubles, and at the apex ZONEMD
// itself with its signatures.

import { createHash } from "node:crypto";
import { RRClass, RRType } from "./constants.ts";
import { canonicalRdata } from "./dnssec/canonical.ts";
import { canonicalKey, equalNames, isSubdomain, lowerName } from "./name.ts";
import type { ZoneRecord } from "./zone-record.ts";

/** Hash algorithms of ZONEMD (RFC 8976 §5.3). */
export const ZonemdHash = { sha384: 1, sha512: 2 } as const;
export type ZonemdHash = (typeof ZonemdHash)[keyof typeof ZonemdHash];

/**
 * What the digests at a zone's apex say (RFC 8976 §4): there are none; one is right; or none is,
 * because all are of another serial, of schemes or algorithms unknown here, or of another content.
 */
export type ZonemdVerdict = "absent" | "verified" | "serial" | "unsupported" | "digest";

type DigestedRecord = Pick<ZoneRecord, "owner" | "type" | "ttl" | "rdata">;

interface SortedRecord {
  readonly order: string;
  readonly owner: Uint8Array;
  readonly type: number;
  readonly ttl: number;
  readonly rdata: Uint8Array;
}

const SCHEME_SIMPLE = 1;
const nodeNames: Readonly<Record<ZonemdHash, string>> = { 1: "sha384", 2: "sha512" };
const digestBytes: Readonly<Record<ZonemdHash, number>> = { 1: 48, 2: 64 };
/** Serial, scheme, algorithm. */
const HEAD_BYTES = 6;
/** Type, class, TTL, length of rdata. */
const FIXED_BYTES = 10;
/** Bytes from an SOA's serial to its end. */
const SERIAL_BYTES_BEFORE_END = 20;

/** The digest of a zone, its records in any order. Sorts them: O(n log n), with about 200 bytes for each. */
export function zoneDigest(
  origin: Uint8Array,
  records: Iterable<DigestedRecord>,
  algorithm: ZonemdHash,
): Uint8Array {
  const hash = createHash(nodeNames[algorithm]);
  let last: SortedRecord | undefined;
  for (const record of sortedRecords(origin, records)) {
    if (last !== undefined && compareRecords(last, record) === 0) continue;
    last = record;
    const { owner, type, ttl, rdata } = record;
    const head = Buffer.allocUnsafe(owner.length + FIXED_BYTES);
    head.set(owner);
    head.writeUInt16BE(type, owner.length);
    head.writeUInt16BE(RRClass.IN, owner.length + 2);
    head.writeUInt32BE(ttl, owner.length + 4);
    head.writeUInt16BE(rdata.length, owner.length + 8);
    hash.update(head).update(rdata);
  }
  return hash.digest();
}

/** Rdata of the ZONEMD that says a digest; `serial` is that of the zone's SOA. */
export function zonemdRdata(serial: number, algorithm: ZonemdHash, digest: Uint8Array): Uint8Array {
  const rdata = new Uint8Array(HEAD_BYTES + digest.length);
  new DataView(rdata.buffer).setUint32(0, serial);
  rdata.set([SCHEME_SIMPLE, algorithm], 4);
  rdata.set(digest, HEAD_BYTES);
  return rdata;
}

/** Compares a zone with the digests at its apex. Signatures are not looked at. */
export function verifyZonemd(
  origin: Uint8Array,
  records: readonly DigestedRecord[],
): ZonemdVerdict {
  const atApex = records.filter(({ owner }) => equalNames(owner, origin));
  const digests = atApex.filter(({ type }) => type === RRType.ZONEMD).map(({ rdata }) => rdata);
  if (digests.length === 0) return "absent";
  const soa = atApex.find(({ type }) => type === RRType.SOA)?.rdata;
  if (soa === undefined || soa.length < SERIAL_BYTES_BEFORE_END) return "serial";
  const serial = viewOf(soa).getUint32(soa.length - SERIAL_BYTES_BEFORE_END);
  const ofSerial = digests.filter(
    (rdata) => rdata.length > HEAD_BYTES && viewOf(rdata).getUint32(0) === serial,
  );
  if (ofSerial.length === 0) return "serial";
  let verdict: ZonemdVerdict = "unsupported";
  for (const algorithm of Object.values(ZonemdHash)) {
    const [digest, another] = ofSerial.filter(
      (rdata) => rdata[4] === SCHEME_SIMPLE && rdata[5] === algorithm,
    );
    // RFC 8976 §4: where two are of one scheme and algorithm neither counts.
    if (digest === undefined || another !== undefined) continue;
    verdict = "digest";
    if (digest.length !== HEAD_BYTES + digestBytes[algorithm]) continue;
    const found = zoneDigest(origin, records, algorithm);
    if (Buffer.compare(found, digest.subarray(HEAD_BYTES)) === 0) return "verified";
  }
  return verdict;
}

function sortedRecords(origin: Uint8Array, records: Iterable<DigestedRecord>): SortedRecord[] {
  const sorted: SortedRecord[] = [];
  let lastOwner: Uint8Array | undefined;
  let owner: Uint8Array = origin;
  let order = "";
  let isApex = false;
  for (const record of records) {
    const { type, ttl, rdata } = record;
    if (record.owner !== lastOwner) {
      lastOwner = record.owner;
      isApex = equalNames(lastOwner, origin);
      owner = lowerName(lastOwner);
      order = canonicalKey(owner);
    }
    if (!isSubdomain(owner, origin) || (isApex && isOfZonemd(type, rdata))) continue;
    sorted.push({ order, owner, type, ttl, rdata: canonicalRdata(type, rdata) });
  }
  return sorted.sort(compareRecords);
}

function isOfZonemd(type: number, rdata: Uint8Array): boolean {
  const covered = type === RRType.RRSIG && rdata.length > 1 ? viewOf(rdata).getUint16(0) : type;
  return covered === RRType.ZONEMD;
}

function compareRecords(a: SortedRecord, b: SortedRecord): number {
  if (a.order !== b.order) return a.order < b.order ? -1 : 1;
  return a.type - b.type || Buffer.compare(a.rdata, b.rdata);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
