// SPDX-License-Identifier: Apache-2.0

// Records of a set as they lie in a response, read back: rdata with pointers followed, and a hash over all of them that does not depend
// on their order.

import { RRType } from "@meridian/dns";
import type { SignatureKey, SignatureTable } from "./signature-table.ts";

/** Owner pointer, type, class, TTL, rdata length. */
export const FIXED_BYTES = 12;
const RDATA_BYTES_MAX = 65_535;
const POINTERS_MAX = 16;
const MULTIPLIER_B = 0x85ebca6b | 0;
const MULTIPLIER_C = 0xc2b2ae35 | 0;

export class SetBytes {
  readonly #scratch = new Uint8Array(RDATA_BYTES_MAX + 512);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  #a = 0;
  #b = 0;
  #c = 0;
  /** Odd, and known to nobody else. */
  #multiplierA = 1;
  #multiplierB = 1;
  #multiplierC = 1;

  /**
   * Fills in what a signature is found by. The records begin at `from`, each with an owner of `ownerBytes`; what is signed is the name
   * `owner[ownerStart..ownerStart + ownerLength)`. `view` is of the whole of `message`.
   */
  hash(
    key: SignatureKey,
    table: SignatureTable,
    message: Uint8Array,
    view: DataView,
    start: number,
    from: number,
    end: number,
    ownerBytes: number,
    owner: DataView,
    ownerStart: number,
    ownerLength: number,
    originalTtl: number,
    keyHash: number,
  ): void {
    const type = view.getUint16(from + ownerBytes);
    const isExpanded = hasNames(type);
    let sumA = 0;
    let sumB = 0;
    let sumC = 0;
    let at = from;
    while (at < end) {
      const data = at + ownerBytes + FIXED_BYTES - 2;
      const length = view.getUint16(data - 2);
      this.#begin(table);
      if (isExpanded) {
        const bytes = expand(message, start, data, length, type, this.#scratch);
        this.#mixBytes(this.#scratchView, 0, bytes);
      } else this.#mixBytes(view, data, length);
      sumA = (sumA + finished(this.#a)) | 0;
      sumB = (sumB + finished(this.#b)) | 0;
      sumC = (sumC + finished(this.#c)) | 0;
      at = data + length;
    }
    this.#begin(table);
    this.#mixBytes(owner, ownerStart, ownerLength);
    this.#mix(type);
    this.#mix(originalTtl);
    this.#mix(keyHash);
    key.a = finished(this.#a ^ sumA);
    key.b = finished(this.#b + sumB);
    key.c = finished(this.#c ^ sumC);
  }

  /** The rdata of each record, with names in full. */
  rdatas(
    message: Uint8Array,
    start: number,
    from: number,
    end: number,
    ownerBytes: number,
  ): Uint8Array[] {
    const type = (message[from + ownerBytes]! << 8) | message[from + ownerBytes + 1]!;
    const rdatas: Uint8Array[] = [];
    let at = from;
    while (at < end) {
      const data = at + ownerBytes + FIXED_BYTES - 2;
      const length = (message[data - 2]! << 8) | message[data - 1]!;
      const bytes = expand(message, start, data, length, type, this.#scratch);
      rdatas.push(this.#scratch.slice(0, bytes));
      at = data + length;
    }
    return rdatas;
  }

  #begin({ seeds }: SignatureTable): void {
    this.#a = seeds[0]!;
    this.#b = seeds[1]!;
    this.#c = seeds[2]!;
    this.#multiplierA = seeds[3]! | 1;
    this.#multiplierB = seeds[4]! | 1;
    this.#multiplierC = seeds[5]! | 1;
  }

  /** Four bytes at a step of each lane: a third of the time that they take one by one. */
  #mixBytes(bytes: DataView, start: number, length: number): void {
    const multiplierA = this.#multiplierA;
    const multiplierB = this.#multiplierB;
    const multiplierC = this.#multiplierC;
    const end = start + length;
    let a = this.#a ^ length;
    let b = this.#b ^ length;
    let c = this.#c ^ length;
    for (let at = start; at < end; at += 4) {
      let word = 0;
      if (at + 3 < end) word = bytes.getInt32(at, true);
      else for (let last = end - 1; last >= at; last--) word = (word << 8) | bytes.getUint8(last);
      a = Math.imul(a ^ word, multiplierA);
      a ^= a >>> 15;
      b = Math.imul(b ^ word, multiplierB);
      b ^= b >>> 13;
      c = Math.imul(c ^ word, multiplierC);
      c ^= c >>> 16;
    }
    this.#a = a;
    this.#b = b;
    this.#c = c;
  }

  #mix(word: number): void {
    this.#a = finished(this.#a ^ word);
    this.#b = finished(this.#b + word);
    this.#c = finished(this.#c ^ Math.imul(word, MULTIPLIER_B));
  }
}

function finished(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), MULTIPLIER_B);
  mixed = Math.imul(mixed ^ (mixed >>> 13), MULTIPLIER_C);
  return mixed ^ (mixed >>> 16);
}

/** Types whose rdata this server compresses. */
function hasNames(type: number): boolean {
  return (
    type === RRType.NS ||
    type === RRType.CNAME ||
    type === RRType.SOA ||
    type === RRType.PTR ||
    type === RRType.MX
  );
}

/** Writes rdata with its names in full; returns its length. */
function expand(
  message: Uint8Array,
  start: number,
  data: number,
  length: number,
  type: number,
  to: Uint8Array,
): number {
  const end = data + length;
  let at = data;
  let written = 0;
  if (hasNames(type)) {
    if (type === RRType.MX) while (written < 2) to[written++] = message[at++]!;
    for (let names = type === RRType.SOA ? 2 : 1; names > 0; names--) {
      const nameBytes = expandName(message, start, at, to, written);
      written += nameBytes;
      at = nameEnd(message, at, end);
    }
  }
  while (at < end) to[written++] = message[at++]!;
  return written;
}

/** Writes the name at `at` in full; returns its length. */
function expandName(
  message: Uint8Array,
  start: number,
  at: number,
  to: Uint8Array,
  toStart: number,
): number {
  let from = at;
  let written = toStart;
  for (let pointers = 0; pointers < POINTERS_MAX && written - toStart < 256;) {
    const length = message[from]!;
    if (length >= 0xc0) {
      from = start + (((length & 0x3f) << 8) | message[from + 1]!);
      pointers += 1;
      continue;
    }
    for (let index = 0; index <= length; index++) to[written++] = message[from + index]!;
    if (length === 0) break;
    from += length + 1;
  }
  return written - toStart;
}

function nameEnd(message: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const length = message[at]!;
    if (length >= 0xc0) return at + 2;
    if (length === 0) return at + 1;
    at += length + 1;
  }
  return end;
}
