// SPDX-License-Identifier: Apache-2.0

import { createPrivateKey } from "node:crypto";
import { hash32 } from "@meridian/core";
import { DnssecAlgorithm, RRType, readRrsig, type Signer } from "@meridian/dns";
import {
  CanonicalOrder,
  Denial,
  HashedOrder,
  readTransferSettings,
  type LoadedZone,
  type PresignedSet,
  type SigningMaterial,
} from "@meridian/snapshot";
import { startOf } from "../transfers/zone-contents.ts";

/** Inception of signatures before they are made, for clocks that are behind. Seconds. */
export const SKEW_SECONDS = 3600;
/** Share of its validity that a signature lives shorter for its hash, so that not all are made anew at once. */
const JITTER_SHARE = 16;

/**
 * What the serial of a zone moves by with each change of its material, where it goes out to secondaries: they have to take it anew then.
 * A multiple, so that an edge which has the newer material but an older snapshot, or the other way round, never shows the serial of another
 * content: it would have to be that many changes behind.
 */
const SERIALS_A_SEQUENCE = 1000;

/** A key that signs, as the query path wants it. */
export interface SigningKey {
  readonly signer: Signer;
  /** Tells signatures of different keys apart. */
  readonly hash: number;
  readonly signatureBytes: number;
}

/** A zone with what it is signed with: found by index, of a snapshot. */
export class SignedZone {
  readonly zone: LoadedZone;
  readonly material: SigningMaterial;
  readonly keys: readonly SigningKey[];
  readonly isCompact: boolean;
  /** Undefined where names are not in order yet: then names are denied one by one, as with compact denial. */
  readonly order: CanonicalOrder | undefined;
  /** The same for NSEC3 records. */
  readonly hashed: HashedOrder | undefined;
  /** TTL of the SOA record. */
  readonly soaTtl: number;
  /** Types at the apex that are not in the zone's data, rising. */
  readonly apexTypes: readonly number[];
  /** When control signed: a clock that shows less is wrong. Seconds since 1970. */
  readonly #signedSeconds: number;

  constructor(
    zone: LoadedZone,
    material: SigningMaterial,
    keys: readonly SigningKey[],
    order: Uint32Array | undefined,
  ) {
    this.zone = zone;
    this.material = material;
    this.keys = keys;
    const isHashed = material.denial === Denial.nsec3;
    this.order = order === undefined || isHashed ? undefined : new CanonicalOrder(zone, order);
    this.hashed = order === undefined || !isHashed ? undefined : new HashedOrder(zone, order);
    this.isCompact = material.denial === Denial.compact || order === undefined;
    this.soaTtl = startOf(zone)?.record.ttl ?? 0;
    const own = material.apex.map(({ type }) => type);
    this.apexTypes = isHashed ? [...own, RRType.NSEC3PARAM] : own;
    this.#signedSeconds = signedSecondsOf(material);
  }

  presigned(type: number): PresignedSet | undefined {
    return this.material.apex.find((set) => set.type === type);
  }

  /** Seconds since 1970 from which on a signature that is made now holds. */
  inceptionAt(now: number): number {
    return this.#timeAt(now) - SKEW_SECONDS;
  }

  expirationAt(now: number, hash: number): number {
    const { signatureValiditySeconds, refreshSeconds } = this.material;
    const spread = Math.floor(
      Math.min(signatureValiditySeconds / JITTER_SHARE, signatureValiditySeconds - refreshSeconds),
    );
    return this.#timeAt(now) + signatureValiditySeconds - ((hash >>> 0) % (spread + 1));
  }

  /** Whether a signature that begins then is of a clock that was ahead, and holds for nobody yet. */
  isEarly(inception: number, now: number): boolean {
    return inception > this.#timeAt(now);
  }

  /** An edge whose clock is behind goes by the time at which control signed, as its signatures could be over before they are seen. */
  #timeAt(now: number): number {
    return Math.max(now, this.#signedSeconds);
  }

  /** Seconds before its end from which on a signature is not shown any more. */
  marginSeconds(ttl: number): number {
    const { signatureValiditySeconds, refreshSeconds } = this.material;
    return Math.min(ttl, (signatureValiditySeconds - refreshSeconds) >>> 1);
  }
}

/** When the newest of the sets was signed that come with a zone's material; 0 where none is. */
export function signedSecondsOf({ apex }: SigningMaterial): number {
  const inceptions = apex.flatMap(({ rrsigs }) =>
    rrsigs.flatMap((rdata) => {
      const fields = readRrsig(rdata);
      return fields === undefined ? [] : [fields.inception + SKEW_SECONDS];
    }),
  );
  return Math.max(0, ...inceptions);
}

/** The keys of a zone's material that sign. Throws where one cannot be read. */
export function signingKeysOf({ zone, keys }: SigningMaterial): readonly SigningKey[] {
  return keys
    .filter(({ signs }) => signs)
    .map(({ algorithm, keyTag, publicKey, privateKey }) => ({
      signer: {
        zone,
        algorithm,
        keyTag,
        privateKey: createPrivateKey({
          key: Buffer.from(privateKey),
          format: "der",
          type: "pkcs8",
        }),
      },
      hash: hash32(publicKey, 0, publicKey.length, keyTag),
      signatureBytes: algorithm === DnssecAlgorithm.RSASHA256 ? rsaBytes(publicKey) : 64,
    }));
}

/** By how much the serial of a zone is higher than in its snapshot. */
export function serialShift(zone: LoadedZone, material: SigningMaterial | undefined): number {
  const {
    allow = [],
    certified = [],
    notify = [],
  } = material === undefined ? {} : (readTransferSettings(zone.section) ?? {});
  return material === undefined || allow.length + certified.length + notify.length === 0
    ? 0
    : (material.sequence * SERIALS_A_SEQUENCE) % 2 ** 32;
}

/** Whether a type at the apex comes from the material, not from the zone. */
export function isApexType(type: number): boolean {
  return type === RRType.DNSKEY || type === RRType.CDS || type === RRType.CDNSKEY;
}

/** Bytes of the modulus (RFC 3110 §2). */
function rsaBytes(field: Uint8Array): number {
  const exponentBytes = field[0]!;
  const isLong = exponentBytes === 0;
  const start = isLong ? 3 + ((field[1]! << 8) | field[2]!) : 1 + exponentBytes;
  return field.length - start;
}
