// SPDX-License-Identifier: Apache-2.0

import { assert, type ByteList } from "@meridian/core";
import { NO_CUT, RR_HEADER_BYTES } from "./zone-format.ts";

const TYPE_NS = 2;
const TYPE_CNAME = 5;
const TYPE_SOA = 6;
const TYPE_PTR = 12;
const TYPE_MX = 15;
const RDATA_BYTES_MAX = 0xffff;

/** Appends an RR as names sections hold it: rdata length, cuts, rdata (zone-format.ts). */
export function encodeRecord(
  list: ByteList,
  type: number,
  rdata: Uint8Array,
  origin: Uint8Array,
): void {
  assert(rdata.length <= RDATA_BYTES_MAX, "rdata fits its length field");
  const cutA = firstCut(type, rdata, origin);
  const cutB = type === TYPE_SOA ? cutAt(rdata, nameEnd(rdata, 0), origin) : NO_CUT;
  const at = list.zeros(RR_HEADER_BYTES);
  list.bytes[at] = rdata.length & 0xff;
  list.bytes[at + 1] = rdata.length >>> 8;
  // A writer of answers applies cut A before cut B; a lone one is always A.
  list.bytes[at + 2] = cutA === NO_CUT ? cutB : cutA;
  list.bytes[at + 3] = cutA === NO_CUT ? NO_CUT : cutB;
  list.append(rdata, 0, rdata.length);
}

function firstCut(type: number, rdata: Uint8Array, origin: Uint8Array): number {
  switch (type) {
    case TYPE_NS:
    case TYPE_CNAME:
    case TYPE_PTR:
    case TYPE_SOA:
      return cutAt(rdata, 0, origin);
    case TYPE_MX:
      return cutAt(rdata, 2, origin);
    default:
      return NO_CUT;
  }
}

/**
 * Offset at which the name that starts at `start` ends in the origin. Case is kept where it differs: such a name is not cut. The
 * root is not worth a pointer.
 */
function cutAt(rdata: Uint8Array, start: number, origin: Uint8Array): number {
  if (origin.length <= 2) return NO_CUT;
  const cut = nameEnd(rdata, start) - origin.length;
  if (cut < start || cut >= NO_CUT) return NO_CUT;
  for (let at = start; at <= cut; at += rdata[at]! + 1) {
    if (at === cut)
      return origin.every((byte, index) => rdata[cut + index] === byte) ? cut : NO_CUT;
  }
  return NO_CUT;
}

function nameEnd(rdata: Uint8Array, start: number): number {
  let at = start;
  while (at < rdata.length && rdata[at] !== 0) at += rdata[at]! + 1;
  assert(at < rdata.length, "a name in rdata is complete");
  return at + 1;
}
