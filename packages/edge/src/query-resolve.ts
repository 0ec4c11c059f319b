// SPDX-License-Identifier: Apache-2.0

// The answer stage: RFC 1034 §4.3.2 over zones that hold everything the algorithm asks for.
//
//   find zone ─► find name ─┬─ exact, wildcard ─► set | bound set | CNAME ─► next name | NODATA
//                           ├─ DNAME ─► CNAME made from it ─► next name
//                           ├─ delegation ─► referral
//                           └─ nothing ─► NXDOMAIN
//
// A chain goes on while its next name lies in a served zone, at most CHAIN_STEPS_MAX names, and never asks a name twice. With signatures it
// ends, too, where two zones would prove something by records of one name (shared-owner.ts).

import {
  Found,
  NodeFlag,
  boundTypeBit,
  BoundType,
  type LoadedZone,
  type NamesChunk,
} from "@meridian/snapshot";
import { ExtendedError, Rcode, RRType } from "@meridian/dns";
import { isHidden } from "./query-access.ts";
import { answerBound } from "./query-bound.ts";
import { follow, negative, NEXT, writeSet } from "./query-records.ts";
import { Section } from "./response-writer.ts";
import type { QueryState } from "./query-state.ts";

/** Names of one chain of CNAME and DNAME. */
export const CHAIN_STEPS_MAX = 8;
const RR_HEADER_BYTES = 4;
/** Bytes of a node before its sets. */
const NODE_HEADER_BYTES = 8;
const NO_CUT = 0xff;
const NAME_BYTES_MAX = 255;
/** Seconds that a client may keep the answer to ANY. */
const ANY_TTL = 3600;
const anyRdata = Uint8Array.from([7, ...Buffer.from("RFC8482"), 0]);

/** State of one chain, made once a worker. */
export class Chain {
  readonly hashes: Int32Array = new Int32Array(CHAIN_STEPS_MAX + 1);
  readonly dnames: Int32Array = new Int32Array(CHAIN_STEPS_MAX + 1);
  readonly target: Uint8Array = new Uint8Array(NAME_BYTES_MAX + 1);
  length: number = 0;
  dnameCount: number = 0;
}

/** Writes answer, authority and additional sections of a query in class IN; returns the rcode. */
export function resolve(query: QueryState, chain: Chain): number {
  const { name } = query.served;
  chain.length = 0;
  chain.dnameCount = 0;
  for (let step = 0; ; step++) {
    const zone = zoneOf(query);
    if (zone === undefined) return step === 0 ? refuse(query) : Rcode.NOERROR;
    // Whether the first one may be asked is looked at before.
    if (step > 0 && isHidden(query, zone)) return Rcode.NOERROR;
    if (step > 0 && query.signer !== null && !query.signer.mayFollow(zone)) return Rcode.NOERROR;
    if (step === 0) query.zoneIndex = zone.index;
    if (zone.isSecondary && query.nowSeconds >= zone.expiresSeconds) return tooOld(query, step);
    if (query.signer !== null) query.signer.enter(zone);
    chain.hashes[step] = name.hashes[0]!;
    chain.length = step + 1;
    const rcode = resolveOne(query, chain, zone);
    if (rcode !== NEXT) return rcode;
    if (query.response.isTruncated || step + 1 >= CHAIN_STEPS_MAX || isVisited(query, chain))
      return Rcode.NOERROR;
  }
}

/** DS lives above the delegation, so at an apex it is asked of the parent zone if that is served (RFC 4035 §3.1.4.1). */
function zoneOf(query: QueryState): LoadedZone | undefined {
  const { zones } = query;
  const { name } = query.served;
  const zone = zones.find(name, 0);
  if (
    query.message.type !== RRType.DS ||
    zone === undefined ||
    zone.originLabels !== name.labelCount
  )
    return zone;
  return name.labelCount === 0 ? zone : (zones.find(name, 1) ?? zone);
}

/** Whether the name asked lies in a zone that may not be shown to who asks; then the answer says so. */
export function isProhibited(query: QueryState): boolean {
  const zone = zoneOf(query);
  if (zone === undefined || !isHidden(query, zone)) return false;
  query.ede = ExtendedError.PROHIBITED;
  query.zoneIndex = zone.index;
  return true;
}

function refuse(query: QueryState): number {
  query.ede = ExtendedError.NOT_AUTHORITATIVE;
  return Rcode.REFUSED;
}

/** RFC 1035 §3.3.13: what its primary has not confirmed for so long, or never sent, is not answered from. */
function tooOld(query: QueryState, step: number): number {
  if (step > 0) return Rcode.NOERROR;
  query.ede = ExtendedError.INVALID_DATA;
  return Rcode.SERVFAIL;
}

function isVisited(query: QueryState, chain: Chain): boolean {
  const hash = query.served.name.hashes[0]!;
  for (let step = 0; step < chain.length; step++) {
    if (chain.hashes[step] === hash) return true;
  }
  return false;
}

function resolveOne(query: QueryState, chain: Chain, zone: LoadedZone): number {
  const { lookup, message } = query;
  switch (lookup.find(zone, query.served.name, message.type === RRType.DS)) {
    case Found.exact:
    case Found.wildcard:
      query.isAuthoritative = true;
      return answerNode(query, zone);
    case Found.dname:
      query.isAuthoritative = true;
      return answerDname(query, chain, zone);
    case Found.delegation:
      // AA speaks of the first name of a chain (RFC 1035 §4.1.1): it stays where a chain led here.
      return refer(query, zone);
    default:
      query.isAuthoritative = true;
      return negative(query, zone, Rcode.NXDOMAIN, zone.negativeTtl);
  }
}

function answerNode(query: QueryState, zone: LoadedZone): number {
  const { lookup, message } = query;
  const flags = lookup.flags;
  const type = message.type;
  const set = lookup.set(type);
  if (set >= 0) {
    writeSet(query, zone, lookup.chunk!, set, Section.answer, type, 0);
    return Rcode.NOERROR;
  }
  if ((flags & NodeFlag.isBound) !== 0) {
    let bound = lookup.boundSet(boundTypeBit(type));
    // A name bound as an alias answers every type with it, as a CNAME does.
    if (bound < 0 && type !== RRType.ANY) bound = lookup.boundSet(BoundType.cname);
    if (bound >= 0) return answerBound(query, zone, bound);
  }
  if ((flags & NodeFlag.hasCname) !== 0) {
    const cname = lookup.set(RRType.CNAME);
    const isWritten = writeSet(query, zone, lookup.chunk!, cname, Section.answer, RRType.CNAME, 0);
    return isWritten && type !== RRType.ANY
      ? followSet(query, zone, lookup.chunk!, cname)
      : Rcode.NOERROR;
  }
  if (type === RRType.ANY && lookup.chunk!.bytes[lookup.node + 2]! > 0)
    return query.signer === null || query.signer.signsAnything
      ? answerAny(query)
      : answerFirst(query, zone);
  return negative(query, zone, Rcode.NOERROR, zone.negativeTtl);
}

/** RFC 8482 §4.2: a synthesised HINFO in place of everything the name has. */
function answerAny(query: QueryState): number {
  const { response } = query;
  response.beginSet(Section.answer);
  const owner = query.served.name.messageOffsets[0]!;
  if (!response.beginRecord(owner, RRType.HINFO, ANY_TTL, anyRdata.length)) return Rcode.NOERROR;
  response.copy(anyRdata, 0, anyRdata.length);
  response.endRecord();
  response.commitSet();
  return Rcode.NOERROR;
}

/** RFC 8482 §4.1: one set of what the name has, with the signatures that it has. */
function answerFirst(query: QueryState, zone: LoadedZone): number {
  const { lookup } = query;
  const chunk = lookup.chunk!;
  const first = lookup.node + NODE_HEADER_BYTES;
  const type = chunk.words[first >>> 2]! & 0xffff;
  writeSet(query, zone, chunk, first, Section.answer, type, 0);
  return Rcode.NOERROR;
}

/** Makes the target of the CNAME just written the name to resolve. */
function followSet(query: QueryState, zone: LoadedZone, chunk: NamesChunk, set: number): number {
  const record = chunk.nodesBase + chunk.words[(set >>> 2) + 2]!;
  const { bytes } = chunk;
  const length = bytes[record]! | (bytes[record + 1]! << 8);
  const data = record + RR_HEADER_BYTES;
  return follow(query, zone, bytes, data, length, bytes[record + 2] !== NO_CUT);
}

/** RFC 6672 §3.2: the DNAME itself, and a CNAME from the name to where it leads. */
function answerDname(query: QueryState, chain: Chain, zone: LoadedZone): number {
  const { lookup, response } = query;
  const { name } = query.served;
  const chunk = lookup.chunk!;
  const set = lookup.set(RRType.DNAME);
  const ttl = chunk.words[(set >>> 2) + 1]!;
  const record = chunk.nodesBase + chunk.words[(set >>> 2) + 2]! + RR_HEADER_BYTES;
  const keptBytes = name.starts[lookup.label]!;
  if (!isDnameWritten(chain, name.hashes[lookup.label]!)) {
    if (!writeSet(query, zone, chunk, set, Section.answer, RRType.DNAME, lookup.label))
      return Rcode.NOERROR;
  }
  const targetBytes =
    chunk.bytes[record - RR_HEADER_BYTES]! | (chunk.bytes[record - RR_HEADER_BYTES + 1]! << 8);
  const length = keptBytes + targetBytes;
  if (length > NAME_BYTES_MAX) return Rcode.YXDOMAIN;
  const { target } = chain;
  for (let index = 0; index < keptBytes; index++) target[index] = name.bytes[index]!;
  for (let index = 0; index < targetBytes; index++)
    target[keptBytes + index] = chunk.bytes[record + index]!;
  response.beginSet(Section.answer);
  if (!response.beginRecord(name.messageOffsets[0]!, RRType.CNAME, ttl, length))
    return Rcode.NOERROR;
  response.copy(target, 0, length);
  response.endRecord();
  response.commitSet();
  return follow(query, zone, target, 0, length, false);
}

/** Two names below one DNAME share its record (an RRset is in a section once). */
function isDnameWritten(chain: Chain, hash: number): boolean {
  for (let index = 0; index < chain.dnameCount; index++) {
    if (chain.dnames[index] === hash) return true;
  }
  chain.dnames[chain.dnameCount] = hash;
  chain.dnameCount += 1;
  return false;
}

/** RFC 1034 §4.3.2 step 3b: the cut's name servers, and their addresses as far as this zone holds them. */
function refer(query: QueryState, zone: LoadedZone): number {
  const { lookup } = query;
  const chunk = lookup.chunk!;
  const set = lookup.set(RRType.NS);
  if (!writeSet(query, zone, chunk, set, Section.authority, RRType.NS, lookup.label))
    return Rcode.NOERROR;
  if (query.signer !== null) query.signer.delegate();
  let record = chunk.nodesBase + chunk.words[(set >>> 2) + 2]!;
  const count = query.response.rdataCount;
  for (let server = 0; server < count; server++) {
    const length = chunk.bytes[record]! | (chunk.bytes[record + 1]! << 8);
    const offset = query.response.rdataOffsets[server]!;
    // Glue for a name server below the cut is not optional: TC where it does not fit (RFC 9471 §3.1).
    if (!writeGlue(query, zone, chunk.bytes, record + RR_HEADER_BYTES, length, offset))
      return Rcode.NOERROR;
    record += RR_HEADER_BYTES + length;
  }
  return Rcode.NOERROR;
}

function writeGlue(
  query: QueryState,
  zone: LoadedZone,
  bytes: Uint8Array,
  at: number,
  length: number,
  owner: number,
): boolean {
  const { otherLookup, response } = query;
  const { otherName } = query.served;
  otherName.set(bytes, at, at + length, owner);
  if (!zone.contains(otherName) || !otherLookup.findExact(zone, otherName)) return true;
  return (
    writeAddresses(otherLookup.chunk!, otherLookup.set(RRType.A), RRType.A, owner, response) &&
    writeAddresses(otherLookup.chunk!, otherLookup.set(RRType.AAAA), RRType.AAAA, owner, response)
  );
}

function writeAddresses(
  chunk: NamesChunk,
  set: number,
  type: number,
  owner: number,
  response: QueryState["response"],
): boolean {
  if (set < 0) return true;
  const word = set >>> 2;
  const at = chunk.nodesBase + chunk.words[word + 2]!;
  const count = chunk.words[word]! >>> 16;
  return response.set(
    Section.additional,
    owner,
    type,
    chunk.words[word + 1]!,
    chunk.bytes,
    at,
    count,
    0,
    0,
  );
}
