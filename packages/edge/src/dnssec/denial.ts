// SPDX-License-Identifier: Apache-2.0

// Proof that something is not there. With a chain of NSEC records (RFC 4035 §3.1.3) every proof is the record of the last name at or
// before one: of the name asked, and, where it does not exist, of the wildcard that might have stood for it. The chain is that of the
// zone's names and is the same as long as they are. Only where a policy answers with nothing (no healthy endpoint, or none of a
// family) the record of that name is made without the type asked.
//
// Compact denial (RFC 9824) says of each name alone, whatever it is, that it lies between itself and the name right behind it.

import { Rcode, RRType } from "@meridian/dns";
import { nameStart, NodeFlag, type CanonicalOrder, type NamesChunk } from "@meridian/snapshot";
import { writeSet } from "../query-records.ts";
import { Section } from "../response-writer.ts";
import { HashedDenial } from "./denial-hashed.ts";
import { isWildcard } from "./found-wildcard.ts";
import type { ResponseSigner } from "./response-signer.ts";
import type { SignedZone } from "./signed-zone.ts";
import { TypeList } from "./type-list.ts";
import { WrittenProofs } from "./written-proofs.ts";

const CLASS_IN = 1;
const NAME_BYTES_MAX = 255;
/** The type that says of a name that it does not exist (RFC 9824 §3.3). */
const TYPE_NXNAME = 128;
/** Type, class, TTL, rdata length. */
const FIXED_BYTES = 10;
const NO_TYPE = 0;

export class DenialWriter {
  readonly #signer: ResponseSigner;
  readonly #hashed: HashedDenial;
  readonly #types = new TypeList();
  readonly #wildcard = new Uint8Array(NAME_BYTES_MAX + 3);
  readonly #written = new WrittenProofs<CanonicalOrder>();

  constructor(signer: ResponseSigner) {
    this.#signer = signer;
    this.#hashed = new HashedDenial(signer);
  }

  begin(): void {
    this.#hashed.begin();
    this.#written.clear();
  }

  /** That the name asked, or its type, is not there; `ttl` is how long that may be remembered. */
  deny(rcode: number, ttl: number): number {
    const { query } = this.#signer;
    const { name } = query.served;
    const zone = this.#signer.zone!;
    const { lookup } = query;
    if (zone.isCompact) return this.#denyCompact(rcode, ttl);
    if (zone.hashed !== undefined) {
      this.#hashed.deny(ttl);
      return rcode;
    }
    const bytes = name.starts[name.labelCount - zone.zone.originLabels]!;
    const { type } = query.message;
    this.#prove(name.bytes, 0, bytes, type, ttl);
    if (lookup.label > 0) {
      const from = name.starts[lookup.label]!;
      this.#wildcard[0] = 1;
      this.#wildcard[1] = 0x2a;
      for (let at = from; at < bytes; at++) this.#wildcard[2 + at - from] = name.bytes[at]!;
      this.#prove(this.#wildcard, 0, 2 + bytes - from, type, ttl);
    }
    return rcode;
  }

  /** Answers with the NSEC of the name asked; false where it has none. */
  answerOwn(): boolean {
    const { query } = this.#signer;
    const { name } = query.served;
    const zone = this.#signer.zone!;
    const { negativeTtl, originLabels } = zone.zone;
    if (zone.hashed !== undefined) return false;
    if (zone.isCompact) {
      this.#listTypes(
        zone,
        query.lookup.chunk!,
        query.lookup.node,
        name.labelCount === originLabels,
      );
      this.#writeCompact(Section.answer, 0, negativeTtl);
      return true;
    }
    const position = zone.order!.floor(name.bytes, 0, name.starts[name.labelCount - originLabels]!);
    if (!zone.order!.isTarget(position)) return false;
    this.#writeChained(Section.answer, zone, position, NO_TYPE, negativeTtl);
    return true;
  }

  /** That a name which a wildcard stood for does not exist itself. */
  proveAbsent(bytes: Uint8Array, start: number, length: number): void {
    const zone = this.#signer.zone!;
    if (zone.hashed !== undefined) this.#hashed.proveAbsent(bytes, start, length);
    else if (!zone.isCompact) this.#prove(bytes, start, length, NO_TYPE, zone.zone.negativeTtl);
  }

  /** The DS records of the delegation found, or that it has none. */
  delegate(): void {
    const { query } = this.#signer;
    const zone = this.#signer.zone!;
    const { lookup } = query;
    const { name } = query.served;
    const set = lookup.set(RRType.DS);
    if (set >= 0) {
      const chunk = lookup.chunk!;
      writeSet(query, zone.zone, chunk, set, Section.authority, RRType.DS, lookup.label);
      return;
    }
    const { label } = lookup;
    if (zone.isCompact) {
      this.#types.clear();
      this.#types.addNode(lookup.chunk!, lookup.node);
      this.#writeCompact(Section.authority, label, zone.zone.negativeTtl);
      return;
    }
    if (zone.hashed !== undefined) {
      this.#hashed.proveUnsigned();
      return;
    }
    const from = name.starts[label]!;
    const end = name.starts[name.labelCount - zone.zone.originLabels]!;
    this.#prove(name.bytes, from, end - from, NO_TYPE, zone.zone.negativeTtl);
  }

  /** Writes the NSEC record of the last name at or before `bytes[start..start + length)`, unless the response has it. */
  #prove(bytes: Uint8Array, start: number, length: number, type: number, ttl: number): void {
    const zone = this.#signer.zone!;
    const order = zone.order!;
    const position = order.floor(bytes, start, length);
    const isAsked = type !== NO_TYPE && order.isTarget(position);
    if (this.#written.has(order, position)) return;
    this.#writeChained(Section.authority, zone, position, isAsked ? type : NO_TYPE, ttl);
  }

  /** The NSEC at a position of the chain; without a type that its name would have, for `ttl` then. */
  #writeChained(
    section: number,
    zone: SignedZone,
    position: number,
    lacked: number,
    ttl: number,
  ): void {
    const order = zone.order!;
    const chunk = order.chunkAt(position);
    const node = order.nodeAt(position);
    const isChanged = lacked !== NO_TYPE && (chunk.bytes[node]! & NodeFlag.isBound) !== 0;
    this.#listTypes(zone, chunk, node, position === 0);
    if (isChanged) {
      this.#types.remove(lacked);
      this.#types.remove(RRType.CNAME);
    }
    const next = (position + 1) % order.count;
    this.#writeNsec(
      section,
      chunk,
      node,
      order.chunkAt(next),
      order.nodeAt(next),
      isChanged ? ttl : zone.zone.negativeTtl,
    );
  }

  #listTypes(zone: SignedZone, chunk: NamesChunk, node: number, isApex: boolean): void {
    this.#types.clear();
    this.#types.addNode(chunk, node);
    if (isApex) for (const own of zone.apexTypes) this.#types.add(own);
  }

  #writeNsec(
    section: number,
    chunk: NamesChunk,
    node: number,
    nextChunk: NamesChunk,
    nextNode: number,
    ttl: number,
  ): void {
    const { response } = this.#signer.query;
    if (response.isTruncated) return;
    const zone = this.#signer.zone!.zone;
    const start = response.at;
    const relativeAt = nameStart(chunk.bytes, node);
    const relativeBytes = chunk.bytes[node + 1]!;
    const nextAt = nameStart(nextChunk.bytes, nextNode);
    const nextBytes = nextChunk.bytes[nextNode + 1]!;
    this.#endTypes();
    const rdataBytes = nextBytes + zone.origin.length + this.#types.bitmapBytes;
    const most = relativeBytes + zone.origin.length + 1 + FIXED_BYTES + rdataBytes;
    if (response.at + most > response.end) return this.#cutOff(start);
    response.copy(chunk.bytes, relativeAt, relativeBytes);
    this.#signer.writeOrigin();
    const ownerBytes = response.at - start;
    this.#writeFixed(ttl, rdataBytes);
    response.copy(nextChunk.bytes, nextAt, nextBytes);
    response.copy(zone.origin, 0, zone.origin.length);
    response.copy(this.#types.bitmap, 0, this.#types.bitmapBytes);
    response.counts[section]! += 1;
    const isSigned = this.#signer.signRelative(
      response,
      section,
      start,
      ownerBytes,
      chunk.bytes,
      relativeAt,
      relativeBytes,
    );
    if (isSigned) return;
    response.counts[section]! -= 1;
    this.#cutOff(start);
  }

  #denyCompact(rcode: number, ttl: number): number {
    const { query } = this.#signer;
    const { lookup, message, served } = query;
    const { zone } = this.#signer.zone!;
    const types = this.#types;
    types.clear();
    if (rcode === Rcode.NXDOMAIN) types.add(TYPE_NXNAME);
    else if (lookup.label === 0 || isWildcard(zone, lookup, served.name)) {
      types.addNode(lookup.chunk!, lookup.node);
      if ((lookup.flags & NodeFlag.isBound) !== 0) {
        types.remove(message.type);
        types.remove(RRType.CNAME);
      }
      if (served.name.labelCount === zone.originLabels)
        for (const own of this.#signer.zone!.apexTypes) types.add(own);
    }
    this.#writeCompact(Section.authority, 0, ttl);
    // A client that knows of compact answers gets the rcode besides (RFC 9824 §5).
    return rcode === Rcode.NXDOMAIN && !message.edns.isCompactOk ? Rcode.NOERROR : rcode;
  }

  /** NSEC from the name asked, from label `label` on, to the name right behind it. */
  #writeCompact(section: number, label: number, ttl: number): void {
    const { response, served } = this.#signer.query;
    if (response.isTruncated) return;
    const { name } = served;
    const start = response.at;
    const nameBytes = name.length - name.starts[label]!;
    this.#endTypes();
    // The name right behind one of 254 bytes or more would be too long: there is none below it then.
    const isLong = nameBytes + 2 > NAME_BYTES_MAX;
    const rdataBytes = (isLong ? 0 : 2) + nameBytes + this.#types.bitmapBytes;
    if (response.at + 2 + FIXED_BYTES + rdataBytes > response.end) return this.#cutOff(start);
    response.pointer(name.messageOffsets[label]!);
    this.#writeFixed(ttl, rdataBytes);
    if (!isLong) response.u16(0x0100);
    response.copy(name.bytes, name.starts[label]!, nameBytes);
    response.copy(this.#types.bitmap, 0, this.#types.bitmapBytes);
    response.counts[section]! += 1;
    if (this.#signer.signAs(response, section, start, 2, label, false, -1)) return;
    response.counts[section]! -= 1;
    this.#cutOff(start);
  }

  #endTypes(): void {
    this.#types.add(RRType.RRSIG);
    this.#types.add(RRType.NSEC);
    this.#types.encode();
  }

  #writeFixed(ttl: number, rdataBytes: number): void {
    const { response } = this.#signer.query;
    response.u16(RRType.NSEC);
    response.u16(CLASS_IN);
    response.u16(ttl >>> 16);
    response.u16(ttl);
    response.u16(rdataBytes);
  }

  #cutOff(start: number): void {
    const { response } = this.#signer.query;
    response.at = start;
    response.isTruncated = true;
  }
}
