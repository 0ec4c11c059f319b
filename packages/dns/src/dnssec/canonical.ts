// SPDX-License-Identifier: Apache-2.0
//
// Canonical form (RFC 4034 §6, as RFC 6840 §5.1 corrects it): what a signature is made over.
//
//     RRSIG rdata without its signature, signer in lower case
//     for each record, in the order of its rdata as bytes, doubles left out:
//       owner in lower case | type | class | original TTL | length | rdata
//
// The order leaves nothing to the order in which a server shows a set, so that all orders of an
// answer share one signature.

import { ByteWriter } from "../byte-writer.ts";
import { RRClass, RRType } from "../constants.ts";
import { labelStarts, lowerByte, lowerName, nameLength, wildcardOf } from "../name.ts";

/** A set of records of class IN that is signed as one: rdata uncompressed, in any order. */
export interface Rrset {
  readonly owner: Uint8Array;
  readonly type: number;
  /** Seconds: the TTL that its signature covers. */
  readonly ttl: number;
  readonly rdatas: readonly Uint8Array[];
}

/** A message's worth of records and their framing; nothing longer can be answered anyway. */
const CANONICAL_BYTES_MAX = 1_048_576;
/** Type covered, algorithm, labels, original TTL, expiration, inception, key tag. */
export const RRSIG_FIXED_BYTES = 18;

/** Where a type's names lie: after `skip` fixed bytes and `strings` character-strings. */
interface NamesAt {
  readonly skip: number;
  readonly strings: number;
  readonly count: number;
}

const at = (skip: number, count: number, strings: number = 0): NamesAt => ({
  skip,
  strings,
  count,
});

/**
 * Types whose names are lower-cased (RFC 4034 §6.2 with RFC 6840 §5.1: not NSEC, not HINFO).
 * Written by number are those without use today: MD, MF, MB, MG, MR, MINFO, RT, PX, KX.
 */
const lowered: ReadonlyMap<number, NamesAt> = new Map([
  [RRType.NS, at(0, 1)],
  [3, at(0, 1)],
  [4, at(0, 1)],
  [RRType.CNAME, at(0, 1)],
  [RRType.SOA, at(0, 2)],
  [7, at(0, 1)],
  [8, at(0, 1)],
  [9, at(0, 1)],
  [RRType.PTR, at(0, 1)],
  [14, at(0, 2)],
  [RRType.MX, at(2, 1)],
  [RRType.RP, at(0, 2)],
  [RRType.AFSDB, at(2, 1)],
  [21, at(2, 1)],
  [RRType.SIG, at(RRSIG_FIXED_BYTES, 1)],
  [26, at(2, 2)],
  [RRType.NXT, at(0, 1)],
  [RRType.SRV, at(6, 1)],
  [RRType.NAPTR, at(4, 1, 3)],
  [36, at(2, 1)],
  [RRType.DNAME, at(0, 1)],
  [RRType.RRSIG, at(RRSIG_FIXED_BYTES, 1)],
]);

/** The rdata with its names in lower case where the type wants that; else the very same array. */
export function canonicalRdata(type: number, rdata: Uint8Array): Uint8Array {
  const names = lowered.get(type);
  if (names === undefined) {
    return rdata;
  }
  const [start, end] = namesRange(names, rdata);
  const canonical = Uint8Array.from(rdata);
  for (let i = start; i < end; i++) {
    canonical[i] = lowerByte(rdata[i]!);
  }
  return canonical;
}

/** Canonical rdata of a set in canonical order, doubles left out (RFC 4034 §6.3). */
export function canonicalRdatas(type: number, rdatas: readonly Uint8Array[]): Uint8Array[] {
  const sorted = rdatas.map((rdata) => canonicalRdata(type, rdata)).toSorted(compareBytes);
  return sorted.filter((rdata, i) => i === 0 || compareBytes(sorted[i - 1]!, rdata) !== 0);
}

/**
 * The bytes that a signature over the set covers. `head` is RRSIG rdata up to where its signature
 * begins. Undefined for a set too large to sign, or a head with more labels than the owner has.
 */
export function signedBytes(head: Uint8Array, rrset: Rrset): Uint8Array | undefined {
  const owner = signedOwner(rrset.owner, head[3] ?? 0);
  if (owner === undefined) {
    return undefined;
  }
  const ttl = new DataView(head.buffer, head.byteOffset).getUint32(4);
  const writer = new ByteWriter(CANONICAL_BYTES_MAX, 512);
  writer.bytes(canonicalRdata(RRType.RRSIG, head));
  for (const rdata of canonicalRdatas(rrset.type, rrset.rdatas)) {
    writer.bytes(owner);
    writer.u16(rrset.type);
    writer.u16(RRClass.IN);
    writer.u32(ttl);
    writer.u16(rdata.length);
    writer.bytes(rdata);
  }
  return writer.overflowed ? undefined : writer.finish();
}

/** Labels of an owner as RRSIG counts them: neither the root nor an asterisk (RFC 4034 §3.1.3). */
export function signedLabels(owner: Uint8Array): number {
  const labels = labelStarts(owner).length;
  return owner[0] === 1 && owner[1] === 0x2a ? labels - 1 : labels;
}

/** The owner that was signed: a wildcard where the signature has fewer labels (RFC 4035 §5.3.2). */
function signedOwner(owner: Uint8Array, labels: number): Uint8Array | undefined {
  const starts = labelStarts(owner);
  const own = signedLabels(owner);
  if (labels >= own) {
    return labels === own ? lowerName(owner) : undefined;
  }
  const from = starts[starts.length - labels] ?? owner.length - 1;
  return wildcardOf(lowerName(owner.subarray(from)));
}

function namesRange({ skip, strings, count }: NamesAt, rdata: Uint8Array): [number, number] {
  let start = skip;
  for (let i = 0; i < strings; i++) {
    start += 1 + (rdata[start] ?? 0);
  }
  let end = start;
  for (let i = 0; i < count; i++) {
    end += Math.max(0, nameLength(rdata, end));
  }
  return [start, Math.min(end, rdata.length)];
}

/** Orders by unsigned bytes, a beginning before what it begins (RFC 4034 §6.3). */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
