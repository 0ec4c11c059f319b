// SPDX-License-Identifier: Apache-2.0

// Proof by NSEC3 records (RFC 5155 §7.2): as with NSEC records each one is that of the last name at or before another one, by their hashes.
// What is proved is the closest encloser, that the name one label longer does not exist, and what there is of the wildcard.

import { RRType } from "@meridian/dns";
import { NodeFlag, NSEC3_HASH_BYTES, type HashedOrder } from "@meridian/snapshot";
import { Section } from "../response-writer.ts";
import type { ResponseSigner } from "./response-signer.ts";
import { TypeList } from "./type-list.ts";
import { WrittenProofs } from "./written-proofs.ts";

const CLASS_IN = 1;
const NAME_BYTES_MAX = 255;
/** Type, class, TTL, rdata length. */
const FIXED_BYTES = 10;
/** Algorithm, flags, iterations, no salt, length of the hash, hash. */
const RDATA_FIXED_BYTES = 6 + NSEC3_HASH_BYTES;
const LABEL_BYTES = 32;
const DIGITS = Buffer.from("0123456789abcdefghijklmnopqrstuv");
const NO_TYPE = 0;

export class HashedDenial {
  readonly #signer: ResponseSigner;
  readonly #types = new TypeList();
  readonly #name = new Uint8Array(NAME_BYTES_MAX + 3);
  readonly #hash = new Uint8Array(NSEC3_HASH_BYTES);
  readonly #label = new Uint8Array(LABEL_BYTES + 1);
  readonly #written = new WrittenProofs<HashedOrder>();

  constructor(signer: ResponseSigner) {
    this.#signer = signer;
  }

  begin(): void {
    this.#written.clear();
  }

  /** That the name asked, or its type, is not there. */
  deny(ttl: number): void {
    const { lookup, message, served } = this.#signer.query;
    const { name } = served;
    const { label } = lookup;
    if (label === 0) {
      this.#prove(name.bytes, 0, name.length, false, message.type, ttl);
      return;
    }
    const encloser = name.starts[label]!;
    const nextCloser = name.starts[label - 1]!;
    this.#prove(name.bytes, encloser, name.length - encloser, false, NO_TYPE, ttl);
    this.#prove(name.bytes, nextCloser, name.length - nextCloser, false, NO_TYPE, ttl);
    this.#prove(name.bytes, encloser, name.length - encloser, true, message.type, ttl);
  }

  /** That the name relative to the zone does not exist, which a wildcard stood for; it is one label longer than its closest encloser. */
  proveAbsent(bytes: Uint8Array, start: number, length: number): void {
    const { origin } = this.#signer.zone!.zone;
    const name = new Uint8Array(length + origin.length);
    name.set(bytes.subarray(start, start + length));
    name.set(origin, length);
    this.#prove(name, 0, name.length, false, NO_TYPE, 0);
  }

  /** That the delegation found has no DS. */
  proveUnsigned(): void {
    const { lookup, served } = this.#signer.query;
    const start = served.name.starts[lookup.label]!;
    this.#prove(served.name.bytes, start, served.name.length - start, false, NO_TYPE, 0);
  }

  /** The record of the last hash at or before that of a name, behind an asterisk if wanted. */
  #prove(
    bytes: Uint8Array,
    start: number,
    length: number,
    isWildcard: boolean,
    type: number,
    ttl: number,
  ): void {
    const zone = this.#signer.zone!;
    const order = zone.hashed!;
    const name = this.#name;
    const shift = isWildcard ? 2 : 0;
    name[0] = 1;
    name[1] = 0x2a;
    for (let index = 0; index < length; index++) name[shift + index] = bytes[start + index]!;
    const position = order.floor(name.subarray(0, shift + length));
    if (this.#written.has(order, position)) return;
    const chunk = order.chunkAt(position);
    const node = order.nodeAt(position);
    const isBound = (chunk.bytes[node]! & NodeFlag.isBound) !== 0;
    const isChanged = type !== NO_TYPE && isBound && order.isTarget(position);
    this.#types.clear();
    this.#types.addNode(chunk, node);
    if (isChanged) {
      this.#types.remove(type);
      this.#types.remove(RRType.CNAME);
    }
    const isApex = chunk.bytes[node + 1] === 0;
    if (isApex) for (const own of zone.apexTypes) this.#types.add(own);
    const isCut = (chunk.bytes[node]! & NodeFlag.isCut) !== 0;
    // Of a delegation nothing but DS is signed, of an empty non-terminal nothing at all.
    if (isCut ? this.#types.has(RRType.DS) : chunk.bytes[node + 2]! > 0)
      this.#types.add(RRType.RRSIG);
    this.#types.encode();
    this.#write(order, position, isChanged ? ttl : zone.zone.negativeTtl);
  }

  #write(order: HashedOrder, position: number, ttl: number): void {
    const { response } = this.#signer.query;
    if (response.isTruncated) return;
    const start = response.at;
    const { bitmap, bitmapBytes } = this.#types;
    const rdataBytes = RDATA_FIXED_BYTES + bitmapBytes;
    const origin = this.#signer.zone!.zone.origin.length;
    if (start + 1 + LABEL_BYTES + origin + 1 + FIXED_BYTES + rdataBytes > response.end)
      return this.#cutOff(start);
    order.copyHash(position, this.#hash, 0);
    this.#writeLabel();
    response.copy(this.#label, 0, this.#label.length);
    this.#signer.writeOrigin();
    const ownerBytes = response.at - start;
    response.u16(RRType.NSEC3);
    response.u16(CLASS_IN);
    response.u16(ttl >>> 16);
    response.u16(ttl);
    response.u16(rdataBytes);
    response.u16(0x0100);
    response.u16(0);
    response.byte(0);
    response.byte(NSEC3_HASH_BYTES);
    order.copyHash((position + 1) % order.count, this.#hash, 0);
    response.copy(this.#hash, 0, NSEC3_HASH_BYTES);
    response.copy(bitmap, 0, bitmapBytes);
    response.counts[Section.authority]! += 1;
    const label = this.#label;
    if (
      this.#signer.signRelative(
        response,
        Section.authority,
        start,
        ownerBytes,
        label,
        0,
        label.length,
      )
    )
      return;
    response.counts[Section.authority]! -= 1;
    this.#cutOff(start);
  }

  /** The hash in base 32 with the extended alphabet, without padding (RFC 5155 §3.3): 160 bits are 32 digits. */
  #writeLabel(): void {
    const label = this.#label;
    label[0] = LABEL_BYTES;
    let bits = 0;
    let held = 0;
    let at = 1;
    for (const byte of this.#hash) {
      bits = ((bits << 8) | byte) & 0xfff;
      held += 8;
      for (; held >= 5; held -= 5) label[at++] = DIGITS[(bits >> (held - 5)) & 31]!;
    }
  }

  #cutOff(start: number): void {
    const { response } = this.#signer.query;
    response.at = start;
    response.isTruncated = true;
  }
}
