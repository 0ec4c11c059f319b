// SPDX-License-Identifier: Apache-2.0
//
// The DNSSEC algorithms that Meridian signs with, and their keys between the forms of DNSKEY rdata
// and of node:crypto: RSA/SHA-256 (RFC 5702, RFC 3110 §2), ECDSA P-256 (RFC 6605 §4) and Ed25519
// (RFC 8080 §3).

import { createPublicKey, type KeyObject } from "node:crypto";

/** Algorithm numbers of DNSKEY, RRSIG and DS (IANA "DNS Security Algorithm Numbers"). */
export const DnssecAlgorithm = { RSASHA256: 8, ECDSAP256SHA256: 13, ED25519: 15 } as const;

/** Digest types of DS and CDS that Meridian makes and compares (RFC 4509, RFC 6605 §2). */
export const DsDigest = { SHA256: 2, SHA384: 4 } as const;

const EC_COORDINATE_BYTES = 32;
const ED25519_KEY_BYTES = 32;
const RSA_KEY_BYTES_MAX = 1024;

/**
 * The public key field of DNSKEY rdata for a key (private or public) of the algorithm. Undefined
 * where the key is of another kind.
 */
export function publicKeyField(algorithm: number, key: KeyObject): Uint8Array | undefined {
  const { kty, crv, x, y, n, e } = (key.type === "private" ? createPublicKey(key) : key).export({
    format: "jwk",
  });
  switch (algorithm) {
    case DnssecAlgorithm.ECDSAP256SHA256:
      return crv === "P-256" && x !== undefined && y !== undefined ? joined(x, y) : undefined;
    case DnssecAlgorithm.ED25519:
      return crv === "Ed25519" && x !== undefined ? joined(x) : undefined;
    case DnssecAlgorithm.RSASHA256:
      return kty === "RSA" && n !== undefined && e !== undefined ? rsaField(e, n) : undefined;
    default:
      return undefined;
  }
}

/** The key that DNSKEY rdata's public key field holds; undefined for bytes that hold none. */
export function publicKeyOf(algorithm: number, field: Uint8Array): KeyObject | undefined {
  try {
    switch (algorithm) {
      case DnssecAlgorithm.ECDSAP256SHA256:
        return field.length === 2 * EC_COORDINATE_BYTES ? ecKey(field) : undefined;
      case DnssecAlgorithm.ED25519:
        return field.length === ED25519_KEY_BYTES
          ? jwkKey({ kty: "OKP", crv: "Ed25519", x: base64Url(field) })
          : undefined;
      case DnssecAlgorithm.RSASHA256:
        return rsaKey(field);
      default:
        return undefined;
    }
  } catch {
    return undefined; // Not a point of the curve, or no modulus.
  }
}

function ecKey(field: Uint8Array): KeyObject {
  const x = base64Url(field.subarray(0, EC_COORDINATE_BYTES));
  const y = base64Url(field.subarray(EC_COORDINATE_BYTES));
  return jwkKey({ kty: "EC", crv: "P-256", x, y });
}

/** RFC 3110 §2: the exponent's length in one byte, or in three of which the first is 0. */
function rsaKey(field: Uint8Array): KeyObject | undefined {
  const isLong = field[0] === 0;
  const start = isLong ? 3 : 1;
  const exponentBytes = isLong ? ((field[1] ?? 0) << 8) | (field[2] ?? 0) : (field[0] ?? 0);
  const exponent = field.subarray(start, start + exponentBytes);
  const modulus = field.subarray(start + exponentBytes);
  return exponentBytes === 0 || modulus.length === 0 || field.length > RSA_KEY_BYTES_MAX
    ? undefined
    : jwkKey({ kty: "RSA", e: base64Url(exponent), n: base64Url(modulus) });
}

function rsaField(exponentText: string, modulusText: string): Uint8Array {
  const exponent = Buffer.from(exponentText, "base64url");
  const length =
    exponent.length < 256 ? [exponent.length] : [0, exponent.length >> 8, exponent.length & 0xff];
  return new Uint8Array(
    Buffer.concat([Buffer.from(length), exponent, Buffer.from(modulusText, "base64url")]),
  );
}

function jwkKey(key: Record<string, string>): KeyObject {
  return createPublicKey({ key, format: "jwk" });
}

function joined(...parts: readonly string[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part, "base64url"))));
}

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}
