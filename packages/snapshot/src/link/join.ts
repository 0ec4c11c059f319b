// SPDX-License-Identifier: Apache-2.0

// How an edge that has no certificate yet proves that it was invited, and that it has the key it names.

import { createHash } from "node:crypto";

const FORM = /^mrj_([A-Za-z0-9_-]{43})_([0-9a-f]{64})$/;

/** `mrj_SECRET_FINGERPRINT`: what an edge is given to join once. */
export interface JoinToken {
  /** 256 random bits in base64url. */
  readonly secret: string;
  /** SHA-256 of the authority's certificate (DER) in hex: whoever shows another one is not the control that is meant. */
  readonly fingerprint: string;
}

/** What an edge sends to join. */
export interface JoinRequest {
  readonly secret: string;
  /** P-256, SPKI in base64. */
  readonly publicKey: string;
  /** ECDSA with SHA-256 over `joinStatement()`, in base64. */
  readonly signature: string;
}

export function parseJoinToken(text: string): JoinToken | undefined {
  const [, secret, fingerprint] = FORM.exec(text) ?? [];
  return secret === undefined || fingerprint === undefined ? undefined : { secret, fingerprint };
}

/** What is signed: it holds for this token, this authority and this key alone. */
export function joinStatement({ secret, fingerprint }: JoinToken, publicKey: string): Uint8Array {
  const secretHash = createHash("sha256").update(secret).digest("hex");
  return new TextEncoder().encode(
    `Meridian edge join 1\n${fingerprint}\n${secretHash}\n${publicKey}\n`,
  );
}
