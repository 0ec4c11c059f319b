// SPDX-License-Identifier: Apache-2.0

import { Rcode, RRType } from "@meridian/dns";
import type { LoadedZone, NamesChunk } from "@meridian/snapshot";
import type { QueryState } from "./query-state.ts";
import { Section } from "./response-writer.ts";

/** What a step came to: an rcode, or that the chain goes on with `query.served.name`. */
export const NEXT = -1;

/** Writes the set at `set` of the node found, owned by label `label` of the name being resolved. */
export function writeSet(
  query: QueryState,
  zone: LoadedZone,
  chunk: NamesChunk,
  set: number,
  section: number,
  type: number,
  label: number,
): boolean {
  const { name } = query.served;
  const word = set >>> 2;
  return query.response.set(
    section,
    name.messageOffsets[label]!,
    type,
    chunk.words[word + 1]!,
    chunk.bytes,
    chunk.nodesBase + chunk.words[word + 2]!,
    chunk.words[word]! >>> 16,
    name.messageOffsets[name.labelCount - zone.originLabels]!,
    zone.origin.length,
  );
}

/**
 * Makes the name `bytes[at..at + length)`, whose record was written last, the one to resolve. `isCut` says that it was written with
 * its end replaced by a pointer to the zone's origin.
 */
export function follow(
  query: QueryState,
  zone: LoadedZone,
  bytes: Uint8Array,
  at: number,
  length: number,
  isCut: boolean,
): number {
  const { name } = query.served;
  const originOffset = name.messageOffsets[name.labelCount - zone.originLabels]!;
  // Only a section that was not written rightly holds no name here.
  if (name.set(bytes, at, at + length, query.response.rdataOffset) < 0) return Rcode.SERVFAIL;
  if (isCut) name.pointAt(name.labelCount - zone.originLabels, originOffset);
  return NEXT;
}

/** NODATA or NXDOMAIN: the SOA with the time for which absence may be remembered (RFC 2308 §3). */
export function negative(query: QueryState, zone: LoadedZone, rcode: number, ttl: number): number {
  if (!zone.hasSoa) return rcode;
  const { signer } = query;
  if (signer !== null) {
    const own = signer.answerOwn(rcode);
    if (own >= 0) return own;
  }
  const { name } = query.served;
  const origin = name.messageOffsets[name.labelCount - zone.originLabels]!;
  query.response.set(
    Section.authority,
    origin,
    RRType.SOA,
    ttl,
    zone.soaBytes,
    zone.soaOffset,
    1,
    origin,
    zone.origin.length,
  );
  return signer === null ? rcode : signer.deny(rcode, ttl);
}
