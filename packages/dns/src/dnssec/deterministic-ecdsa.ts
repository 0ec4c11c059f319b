// SPDX-License-Identifier: Apache-2.0
//
// ECDSA over P-256 and SHA-256 without randomness (RFC 6979): whoever has the key makes the same
// signature of the same bytes, so that servers that share a key show one zone. node:crypto draws its
// nonces, so the nonce is derived here; the curve's arithmetic stays OpenSSL's: the point of a nonce
// is what ECDH calls its public key. What is left is one division modulo the group's order, blinded
// by a random factor, so that its time says nothing of the nonce.

import { createECDH, createHash, createHmac, randomBytes, type KeyObject } from "node:crypto";

const SCALAR_BYTES = 32;
/** Order of the group of P-256 (FIPS 186-5). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

export class DeterministicEcdsa {
  readonly #secret: Uint8Array;
  readonly #scalar: bigint;
  readonly #ecdh = createECDH("prime256v1");

  /** Throws for a key that is no private key of P-256. */
  constructor(privateKey: KeyObject) {
    const { crv, d } = privateKey.export({ format: "jwk" });
    if (crv !== "P-256" || d === undefined)
      throw new TypeError(`Cannot sign with a key of "${crv}", expected a private key of P-256`);
    this.#secret = Buffer.from(d, "base64url");
    this.#scalar = toNumber(this.#secret);
  }

  /** r | s, 32 bytes each. */
  sign(message: Uint8Array): Uint8Array {
    const digest = toNumber(createHash("sha256").update(message).digest());
    const nonces = new Nonces(this.#secret, toBytes(digest % ORDER));
    for (;;) {
      const nonce = nonces.next();
      const k = toNumber(nonce);
      if (k === 0n || k >= ORDER) continue;
      this.#ecdh.setPrivateKey(nonce);
      const r = toNumber(this.#ecdh.getPublicKey().subarray(1, 1 + SCALAR_BYTES)) % ORDER;
      const blind = (toNumber(randomBytes(SCALAR_BYTES)) % (ORDER - 1n)) + 1n;
      const top = (blind * (digest + r * this.#scalar)) % ORDER;
      const s = (inverse((k * blind) % ORDER) * top) % ORDER;
      if (r !== 0n && s !== 0n) return Buffer.concat([toBytes(r), toBytes(s)]);
    }
  }
}

/** RFC 6979 §3.2: an endless row of numbers that only the key and the message decide. */
class Nonces {
  #key: Uint8Array = new Uint8Array(SCALAR_BYTES);
  #value: Uint8Array = new Uint8Array(SCALAR_BYTES).fill(1);
  #isFirst = true;

  constructor(secret: Uint8Array, digest: Uint8Array) {
    for (const step of [0, 1]) this.#advance(Uint8Array.of(step), secret, digest);
  }

  next(): Uint8Array {
    if (!this.#isFirst) this.#advance(Uint8Array.of(0));
    this.#isFirst = false;
    this.#value = this.#hmac();
    return this.#value;
  }

  #advance(...parts: readonly Uint8Array[]): void {
    this.#key = this.#hmac(...parts);
    this.#value = this.#hmac();
  }

  #hmac(...parts: readonly Uint8Array[]): Uint8Array {
    const hmac = createHmac("sha256", this.#key).update(this.#value);
    for (const part of parts) hmac.update(part);
    return hmac.digest();
  }
}

/** Modulo the group's order, which is prime (extended Euclid). */
function inverse(value: bigint): bigint {
  let [low, high] = [value, ORDER];
  let [x, y] = [1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [low, high] = [high - quotient * low, low];
    [x, y] = [y - quotient * x, x];
  }
  return x < 0n ? x + ORDER : x;
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function toBytes(number: bigint): Uint8Array {
  return Buffer.from(number.toString(16).padStart(SCALAR_BYTES * 2, "0"), "hex");
}
