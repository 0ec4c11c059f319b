// SPDX-License-Identifier: Apache-2.0

// Signing material as control makes it, with keys of the test's own.

import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  DnskeyFlags,
  dnskeyRdata,
  DnssecAlgorithm,
  keyTagOf,
  publicKeyField,
  RRType,
  signRrset,
} from "@meridian/dns";
import type { SigningMaterial, ZoneKey } from "@meridian/snapshot";
import { wire } from "./test-server.ts";

const DNSKEY_TTL = 3600;
const DAY = 86_400;

export interface SignedFixture {
  readonly material: SigningMaterial;
  /** DNSKEY rdata of the key that the apex is signed with, and of all keys. */
  readonly anchor: Uint8Array;
  readonly dnskeys: readonly Uint8Array[];
}

export interface FixtureOptions {
  readonly algorithm?: number;
  /** With a key signing key of its own. */
  readonly isSplit?: boolean;
  readonly denial?: SigningMaterial["denial"];
  readonly validitySeconds?: number;
  readonly refreshSeconds?: number;
}

/** Material for a zone with new keys, its apex signed at `now` (seconds). */
export function signingFixture(
  origin: string,
  now: number,
  options: FixtureOptions = {},
): SignedFixture {
  const { algorithm = DnssecAlgorithm.ECDSAP256SHA256, isSplit = false } = options;
  const zone = wire(origin);
  const zsk = makeKey(algorithm);
  const ksk = isSplit ? makeKey(algorithm) : zsk;
  const anchor = dnskeyOf(algorithm, ksk, DnskeyFlags.ZONE | DnskeyFlags.SEP);
  const own = isSplit ? dnskeyOf(algorithm, zsk, DnskeyFlags.ZONE) : anchor;
  const dnskeys = isSplit ? [anchor, own] : [anchor];
  const rrsig = signRrset(
    { owner: zone, type: RRType.DNSKEY, ttl: DNSKEY_TTL, rdatas: dnskeys },
    { zone, algorithm, keyTag: keyTagOf(anchor), privateKey: ksk },
    { inception: now - 3600, expiration: now + 30 * DAY },
  );
  assert.ok(rrsig !== undefined);
  const key: ZoneKey = {
    keyTag: keyTagOf(own),
    algorithm,
    publicKey: own.subarray(4),
    privateKey: new Uint8Array(zsk.export({ format: "der", type: "pkcs8" })),
    signs: true,
  };
  return {
    anchor,
    dnskeys,
    material: {
      zone,
      sequence: 1,
      denial: options.denial ?? "nsec",
      signatureValiditySeconds: options.validitySeconds ?? 14 * DAY,
      refreshSeconds: options.refreshSeconds ?? 7 * DAY,
      apex: [{ type: RRType.DNSKEY, ttl: DNSKEY_TTL, rdatas: dnskeys, rrsigs: [rrsig] }],
      keys: [key],
    },
  };
}

function makeKey(algorithm: number): KeyObject {
  if (algorithm === DnssecAlgorithm.ED25519) return generateKeyPairSync("ed25519").privateKey;
  return algorithm === DnssecAlgorithm.RSASHA256
    ? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
    : generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
}

function dnskeyOf(algorithm: number, key: KeyObject, flags: number): Uint8Array {
  const publicKey = publicKeyField(algorithm, key);
  assert.ok(publicKey !== undefined);
  return dnskeyRdata({ flags, algorithm, publicKey });
}
