// SPDX-License-Identifier: Apache-2.0

// A zone that was signed elsewhere, as a transfer or a master file brought it: it has keys and signatures of its own, and a chain of NSEC or
// NSEC3 records. Nothing is made here: what proves something is looked up in that chain, by its order.

import { hash } from "node:crypto";
import { RRType } from "@meridian/dns";
import {
  CanonicalOrder,
  NameLookup,
  QueryName,
  findSet,
  orderProofs,
  type LoadedZone,
  type NamesChunk,
} from "@meridian/snapshot";

const RR_HEADER_BYTES = 4;
/** A validator takes a zone with more for unsigned (RFC 9276 §3.2), and each costs a hash for every answer. */
const ITERATIONS_MAX = 150;
const SHA1 = 1;
const DIGITS = Buffer.from("0123456789abcdefghijklmnopqrstuv");
const HASH_BYTES = 20;
/** Bytes of a hash in base 32, and with its length in front. */
export const HASH_LABEL_BYTES: number = 32 + 1;

/** How NSEC3 hashes names (RFC 5155 §4). */
export interface HashParameters {
  readonly iterations: number;
  readonly salt: Uint8Array;
}

/** Where a set of a zone lies. */
interface Apex {
  readonly chunk: NamesChunk;
  readonly node: number;
}

export class PresignedZone {
  readonly zone: LoadedZone;
  readonly apex: Apex;
  /** Of the records that prove what is not there; undefined where they are NSEC. */
  readonly hashed: HashParameters | undefined;
  readonly order: CanonicalOrder;

  private constructor(
    zone: LoadedZone,
    apex: Apex,
    hashed: HashParameters | undefined,
    words: Uint32Array,
  ) {
    this.zone = zone;
    this.apex = apex;
    this.hashed = hashed;
    this.order = new CanonicalOrder(zone, words);
  }

  /** Undefined where the zone is not signed, or its names are hashed as nobody here does. `words` is its `presignedOrder()` where that is known. */
  static of(zone: LoadedZone, words?: Uint32Array): PresignedZone | undefined {
    const apex = signedApex(zone);
    if (apex === undefined) return undefined;
    const hashed = parametersAt(apex);
    return hashed === "unknown"
      ? undefined
      : new PresignedZone(zone, apex, hashed, words ?? orderAt(zone, apex));
  }

  /** Position of the record at or before a name, and for NSEC3 of a label that is a hash; the last one comes before the first. -1 for none. */
  floor(bytes: Uint8Array, start: number, length: number): number {
    const { order } = this;
    if (order.count === 0) return -1;
    const position = order.floor(bytes, start, length);
    return order.isAfterTarget(position) ? order.count - 1 : position;
  }
}

/** The order of a zone that is signed in its own data; undefined for any other. */
export function presignedOrder(zone: LoadedZone): Uint32Array | undefined {
  const apex = signedApex(zone);
  return apex === undefined ? undefined : orderAt(zone, apex);
}

function orderAt(zone: LoadedZone, { chunk, node }: Apex): Uint32Array {
  const isHashed = findSet(chunk, node, RRType.NSEC3PARAM) >= 0;
  return orderProofs(zone, isHashed ? RRType.NSEC3 : RRType.NSEC);
}

/** The apex of a zone that has keys and signatures there. */
function signedApex(zone: LoadedZone): Apex | undefined {
  if (!zone.isPresigned) return undefined;
  const lookup = new NameLookup();
  const name = new QueryName(zone.section.seed);
  name.set(zone.origin, 0, zone.origin.length, 0);
  if (!lookup.findExact(zone, name) || lookup.chunk === undefined) return undefined;
  const { chunk, node } = lookup;
  return { chunk, node };
}

/** Of the NSEC3PARAM; undefined where there is none. */
function parametersAt({ chunk, node }: Apex): HashParameters | "unknown" | undefined {
  const set = findSet(chunk, node, RRType.NSEC3PARAM);
  if (set < 0) return undefined;
  const at = chunk.nodesBase + (chunk.words[(set >>> 2) + 2] ?? 0) + RR_HEADER_BYTES;
  const [algorithm, , high = 0, low = 0, saltBytes = 0] = chunk.bytes.subarray(at, at + 5);
  const iterations = (high << 8) | low;
  if (algorithm !== SHA1 || iterations > ITERATIONS_MAX) return "unknown";
  return { iterations, salt: Uint8Array.from(chunk.bytes.subarray(at + 5, at + 5 + saltBytes)) };
}

/** Writes the label that the hash of a name is, its length in front (RFC 5155 §1.3, §5); the name is in wire form and lower case. */
export function writeHashLabel(
  name: Uint8Array,
  { iterations, salt }: HashParameters,
  to: Uint8Array,
): void {
  let digest = hash("sha1", Buffer.concat([name, salt]), "buffer");
  for (let round = 0; round < iterations; round += 1)
    digest = hash("sha1", Buffer.concat([digest, salt]), "buffer");
  to[0] = HASH_LABEL_BYTES - 1;
  let bits = 0;
  let held = 0;
  let at = 1;
  for (let index = 0; index < HASH_BYTES; index += 1) {
    bits = ((bits << 8) | (digest[index] ?? 0)) & 0xfff;
    held += 8;
    for (; held >= 5; held -= 5) to[at++] = DIGITS[(bits >> (held - 5)) & 31] ?? 0;
  }
}
