// SPDX-License-Identifier: Apache-2.0

// Adds to a response what a zone that was signed elsewhere has for it: behind each set its RRSIGs, and where something is not there, the
// records of the zone's own chain that prove it (RFC 4035 §3.1, RFC 5155 §7.2). Zones that are signed here, in the same alias chain perhaps, are
// left to their own signer.

import { RRType, Rcode } from "@meridian/dns";
import { NodeFlag, findSet, nameStart, type LoadedZone, type NamesChunk } from "@meridian/snapshot";
import { isWildcard } from "../dnssec/found-wildcard.ts";
import { sharesOwner } from "../dnssec/shared-owner.ts";
import { WrittenProofs } from "../dnssec/written-proofs.ts";
import { writeSet } from "../query-records.ts";
import type { QuerySigner, QueryState } from "../query-state.ts";
import { Section, type ResponseWriter } from "../response-writer.ts";
import { HASH_LABEL_BYTES, writeHashLabel, type PresignedZone } from "./presigned-zone.ts";

const POINTER_BYTES = 2;
/** Type, class, TTL, rdata length. */
const FIXED_BYTES = 10;
const RR_HEADER_BYTES = 4;
const CLASS_IN = 1;
const NAME_BYTES_MAX = 255;
const WILDCARDS_MAX = 8;

/** A name that a wildcard stood for, to be proved not to exist. */
interface Expanded {
  readonly zone: PresignedZone;
  /** One label longer than the closest encloser, and at all; wire form. */
  readonly nextCloser: Uint8Array;
}

export class PresignedSigner implements QuerySigner {
  /** Of decided sets, which such a zone has none of. */
  originalTtl: number = -1;
  readonly #query: QueryState;
  readonly #zones: readonly (PresignedZone | undefined)[];
  readonly #others: QuerySigner | undefined;
  readonly #written = new WrittenProofs<PresignedZone>();
  readonly #label = new Uint8Array(HASH_LABEL_BYTES);
  #zone: PresignedZone | undefined;
  #expanded: Expanded[] = [];

  /** By index, the zones that were signed elsewhere; `others` signs the rest. */
  constructor(
    query: QueryState,
    zones: readonly (PresignedZone | undefined)[],
    others: QuerySigner | undefined,
  ) {
    this.#query = query;
    this.#zones = zones;
    this.#others = others;
  }

  get signsAnything(): boolean {
    return this.#zone === undefined;
  }

  /** For the next query. */
  begin(): void {
    this.#zone = undefined;
    this.#expanded = [];
    this.#written.clear();
  }

  mayFollow(next: LoadedZone): boolean {
    for (const { zone, nextCloser } of this.#expanded) {
      if (zone.hashed !== undefined) continue;
      const position = zone.floor(nextCloser, 0, nextCloser.length - zone.zone.origin.length);
      if (position >= 0 && sharesOwner(zone.zone, zone.order, position, next)) return false;
    }
    return this.#others?.mayFollow(next) ?? true;
  }

  enter(zone: LoadedZone): void {
    this.#zone = this.#zones[zone.index];
    this.originalTtl = -1;
    this.#others?.enter(zone);
  }

  /** The RRSIGs of the set from `from` on. False where they do not fit. */
  sign(response: ResponseWriter, section: number, from: number): boolean {
    const zone = this.#zone;
    if (zone === undefined) {
      if (this.#others === undefined) return true;
      this.#others.originalTtl = this.originalTtl;
      return this.#others.sign(response, section, from);
    }
    if (section === Section.additional) return true;
    const { lookup, served } = this.#query;
    const { name } = served;
    const type = response.outputView.getUint16(from + POINTER_BYTES);
    if (section === Section.authority && type === RRType.NS) return true;
    // Wherever the look-up ended, the SOA is the apex's.
    if (type === RRType.SOA)
      return this.#signAt(response, section, from, POINTER_BYTES, zone.apex.chunk, zone.apex.node);
    const isOwn = response.outputView.getUint16(from) === (0xc000 | (name.messageOffsets[0] ?? 0));
    if (isOwn && lookup.label !== 0) {
      if (isWildcard(zone.zone, lookup, name)) this.#noteExpanded(zone);
      // A CNAME that was made from a DNAME is not signed (RFC 6672 §5.3.1).
      else if (type === RRType.CNAME && (lookup.flags & NodeFlag.hasDname) !== 0) return true;
    }
    const { chunk } = lookup;
    return (
      chunk === undefined ||
      this.#signAt(response, section, from, POINTER_BYTES, chunk, lookup.node)
    );
  }

  /** What other data of a name are not there by (RFC 4035 §3.1) is in its own data. */
  answerOwn(rcode: number): number {
    return this.#zone === undefined ? (this.#others?.answerOwn(rcode) ?? -1) : -1;
  }

  /** Proof that something is not there, behind the SOA. Returns the rcode of the answer. */
  deny(rcode: number, ttl: number): number {
    const zone = this.#zone;
    if (zone === undefined) return this.#others?.deny(rcode, ttl) ?? rcode;
    if (this.#query.response.isTruncated) return rcode;
    this.#proveExpanded();
    const { lookup, served } = this.#query;
    const { name } = served;
    const { label } = lookup;
    if (zone.hashed !== undefined) {
      if (label === 0) this.#proveHashed(zone, 0);
      else this.#denyHashed(zone, label, rcode);
      return rcode;
    }
    const end = name.starts[name.labelCount - zone.zone.originLabels] ?? 0;
    this.#prove(zone, name.bytes, 0, end);
    if (label === 0) return rcode;
    const encloser = name.starts[label] ?? 0;
    const wildcard = Buffer.concat([Uint8Array.of(1, 0x2a), name.bytes.subarray(encloser, end)]);
    this.#prove(zone, wildcard, 0, wildcard.length);
    return rcode;
  }

  /** DS records of the delegation found, or proof that it has none. */
  delegate(): void {
    const zone = this.#zone;
    if (zone === undefined) {
      this.#others?.delegate();
      return;
    }
    const { lookup, response, served } = this.#query;
    if (response.isTruncated || lookup.chunk === undefined) return;
    this.#proveExpanded();
    const { name } = served;
    const { chunk, label } = lookup;
    const set = lookup.set(RRType.DS);
    if (set >= 0) {
      writeSet(this.#query, zone.zone, chunk, set, Section.authority, RRType.DS, label);
      return;
    }
    if (zone.hashed !== undefined) {
      this.#proveHashed(zone, label);
      return;
    }
    const end = name.starts[name.labelCount - zone.zone.originLabels] ?? 0;
    const start = name.starts[label] ?? 0;
    this.#prove(zone, name.bytes, start, end - start);
  }

  /** What is left to prove when all else is written. */
  finish(): void {
    if (!this.#query.response.isTruncated) this.#proveExpanded();
  }

  #noteExpanded(zone: PresignedZone): void {
    const { lookup, served } = this.#query;
    const { name } = served;
    const nextCloser = name.bytes.slice(name.starts[lookup.label - 1] ?? 0, name.length);
    const isNoted = this.#expanded.some(
      (each) => Buffer.compare(each.nextCloser, nextCloser) === 0,
    );
    if (!isNoted && this.#expanded.length < WILDCARDS_MAX)
      this.#expanded.push({ zone, nextCloser });
  }

  #proveExpanded(): void {
    for (const { zone, nextCloser } of this.#expanded.splice(0)) {
      if (zone.hashed === undefined)
        this.#prove(zone, nextCloser, 0, nextCloser.length - zone.zone.origin.length);
      else this.#proveHash(zone, nextCloser);
    }
  }

  /** RFC 5155 §7.2.1–2, §7.2.5: the closest encloser, that the name one label longer is not there, and what there is of the wildcard. */
  #denyHashed(zone: PresignedZone, label: number, rcode: number): void {
    const { name } = this.#query.served;
    const provable = this.#proveEncloser(zone, label);
    const start = name.starts[provable] ?? 0;
    const wildcard = Buffer.concat([
      Uint8Array.of(1, 0x2a),
      name.bytes.subarray(start, name.length),
    ]);
    // Of a name that is in a gap of the chain (opt-out) nothing more can be said.
    if (provable === label || rcode === Rcode.NXDOMAIN) this.#proveHash(zone, wildcard);
  }

  /** The name from label `label` on: that it has no more types than its record says; where the chain leaves it out, its closest encloser. */
  #proveHashed(zone: PresignedZone, label: number): void {
    const { name } = this.#query.served;
    const own = name.bytes.subarray(name.starts[label] ?? 0, name.length);
    if (this.#findHash(zone, own)) this.#proveHash(zone, own);
    else this.#proveEncloser(zone, label + 1);
  }

  /** The closest encloser that has a record, from label `label` up, and that the name one label longer has none; returns its label. */
  #proveEncloser(zone: PresignedZone, label: number): number {
    const { name } = this.#query.served;
    const apexLabel = name.labelCount - zone.zone.originLabels;
    const from = (at: number): Uint8Array => name.bytes.subarray(name.starts[at] ?? 0, name.length);
    let provable = Math.min(label, apexLabel);
    while (provable < apexLabel && !this.#findHash(zone, from(provable))) provable += 1;
    this.#proveHash(zone, from(provable));
    if (provable > 0) this.#proveHash(zone, from(provable - 1));
    return provable;
  }

  /** Whether the chain has a record of the name itself. */
  #findHash(zone: PresignedZone, name: Uint8Array): boolean {
    if (zone.hashed === undefined) return false;
    writeHashLabel(name, zone.hashed, this.#label);
    const position = zone.floor(this.#label, 0, HASH_LABEL_BYTES);
    return position >= 0 && zone.order.isTarget(position);
  }

  #proveHash(zone: PresignedZone, name: Uint8Array): void {
    if (zone.hashed === undefined) return;
    writeHashLabel(name, zone.hashed, this.#label);
    this.#prove(zone, this.#label, 0, HASH_LABEL_BYTES);
  }

  /** Writes the record of the last name at or before a relative one, unless the response has it. */
  #prove(zone: PresignedZone, bytes: Uint8Array, start: number, length: number): void {
    const position = zone.floor(bytes, start, length);
    if (position < 0 || this.#written.has(zone, position)) return;
    const { response, served } = this.#query;
    if (response.isTruncated) return;
    const begin = response.at;
    const chunk = zone.order.chunkAt(position);
    const node = zone.order.nodeAt(position);
    const type = zone.hashed === undefined ? RRType.NSEC : RRType.NSEC3;
    const relativeBytes = chunk.bytes[node + 1] ?? 0;
    const { origin } = zone.zone;
    if (response.at + relativeBytes + NAME_BYTES_MAX > response.end) return this.#cutOff(begin);
    response.copy(chunk.bytes, nameStart(chunk.bytes, node), relativeBytes);
    const { name } = served;
    // Of an earlier name of the chain the message may have no place.
    if (zone.zone.contains(name))
      response.pointer(name.messageOffsets[name.labelCount - zone.zone.originLabels] ?? 0);
    else response.copy(origin, 0, origin.length);
    const ownerBytes = response.at - begin;
    const isWhole =
      this.#writeOne(chunk, node, type, begin) &&
      this.#signAt(response, Section.authority, begin, ownerBytes, chunk, node);
    if (!isWhole) this.#cutOff(begin);
  }

  /** The one record of its type at a node, behind its owner. */
  #writeOne(chunk: NamesChunk, node: number, type: number, begin: number): boolean {
    const { response } = this.#query;
    const set = findSet(chunk, node, type);
    if (set < 0) return false;
    const word = set >>> 2;
    const at = chunk.nodesBase + (chunk.words[word + 2] ?? 0);
    const rdataBytes = (chunk.bytes[at] ?? 0) | ((chunk.bytes[at + 1] ?? 0) << 8);
    if (response.at + FIXED_BYTES + rdataBytes > response.end || begin > response.at) return false;
    this.#writeFixed(type, chunk.words[word + 1] ?? 0, rdataBytes);
    response.copy(chunk.bytes, at + RR_HEADER_BYTES, rdataBytes);
    response.counts[Section.authority] = (response.counts[Section.authority] ?? 0) + 1;
    return true;
  }

  #writeFixed(type: number, ttl: number, rdataBytes: number): void {
    const { response } = this.#query;
    response.u16(type);
    response.u16(CLASS_IN);
    response.u16(ttl >>> 16);
    response.u16(ttl & 0xffff);
    response.u16(rdataBytes);
  }

  /** The signatures at a node that cover the set from `from` on. */
  #signAt(
    response: ResponseWriter,
    section: number,
    from: number,
    ownerBytes: number,
    chunk: NamesChunk,
    node: number,
  ): boolean {
    const set = findSet(chunk, node, RRType.RRSIG);
    if (set < 0) return true;
    const { outputView } = response;
    const covered = outputView.getUint16(from + ownerBytes);
    const ttl = outputView.getUint32(from + ownerBytes + 4);
    const owner =
      ownerBytes === POINTER_BYTES ? outputView.getUint16(from) : 0xc000 | (from - response.start);
    const word = set >>> 2;
    const count = (chunk.words[word] ?? 0) >>> 16;
    const { bytes } = chunk;
    let at = chunk.nodesBase + (chunk.words[word + 2] ?? 0);
    for (let index = 0; index < count; index += 1) {
      const rdataBytes = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
      const data = at + RR_HEADER_BYTES;
      at = data + rdataBytes;
      if ((((bytes[data] ?? 0) << 8) | (bytes[data + 1] ?? 0)) !== covered) continue;
      if (response.at + POINTER_BYTES + FIXED_BYTES + rdataBytes > response.end) return false;
      response.u16(owner);
      // RFC 4034 §3: its TTL is that of the set that it covers.
      this.#writeFixed(RRType.RRSIG, ttl, rdataBytes);
      response.copy(bytes, data, rdataBytes);
      response.counts[section] = (response.counts[section] ?? 0) + 1;
    }
    return true;
  }

  #cutOff(start: number): void {
    const { response } = this.#query;
    response.at = start;
    response.isTruncated = true;
  }
}
