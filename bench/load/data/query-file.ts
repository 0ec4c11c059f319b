// SPDX-License-Identifier: Apache-2.0
import { Pcg32 } from "@meridian/core";
import type { ServicePlan } from "./plan.ts";
import type { Net } from "./regions.ts";

// dnsperf can send only one fixed EDNS option with names from a text file. Its binary input, DNS messages as in a TCP
// stream (a 16-bit length before each), can carry another client prefix in every query.

const HEADER_BYTES = 12;
const EDNS_UDP_SIZE = 1232;
const OPT_BYTES = 11;
const ECS_HEADER_BYTES = 8;

/** One A query with EDNS in the form of a TCP stream; with a prefix it carries EDNS Client Subnet (RFC 7871 section 6). */
export function encodeQuery(name: string, prefix: Net | undefined, isDo = false): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  const nameBytes = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  const prefixBytes = prefix === undefined ? 0 : Math.ceil(prefix.length / 8);
  const ecsBytes = prefix === undefined ? 0 : ECS_HEADER_BYTES + prefixBytes;
  const bytes = HEADER_BYTES + nameBytes + 4 + OPT_BYTES + ecsBytes;
  const out = Buffer.alloc(2 + bytes);
  out.writeUInt16BE(bytes, 0);
  out.writeUInt16BE(1, 2 + 4); // One question.
  out.writeUInt16BE(1, 2 + 10); // One additional record, OPT.
  let at = 2 + HEADER_BYTES;
  for (const label of labels) {
    out[at] = label.length;
    out.write(label, at + 1, "latin1");
    at += 1 + label.length;
  }
  at += 1;
  out.writeUInt16BE(1, at); // A
  out.writeUInt16BE(1, at + 2); // IN
  at += 4;
  out.writeUInt16BE(41, at + 1);
  out.writeUInt16BE(EDNS_UDP_SIZE, at + 3);
  if (isDo) out[at + 7] = 0x80;
  out.writeUInt16BE(ecsBytes, at + 9);
  if (prefix !== undefined) {
    at += OPT_BYTES;
    out.writeUInt16BE(8, at);
    out.writeUInt16BE(4 + prefixBytes, at + 2);
    out.writeUInt16BE(1, at + 4); // IPv4
    out[at + 6] = prefix.length;
    for (let index = 0; index < prefixBytes; index += 1) {
      out[at + ECS_HEADER_BYTES + index] = (prefix.address >>> (24 - 8 * index)) & 255;
    }
  }
  return out;
}

/** The name that a query for an owner asks: itself, or some name that its wildcard covers. */
export function queryName(owner: string, serial: number): string {
  return owner.startsWith("*.") ? `q${serial.toString(36)}${owner.slice(1)}` : owner;
}

/** One query in this many is for a name that is not there. */
const ABSENT_ONE_IN = 10;
/** Such names that are asked again and again. */
const ABSENT_NAMES = 10_000;

/** Queries with DO for owners, and for names that are not there but were asked before. */
export function* signedQueries(
  { owners, origins, seed }: ServicePlan,
  prefixes: readonly Net[],
  count: number,
): Generator<Buffer> {
  const random = new Pcg32(seed);
  const below = (bound: number): number => random.next32() % bound;
  for (let index = 0; index < count; index += 1) {
    const name =
      below(ABSENT_ONE_IN) === 0
        ? `absent${below(ABSENT_NAMES)}.${origins[below(origins.length)] ?? ""}`
        : (owners[below(owners.length)] ?? "");
    yield encodeQuery(name, prefixes[below(prefixes.length)], true);
  }
}

/** Queries with DO for names that are not there, each asked once; their serials tell runs apart. */
export function* absentQueries(
  { origins, seed }: ServicePlan,
  prefixes: readonly Net[],
  first: number,
  count: number,
): Generator<Buffer> {
  const random = new Pcg32(seed + first);
  for (let serial = first; serial < first + count; serial += 1) {
    const origin = origins[serial % origins.length] ?? "";
    const prefix = prefixes.length > 0 ? prefixes[random.next32() % prefixes.length] : undefined;
    // In no order, so that names lie all over the zone.
    const label = random.next32().toString(36);
    yield encodeQuery(`${label}-${serial.toString(36)}.${origin}`, prefix, true);
  }
}

/** Queries for owners drawn at random, each with a random prefix where there are any. */
export function* randomQueries(
  owners: readonly string[],
  prefixes: readonly Net[],
  count: number,
  seed: number,
): Generator<Buffer> {
  const random = new Pcg32(seed);
  for (let index = 0; index < count; index += 1) {
    const owner = owners[random.next32() % owners.length];
    const prefix = prefixes.length > 0 ? prefixes[random.next32() % prefixes.length] : undefined;
    if (owner !== undefined) yield encodeQuery(queryName(owner, index), prefix);
  }
}
