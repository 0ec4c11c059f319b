// SPDX-License-Identifier: Apache-2.0

import { createHash } from "node:crypto";
import { lowerName } from "../name.ts";
import { DsDigest } from "./algorithm.ts";

/** Flags of DNSKEY: the zone's own key, and an entry point that a DS may name (RFC 4034 §2.1.1). */
export const DnskeyFlags = { ZONE: 0x0100, SEP: 0x0001, REVOKE: 0x0080 } as const;

const PROTOCOL = 3;
const HEAD_BYTES = 4;

/** What DNSKEY and CDNSKEY rdata say. */
export interface DnskeyFields {
  readonly flags: number;
  readonly algorithm: number;
  readonly publicKey: Uint8Array;
}

/** What DS and CDS rdata say. */
export interface DsFields {
  readonly keyTag: number;
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Uint8Array;
}

/** DNSKEY or CDNSKEY rdata (RFC 4034 §2.1). */
export function dnskeyRdata({ flags, algorithm, publicKey }: DnskeyFields): Uint8Array {
  const rdata = new Uint8Array(HEAD_BYTES + publicKey.length);
  rdata.set([flags >> 8, flags & 0xff, PROTOCOL, algorithm]);
  rdata.set(publicKey, HEAD_BYTES);
  return rdata;
}

/** The fields of DNSKEY rdata; undefined where it is cut off or of another protocol than 3. */
export function readDnskey(rdata: Uint8Array): DnskeyFields | undefined {
  const [high = 0, low = 0, protocol, algorithm = 0] = rdata;
  return rdata.length > HEAD_BYTES && protocol === PROTOCOL
    ? { flags: (high << 8) | low, algorithm, publicKey: rdata.subarray(HEAD_BYTES) }
    : undefined;
}

/** Key tag of DNSKEY rdata (RFC 4034 appendix B; not for RSA/MD5). Different keys may share one. */
export function keyTagOf(dnskey: Uint8Array): number {
  let sum = 0;
  for (const [i, byte] of dnskey.entries()) {
    sum += i % 2 === 0 ? byte << 8 : byte;
  }
  return (sum + (sum >>> 16)) & 0xffff;
}

/**
 * DS or CDS rdata for a key of `owner` (RFC 4034 §5.1.4). Digest types other than SHA-384 give
 * SHA-256.
 */
export function dsRdata(
  owner: Uint8Array,
  dnskey: Uint8Array,
  digestType: number = DsDigest.SHA256,
): Uint8Array {
  const isLong = digestType === DsDigest.SHA384;
  const digest = createHash(isLong ? "sha384" : "sha256")
    .update(lowerName(owner))
    .update(dnskey)
    .digest();
  const tag = keyTagOf(dnskey);
  const head = [tag >> 8, tag & 0xff, dnskey[3] ?? 0, isLong ? DsDigest.SHA384 : DsDigest.SHA256];
  return new Uint8Array([...head, ...digest]);
}

/** The fields of DS rdata; undefined where it is cut off. */
export function readDs(rdata: Uint8Array): DsFields | undefined {
  const [high = 0, low = 0, algorithm = 0, digestType = 0] = rdata;
  return rdata.length > HEAD_BYTES
    ? { keyTag: (high << 8) | low, algorithm, digestType, digest: rdata.subarray(HEAD_BYTES) }
    : undefined;
}
