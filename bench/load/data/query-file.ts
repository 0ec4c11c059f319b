// SPDX-License-Identifier: Apache-2.0
import { Pcg32 } from "@meridian/core";
import type { Net } from "./regions.ts";

// dnsperf can send only one fixed EDNS option with names from a text file. Its binary input, DNS messages as in a TCP
// stream (a 16-bit length before each), can carry another client prefix in every query.

const HEADER_BYTES = 12;
const EDNS_UDP_SIZE = 1232;
const OPT_BYTES = 11;
const ECS_HEADER_BYTES = 8;

/** One A query with EDNS in the form of a TCP stream; with a prefix it carries EDNS Client Subnet (RFC 7871 section 6). */
export function encodeQuery(name: string, prefix: Net | undefined): Buffer {
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
