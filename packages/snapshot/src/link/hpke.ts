// SPDX-License-Identifier: Apache-2.0

// Hybrid public key encryption (RFC 9180): whoever has a public key of P-256 can send its owner something that nobody else can read, over
// any way. Base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message each:
//
//   ephemeral key ─► enc (65 bytes) ──────────────────────────► sent
//        └ ECDH with the receiver's ─► HKDF ─► key, nonce ─► ciphertext with tag ─► sent

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";

/** What the key schedule names, and Node calls, a cipher. Tests have others, as the RFC's vectors are of those. */
export interface HpkeCipher {
  readonly id: number;
  readonly name: "aes-128-gcm" | "aes-256-gcm";
  readonly keyBytes: number;
}

const AES_256_GCM: HpkeCipher = { id: 2, name: "aes-256-gcm", keyBytes: 32 };
/** Bytes of `enc`: an uncompressed point of P-256. */
const POINT_BYTES = 65;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const HASH_BYTES = 32;
const COORDINATE_BYTES = 32;
const KEM_ID = 0x0010;
const KDF_ID = 0x0001;
const BASE_MODE = 0;
const VERSION = "HPKE-v1";

/** What a message is for, and what it is bound to: it opens with the very same alone. */
export interface HpkeContext {
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
}

/** Encrypts for the owner of a P-256 key: `enc`, ciphertext and tag in one. `ephemeral` is for tests alone. Throws where the key is none of P-256. */
export function hpkeSeal(
  receiver: KeyObject,
  { info, aad }: HpkeContext,
  content: Uint8Array,
  cipher: HpkeCipher = AES_256_GCM,
  ephemeral: KeyObject = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
): Uint8Array {
  const enc = pointOf(createPublicKey(ephemeral));
  const dh = diffieHellman({ privateKey: ephemeral, publicKey: receiver });
  const secret = kemSecret(dh, concat(enc, pointOf(receiver)));
  const { key, nonce } = schedule(secret, info, cipher);
  const made = createCipheriv(cipher.name, key, nonce, { authTagLength: TAG_BYTES });
  made.setAAD(aad, { plaintextLength: content.length });
  return concat(enc, made.update(content), made.final(), made.getAuthTag());
}

/** What was sealed; undefined for anything that was not, for this key, with this context. Never throws for any bytes. */
export function hpkeOpen(
  receiver: KeyObject,
  { info, aad }: HpkeContext,
  sealed: Uint8Array,
  cipher: HpkeCipher = AES_256_GCM,
): Uint8Array | undefined {
  if (sealed.length < POINT_BYTES + TAG_BYTES) return undefined;
  const enc = sealed.subarray(0, POINT_BYTES);
  const end = sealed.length - TAG_BYTES;
  try {
    const dh = diffieHellman({ privateKey: receiver, publicKey: keyOfPoint(enc) });
    const secret = kemSecret(dh, concat(enc, pointOf(createPublicKey(receiver))));
    const { key, nonce } = schedule(secret, info, cipher);
    const made = createDecipheriv(cipher.name, key, nonce, { authTagLength: TAG_BYTES });
    made.setAAD(aad, { plaintextLength: end - POINT_BYTES });
    made.setAuthTag(sealed.subarray(end));
    return concat(made.update(sealed.subarray(POINT_BYTES, end)), made.final());
  } catch {
    return undefined;
  }
}

/** `ExtractAndExpand` of RFC 9180 §4.1. */
function kemSecret(dh: Uint8Array, context: Uint8Array): Uint8Array {
  const suite = concat(bytesOf("KEM"), twoBytes(KEM_ID));
  const prk = labeledExtract(suite, new Uint8Array(0), "eae_prk", dh);
  return labeledExpand(suite, prk, { label: "shared_secret", info: context, length: HASH_BYTES });
}

/** `KeySchedule` of §5.1 for base mode, and the nonce of the first message. */
function schedule(
  secret: Uint8Array,
  info: Uint8Array,
  { id, keyBytes }: HpkeCipher,
): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
  const none = new Uint8Array(0);
  const suite = concat(bytesOf("HPKE"), twoBytes(KEM_ID), twoBytes(KDF_ID), twoBytes(id));
  const context = concat(
    Uint8Array.of(BASE_MODE),
    labeledExtract(suite, none, "psk_id_hash", none),
    labeledExtract(suite, none, "info_hash", info),
  );
  const prk = labeledExtract(suite, secret, "secret", none);
  return {
    key: labeledExpand(suite, prk, { label: "key", info: context, length: keyBytes }),
    nonce: labeledExpand(suite, prk, { label: "base_nonce", info: context, length: NONCE_BYTES }),
  };
}

function labeledExtract(
  suite: Uint8Array,
  salt: Uint8Array,
  label: string,
  material: Uint8Array,
): Uint8Array {
  const key = salt.length === 0 ? new Uint8Array(HASH_BYTES) : salt;
  return hmac(key, concat(bytesOf(VERSION), suite, bytesOf(label), material));
}

/** At most one block of SHA-256, which is all that is needed here. */
function labeledExpand(
  suite: Uint8Array,
  prk: Uint8Array,
  { label, info, length }: { label: string; info: Uint8Array; length: number },
): Uint8Array {
  const labeled = concat(twoBytes(length), bytesOf(VERSION), suite, bytesOf(label), info);
  return hmac(prk, concat(labeled, Uint8Array.of(1))).subarray(0, length);
}

function hmac(key: Uint8Array, content: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(content).digest();
}

/** The uncompressed point of a public key. */
function pointOf(key: KeyObject): Uint8Array {
  const { x, y } = key.export({ format: "jwk" });
  const point = concat(Uint8Array.of(4), coordinate(x), coordinate(y));
  if (point.length !== POINT_BYTES) throw new TypeError("the key is none of P-256");
  return point;
}

/** Throws for a point that is not on the curve. */
function keyOfPoint(point: Uint8Array): KeyObject {
  if (point[0] !== 4) throw new TypeError("the point is compressed");
  const text = (from: number): string =>
    Buffer.from(point.subarray(from, from + COORDINATE_BYTES)).toString("base64url");
  const key = { kty: "EC", crv: "P-256", x: text(1), y: text(1 + COORDINATE_BYTES) };
  return createPublicKey({ key, format: "jwk" });
}

function coordinate(text: unknown): Uint8Array {
  return typeof text === "string" ? Buffer.from(text, "base64url") : new Uint8Array(0);
}

function twoBytes(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
