// SPDX-License-Identifier: Apache-2.0

// Tokens of an OpenID provider (OpenID Connect Core 1.0, RFC 9068): JSON Web Tokens that its keys have signed for us. Its keys are read from
// where its discovery document says, kept, and read again when a token names one that is not known, at most every half minute.

import { reasonOf } from "@meridian/core";
import type { RoleMember } from "@meridian/model";
import type { JWTVerifyGetKey } from "jose";
import { RequestRefusal } from "../request-refusal.ts";

const FETCH_MS_MAX = 5000;
const KEYS_COOLDOWN_MS = 30_000;
const KEYS_AGE_MS_MAX = 600_000;
const CLOCK_SKEW_SECONDS = 60;
const GROUPS_MAX = 1000;
/** Signatures with keys that only the provider has: none that both sides know. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "EdDSA",
];

const providerCodes: ReadonlySet<string> = new Set(["ERR_JOSE_GENERIC", "ERR_JWKS_TIMEOUT"]);

export interface OidcOptions {
  /** As tokens and the discovery document say it. */
  readonly issuer: string;
  /** Whom tokens have to be made for. */
  readonly audience: string;
  /** Claim that says who it is; `sub` is always there. */
  readonly subjectClaim: string;
  /** Claim with the groups: a text or a list of them. */
  readonly groupsClaim: string;
}

/** Who a token stands for. */
export interface OidcIdentity {
  /** Whom the audit log shows. */
  readonly subject: string;
  readonly proofs: readonly RoleMember[];
}

export class Oidc {
  readonly #options: OidcOptions;
  readonly #nowMs: () => number;
  /** How long keys may not be read again for one that is not known. */
  readonly #cooldownMs: number;
  #keys: Promise<JWTVerifyGetKey> | undefined;

  constructor(options: OidcOptions, nowMs: () => number, cooldownMs: number = KEYS_COOLDOWN_MS) {
    this.#options = options;
    this.#nowMs = nowMs;
    this.#cooldownMs = cooldownMs;
  }

  /** Who a token stands for, or why it is not taken. Throws ACCESS_ISSUER_UNREACHABLE where that cannot be known now. */
  async read(token: string): Promise<OidcIdentity | string> {
    const { issuer, audience, subjectClaim, groupsClaim } = this.#options;
    const { jwtVerify, errors } = await import("jose");
    try {
      const { payload } = await jwtVerify(token, await this.#provider(), {
        issuer,
        audience,
        algorithms,
        clockTolerance: CLOCK_SKEW_SECONDS,
        currentDate: new Date(this.#nowMs()),
        requiredClaims: ["exp", "sub"],
      });
      const name = claim(payload, subjectClaim);
      if (typeof name !== "string" || name === "")
        return `its claim "${subjectClaim}" is no text, expected who it stands for`;
      const groups = groupsOf(claim(payload, groupsClaim));
      return { subject: `oidc:${name}`, proofs: [{ subject: name }, ...groups] };
    } catch (error) {
      if (error instanceof RequestRefusal) throw error;
      // What is no word about the token is one about the provider; jose has one code for whatever its keys' address answers.
      if (!(error instanceof errors.JOSEError) || providerCodes.has(error.code))
        throw unreachable(issuer, reasonOf(error));
      if (error instanceof errors.JWTExpired) return "it has expired";
      return `it is not good: ${error.message}`;
    }
  }

  /** Where keys are looked up; found once, and looked for again after a failure. */
  #provider(): Promise<JWTVerifyGetKey> {
    this.#keys ??= this.#discover().catch((error: unknown) => {
      this.#keys = undefined;
      throw unreachable(this.#options.issuer, reasonOf(error));
    });
    return this.#keys;
  }

  async #discover(): Promise<JWTVerifyGetKey> {
    const { issuer } = this.#options;
    const { createRemoteJWKSet } = await import("jose");
    const url = `${issuer.replace(/\/+$/, "")}/.well-known/openid-configuration`;
    const response = await fetch(url, {
      redirect: "error",
      signal: AbortSignal.timeout(FETCH_MS_MAX),
    });
    if (!response.ok) throw new Error(`"${url}" answered ${response.status}`);
    const document: unknown = await response.json();
    const named = claim(document, "issuer");
    const keys = claim(document, "jwks_uri");
    if (named !== issuer)
      throw new Error(`it says it is ${JSON.stringify(named)}, expected "${issuer}"`);
    if (typeof keys !== "string" || !URL.canParse(keys)) throw new Error("it has no jwks_uri");
    return createRemoteJWKSet(new URL(keys), {
      timeoutDuration: FETCH_MS_MAX,
      cooldownDuration: this.#cooldownMs,
      cacheMaxAge: KEYS_AGE_MS_MAX,
    });
  }
}

/** Whether a bearer token has the form of a JSON Web Token. */
export function isJwt(text: string): boolean {
  return /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(text);
}

function claim(payload: unknown, name: string): unknown {
  return typeof payload === "object" && payload !== null && Object.hasOwn(payload, name)
    ? Reflect.get(payload, name)
    : undefined;
}

function groupsOf(value: unknown): RoleMember[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values
    .slice(0, GROUPS_MAX)
    .flatMap((group) => (typeof group === "string" ? [{ group }] : []));
}

function unreachable(issuer: string, reason: string): RequestRefusal {
  return new RequestRefusal(
    "ACCESS_ISSUER_UNREACHABLE",
    `Cannot take the token: the provider "${issuer}" cannot be asked: ${reason}`,
  );
}
