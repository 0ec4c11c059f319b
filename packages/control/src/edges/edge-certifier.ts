// SPDX-License-Identifier: Apache-2.0

// Certificates for edges and probes: a first one for a token, later ones for the one before.

import { createPublicKey, verify } from "node:crypto";
import { MeridianError } from "@meridian/core";
import { joinStatement, type JoinRequest } from "@meridian/snapshot";
import type { Logger } from "../embedded-options.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";
import type { EdgeRoster, JoinRole } from "./edge-roster.ts";
import type { JoinTokens } from "./join-tokens.ts";
import { CERTIFICATE_MS } from "./limits.ts";

export interface EdgeCertifierOptions {
  readonly authority: CertificateAuthority;
  readonly tokens: JoinTokens;
  readonly roster: EdgeRoster;
  /** A certificate that was made for an edge ends then. */
  readonly certified: (edge: string, endsAtMs: number) => void;
  readonly logger: Logger;
  readonly wallMs: () => number;
}

export class EdgeCertifier {
  readonly #options: EdgeCertifierOptions;

  constructor(options: EdgeCertifierOptions) {
    this.#options = options;
  }

  /** Takes a token for a certificate. Rejects with EDGE_JOIN_REFUSED and the reason. */
  async join(body: string, address: string): Promise<object> {
    const { tokens, authority, roster, wallMs, logger } = this.#options;
    const request = joinRequestIn(body);
    if (request === undefined) throw refusal("the request is no join");
    const { secret, publicKey, signature } = request;
    const statement = joinStatement({ secret, fingerprint: authority.fingerprint }, publicKey);
    const key = Buffer.from(publicKey, "base64");
    if (!isSignedBy(key, statement, Buffer.from(signature, "base64")))
      throw refusal("the signature is not of the key that is to be certified");
    const used = await tokens.use(secret, wallMs());
    if (typeof used === "string") throw refusal(used);
    const { edge, role } = used;
    const answer = await this.#sign(edge, role, key);
    await roster.add(edge, role, wallMs());
    logger.info({ edge, role, address }, "An edge joined");
    return answer;
  }

  /** For one that has shown the certificate before. */
  renew(edge: string, role: JoinRole, body: string): Promise<object> {
    return this.#sign(edge, role, publicKeyIn(body));
  }

  async #sign(edge: string, role: JoinRole, publicKey: Uint8Array): Promise<object> {
    const { authority, wallMs, certified } = this.#options;
    const nowMs = wallMs();
    const certificate = await authority.signEdge(edge, role, publicKey, nowMs);
    certified(edge, nowMs + CERTIFICATE_MS);
    return { edge, certificate };
  }
}

function refusal(reason: string): MeridianError {
  return new MeridianError("EDGE_JOIN_REFUSED", "user", `Cannot join: ${reason}`);
}

function isSignedBy(publicKey: Uint8Array, statement: Uint8Array, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    return (
      key.asymmetricKeyDetails?.namedCurve === "prime256v1" &&
      verify("sha256", statement, key, signature)
    );
  } catch {
    return false;
  }
}

function memberIn(body: string, name: string): string | undefined {
  try {
    const raw: unknown = JSON.parse(body);
    const value: unknown =
      typeof raw === "object" && raw !== null ? Reflect.get(raw, name) : undefined;
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}

function joinRequestIn(body: string): JoinRequest | undefined {
  const [secret, publicKey, signature] = ["secret", "publicKey", "signature"].map((name) =>
    memberIn(body, name),
  );
  return secret === undefined || publicKey === undefined || signature === undefined
    ? undefined
    : { secret, publicKey, signature };
}

/** Who renews has shown a certificate, and signs with the key of the connection: only the new key is named. */
function publicKeyIn(body: string): Uint8Array {
  return Buffer.from(memberIn(body, "publicKey") ?? "", "base64");
}
