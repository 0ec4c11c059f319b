// SPDX-License-Identifier: Apache-2.0

// DNSKEY, CDS and CDNSKEY of a zone with the signatures of all its entry keys: what edges show as it is.

import type { KeyObject } from "node:crypto";
import { RRType, dsRdata, signRrset, type SignatureTimes } from "@meridian/dns";
import { isEntry, isNamed, isShown } from "./rolled-key.ts";
import { dnskeyOf, type StoredKey, type StoredSet } from "./stored-keys.ts";

/** A clock that is behind by less than this takes a new signature as valid. */
const SKEW_SECONDS = 3600;
/** RFC 8078 §4: the parent is to have no DS at all. */
const CDS_DELETE = new Uint8Array(5);
const CDNSKEY_DELETE = new Uint8Array([0, 0, 3, 0, 0]);

export interface ApexRequest {
  /** In wire form. */
  readonly zone: Uint8Array;
  readonly keys: readonly StoredKey[];
  readonly isRemoval: boolean;
  /** Seconds. */
  readonly ttl: number;
}

interface ApexSet {
  readonly type: number;
  readonly rdatas: readonly Uint8Array[];
}

/** Equal for requests that give the same sets and signers. */
export function apexPrint({ keys, isRemoval, ttl }: ApexRequest): string {
  const shown = keys.filter(isShown).map((key) => [key.keyTag, isNamed(key)]);
  return JSON.stringify([ttl, isRemoval, shown]);
}

/** Seconds from and until which signatures that are made at `nowMs` hold. */
export function signatureTimes(nowMs: number, validitySeconds: number): SignatureTimes {
  const now = Math.floor(nowMs / 1000);
  return { inception: now - SKEW_SECONDS, expiration: now + validitySeconds };
}

/** The same sets with a signature of each entry key. */
export function signApexSets(
  request: ApexRequest,
  privateKeyOf: (key: StoredKey) => KeyObject,
  times: SignatureTimes,
): StoredSet[] {
  const { zone, isRemoval, ttl } = request;
  const keys = request.keys.filter(isShown);
  const signers = keys
    .filter(isEntry)
    .map((key) => ({ zone, ...key, privateKey: privateKeyOf(key) }));
  return setsOf(zone, keys, isRemoval).map(({ type, rdatas }) => ({
    type,
    ttl,
    rdatas: rdatas.map(toText),
    rrsigs: signers.flatMap((signer) => {
      const rrsig = signRrset({ owner: zone, type, ttl, rdatas }, signer, times);
      return rrsig === undefined ? [] : [toText(rrsig)];
    }),
  }));
}

function setsOf(zone: Uint8Array, keys: readonly StoredKey[], isRemoval: boolean): ApexSet[] {
  const named = keys.filter(isNamed).map(dnskeyOf);
  const cds = isRemoval ? [CDS_DELETE] : named.map((dnskey) => dsRdata(zone, dnskey));
  const cdnskey = isRemoval ? [CDNSKEY_DELETE] : named;
  return [
    { type: RRType.DNSKEY, rdatas: keys.map(dnskeyOf) },
    { type: RRType.CDS, rdatas: cds },
    { type: RRType.CDNSKEY, rdatas: cdnskey },
  ].filter(({ rdatas }) => rdatas.length > 0);
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
