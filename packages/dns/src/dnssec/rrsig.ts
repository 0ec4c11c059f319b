// SPDX-License-Identifier: Apache-2.0
//
// RRSIG rdata: made, read and checked (RFC 4034 §3, RFC 4035 §5.3).

import { sign, verify, type KeyObject } from "node:crypto";
import { ByteReader } from "../byte-reader.ts";
import { ByteWriter } from "../byte-writer.ts";
import { DnsLimits } from "../constants.ts";
import { isSubdomain, lowerName } from "../name.ts";
import { DnssecAlgorithm, publicKeyOf } from "./algorithm.ts";
import { RRSIG_FIXED_BYTES, signedBytes, signedLabels, type Rrset } from "./canonical.ts";
import { DeterministicEcdsa } from "./deterministic-ecdsa.ts";
import { DnskeyFlags, keyTagOf, readDnskey } from "./dnskey.ts";

/** What signs: a private key and how signatures name it. */
export interface Signer {
  /** Apex of the zone. */
  readonly zone: Uint8Array;
  readonly algorithm: number;
  readonly keyTag: number;
  readonly privateKey: KeyObject;
  /** Makes the signature in place of node:crypto, whose ECDSA signatures differ each time. */
  readonly sign?: (bytes: Uint8Array) => Uint8Array;
}

/** The same signer, whose signatures of the same set and times are the same wherever they are made. */
export function deterministicSigner(signer: Signer): Signer {
  // Those of other algorithms are anyway.
  if (signer.algorithm !== DnssecAlgorithm.ECDSAP256SHA256) return signer;
  const ecdsa = new DeterministicEcdsa(signer.privateKey);
  return { ...signer, sign: (bytes) => ecdsa.sign(bytes) };
}

/** When a signature holds: seconds since 1970, both ends included. */
export interface SignatureTimes {
  readonly inception: number;
  readonly expiration: number;
}

/** What RRSIG rdata says. Times are 32 bits of seconds and compare as serial numbers (§3.1.5). */
export interface RrsigFields extends SignatureTimes {
  readonly typeCovered: number;
  readonly algorithm: number;
  readonly labels: number;
  readonly originalTtl: number;
  readonly keyTag: number;
  readonly signer: Uint8Array;
  readonly signature: Uint8Array;
}

/** Why a signature does not hold for a set. */
export type RrsigFault =
  | "malformed"
  | "other-set"
  | "other-key"
  | "not-yet-valid"
  | "expired"
  | "wrong-signature";

/** RRSIG rdata over the set, or undefined for a set too large to sign (1 MiB). */
export function signRrset(
  rrset: Rrset,
  signer: Signer,
  times: SignatureTimes,
): Uint8Array | undefined {
  const head = rrsigHead(rrset, signer, times);
  const bytes = signedBytes(head, rrset);
  if (bytes === undefined) {
    return undefined;
  }
  const signature =
    signer.sign?.(bytes) ??
    sign(hashOf(signer.algorithm), bytes, {
      key: signer.privateKey,
      dsaEncoding: "ieee-p1363", // r | s, as RFC 6605 §4 wants; other algorithms do not look at it.
    });
  const rdata = new Uint8Array(head.length + signature.length);
  rdata.set(head);
  rdata.set(signature, head.length);
  return rdata;
}

/** The fields of RRSIG rdata; undefined where it is cut off. */
export function readRrsig(rdata: Uint8Array): RrsigFields | undefined {
  const reader = new ByteReader(rdata);
  const fields = {
    typeCovered: reader.u16(),
    algorithm: reader.u8(),
    labels: reader.u8(),
    originalTtl: reader.u32(),
    expiration: reader.u32(),
    inception: reader.u32(),
    keyTag: reader.u16(),
    signer: reader.name(),
    signature: reader.rest(),
  };
  return reader.failed || fields.signature.length === 0 ? undefined : fields;
}

/**
 * Whether the signature holds for the set at `now` (seconds) under the key: undefined, or why not.
 * The owner of a set that was made from a wildcard is the name that was asked (RFC 4035 §5.3.4:
 * that the name itself does not exist is for the caller to see).
 */
export function rrsigFault(
  rrset: Rrset,
  rrsig: Uint8Array,
  dnskey: Uint8Array,
  now: number,
): RrsigFault | undefined {
  const fields = readRrsig(rrsig);
  const key = readDnskey(dnskey);
  if (fields === undefined || key === undefined) {
    return "malformed";
  }
  if (fields.typeCovered !== rrset.type || !isSubdomain(rrset.owner, fields.signer)) {
    return "other-set";
  }
  const isZoneKey = (key.flags & DnskeyFlags.ZONE) !== 0;
  if (!isZoneKey || fields.algorithm !== key.algorithm || fields.keyTag !== keyTagOf(dnskey)) {
    return "other-key";
  }
  if (serialBefore(now, fields.inception)) {
    return "not-yet-valid";
  }
  if (serialBefore(fields.expiration, now)) {
    return "expired";
  }
  const head = rrsig.subarray(0, rrsig.length - fields.signature.length);
  const publicKey = publicKeyOf(key.algorithm, key.publicKey);
  const bytes = signedBytes(head, rrset);
  return publicKey !== undefined && bytes !== undefined && isSignature(fields, bytes, publicKey)
    ? undefined
    : "wrong-signature";
}

/** RRSIG rdata without its signature. */
function rrsigHead(rrset: Rrset, signer: Signer, times: SignatureTimes): Uint8Array {
  const writer = new ByteWriter(RRSIG_FIXED_BYTES + DnsLimits.nameBytesMax);
  writer.u16(rrset.type);
  writer.u8(signer.algorithm);
  writer.u8(signedLabels(rrset.owner));
  writer.u32(rrset.ttl);
  writer.u32(times.expiration);
  writer.u32(times.inception);
  writer.u16(signer.keyTag);
  writer.bytes(lowerName(signer.zone));
  return writer.finish();
}

function isSignature(fields: RrsigFields, bytes: Uint8Array, key: KeyObject): boolean {
  return verify(
    hashOf(fields.algorithm),
    bytes,
    { key, dsaEncoding: "ieee-p1363" },
    fields.signature,
  );
}

/** Ed25519 hashes by itself. */
function hashOf(algorithm: number): string | null {
  return algorithm === DnssecAlgorithm.ED25519 ? null : "sha256";
}

/** True if `a` is before `b` in the arithmetic of RFC 1982, over 32 bits. */
function serialBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}
