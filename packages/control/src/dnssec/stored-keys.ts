// SPDX-License-Identifier: Apache-2.0

// The keys of a zone as they lie in the store: one document a zone, written by the leader alone and by compare-and-set. Private keys are
// sealed (AES-256-GCM) with the key file that every control of the store has, each bound to its zone and tag.

import { generateKeyPair, createPrivateKey, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { DnskeyFlags, DnssecAlgorithm, dnskeyRdata, keyTagOf, publicKeyField } from "@meridian/dns";
import type { ZoneDnssec } from "@meridian/model";
import { fieldsOf } from "../documents/document-key.ts";
import type { SealedText } from "../http/sealed-text.ts";
import type { KeyTiming } from "./key-timing.ts";
import type { KeyState } from "./roll-over.ts";
import { isEntry, type KeyRole, type NeededKey, type RolledKey } from "./rolled-key.ts";

/** Numbers of a `KeyTiming`. */
const TIMES = 8;
const RSA_BITS = 2048;
/** Another key is made where one of the zone has the same tag. */
const TRIES_MAX = 16;

export interface StoredKey extends RolledKey {
  /** As in DNSKEY, base64. */
  readonly publicKey: string;
  /** PKCS #8 with what it belongs to, sealed. */
  readonly sealed: string;
}

/** A set at the apex with its signatures; rdata in base64. */
export interface StoredSet {
  readonly type: number;
  /** Seconds. */
  readonly ttl: number;
  readonly rdatas: readonly string[];
  readonly rrsigs: readonly string[];
}

/** How a zone is signed, as it said last. */
export interface StoredSigning {
  readonly denial: ZoneDnssec["denial"];
  readonly signatureValiditySeconds: number;
  readonly refreshSeconds: number;
  readonly timing: KeyTiming;
  readonly parentServers: ZoneDnssec["parentServers"];
}

export interface StoredZone extends KeyState<StoredKey> {
  /** Grows with each change. */
  readonly sequence: number;
  /** Of the Zone. */
  readonly namespace: string;
  readonly signing: StoredSigning;
  /** Roles that are to be rolled as soon as they may be. */
  readonly rolls: readonly KeyRole[];
  readonly apex: readonly StoredSet[];
  /** Of what `apex` was made from. */
  readonly apexPrint: string;
  /** When the first signature of `apex` ends, Unix milliseconds. */
  readonly apexEndsMs: number;
}

/** The zone of a text of the store; undefined for one that another version wrote. */
export function readStoredZone(text: string): StoredZone | undefined {
  const raw: unknown = JSON.parse(text);
  return isStoredZone(raw) ? raw : undefined;
}

function isStoredZone(raw: unknown): raw is StoredZone {
  const { sequence, namespace, signing, keys, rolls, apex, ...rest } = fieldsOf(raw);
  const { denial, signatureValiditySeconds, refreshSeconds, timing, parentServers } =
    fieldsOf(signing);
  const times = Object.values(fieldsOf(timing)).filter((each) => typeof each === "number");
  const numbers = [sequence, rest["apexEndsMs"], signatureValiditySeconds, refreshSeconds];
  return (
    [...numbers].every((each) => typeof each === "number") &&
    [namespace, denial, rest["apexPrint"]].every((each) => typeof each === "string") &&
    times.length === TIMES &&
    [rolls, parentServers].every((each) => Array.isArray(each)) &&
    isListOf(keys, isStoredKey) &&
    isListOf(apex, isStoredSet)
  );
}

function isStoredSet({ type, ttl, rdatas, rrsigs }: Readonly<Record<string, unknown>>): boolean {
  const isNumbered = [type, ttl].every((each) => typeof each === "number");
  return isNumbered && [rdatas, rrsigs].every((each) => Array.isArray(each));
}

function isStoredKey(raw: Readonly<Record<string, unknown>>): boolean {
  const { keyTag, role, algorithm, publicKey, sealed } = raw;
  return (
    [keyTag, algorithm].every((each) => typeof each === "number") &&
    [role, publicKey, sealed].every((each) => typeof each === "string")
  );
}

function isListOf(
  value: unknown,
  isItem: (item: Readonly<Record<string, unknown>>) => boolean,
): boolean {
  return Array.isArray(value) && value.every((item) => isItem(fieldsOf(item)));
}

/** DNSKEY rdata of a key. */
export function dnskeyOf({
  role,
  algorithm,
  publicKey,
}: Pick<StoredKey, "role" | "algorithm" | "publicKey">): Uint8Array {
  const flags = DnskeyFlags.ZONE | (isEntry({ role }) ? DnskeyFlags.SEP : 0);
  return dnskeyRdata({ flags, algorithm, publicKey: Buffer.from(publicKey, "base64") });
}

/** Makes a key whose tag none of `keys` has. */
export async function makeKey(
  origin: string,
  { role, algorithm }: NeededKey,
  keys: readonly StoredKey[],
  seal: SealedText,
): Promise<StoredKey> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const privateKey = await makePrivateKey(algorithm);
    const field = publicKeyField(algorithm, privateKey);
    if (field === undefined) break;
    const publicKey = Buffer.from(field).toString("base64");
    const bare = { role, algorithm, publicKey, sealed: "" };
    const keyTag = keyTagOf(dnskeyOf(bare));
    if (keys.some((key) => key.keyTag === keyTag)) continue;
    const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" }).toString("base64");
    return { ...bare, keyTag, sealed: seal.seal(JSON.stringify({ origin, keyTag, pkcs8 })) };
  }
  throw new Error(`Cannot make a key of algorithm ${algorithm} for zone "${origin}"`);
}

/** The private key; undefined where it was sealed with another key, or for another zone. */
export function openKey(
  origin: string,
  { keyTag, sealed }: Pick<StoredKey, "keyTag" | "sealed">,
  seal: SealedText,
): KeyObject | undefined {
  const text = seal.open(sealed);
  if (text === undefined) return undefined;
  const raw = fieldsOf(JSON.parse(text));
  const { pkcs8 } = raw;
  if (raw["origin"] !== origin || raw["keyTag"] !== keyTag || typeof pkcs8 !== "string")
    return undefined;
  return createPrivateKey({ key: Buffer.from(pkcs8, "base64"), format: "der", type: "pkcs8" });
}

const generate = promisify(generateKeyPair);

async function makePrivateKey(algorithm: number): Promise<KeyObject> {
  if (algorithm === DnssecAlgorithm.ED25519) return (await generate("ed25519")).privateKey;
  const { privateKey } =
    algorithm === DnssecAlgorithm.RSASHA256
      ? await generate("rsa", { modulusLength: RSA_BITS })
      : await generate("ec", { namedCurve: "P-256" });
  return privateKey;
}
