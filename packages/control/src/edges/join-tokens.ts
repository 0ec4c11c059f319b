// SPDX-License-Identifier: Apache-2.0

// Invitations of edges: each is for one name, once, and not for long. Only hashes of them are kept.

import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { writeDurably } from "@meridian/snapshot/disk";

const SECRET_BYTES = 32;
/** A token that has expired is known for this long, so that whoever uses it is told so. */
const KEPT_MS = 7 * 24 * 3_600_000;
/** Most tokens that are kept; of more the oldest are forgotten. */
const TOKENS_MAX = 1000;

interface KnownToken {
  /** SHA-256 of the secret, in hex. */
  readonly hash: string;
  readonly edge: string;
  readonly expiresAtMs: number;
  readonly usedAtMs?: number;
}

export class JoinTokens {
  readonly #path: string;
  #tokens: readonly KnownToken[];

  constructor(path: string) {
    this.#path = path;
    this.#tokens = readTokens(path);
  }

  /** The secret of a new token, which is kept nowhere. */
  create(edge: string, expiresAtMs: number, nowMs: number): string {
    const secret = randomBytes(SECRET_BYTES).toString("base64url");
    const young = this.#tokens.filter((token) => token.expiresAtMs > nowMs - KEPT_MS);
    this.#write([...young, { hash: hashOf(secret), edge, expiresAtMs }].slice(-TOKENS_MAX));
    return secret;
  }

  /** The edge that a secret invites, used up from now on; or why it invites none. */
  use(secret: string, nowMs: number): { readonly edge: string } | string {
    const hash = hashOf(secret);
    const token = this.#tokens.find((known) => known.hash === hash);
    if (token === undefined) return "the token is not of this control plane";
    if (token.usedAtMs !== undefined)
      return `the token for "${token.edge}" was used at ${timeOf(token.usedAtMs)}, expected one that was not`;
    if (token.expiresAtMs <= nowMs)
      return `the token for "${token.edge}" expired at ${timeOf(token.expiresAtMs)}`;
    // On disk first: a crash must not leave it to be used again.
    this.#write(
      this.#tokens.map((known) => (known === token ? { ...known, usedAtMs: nowMs } : known)),
    );
    return { edge: token.edge };
  }

  #write(tokens: readonly KnownToken[]): void {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    writeDurably(this.#path, `${JSON.stringify(tokens, undefined, 1)}\n`);
    this.#tokens = tokens;
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function readTokens(path: string): readonly KnownToken[] {
  if (!existsSync(path)) return [];
  const raw: unknown = JSON.parse(readFileSync(path, "utf8"));
  return Array.isArray(raw) ? raw.filter(isKnownToken) : [];
}

function isKnownToken(raw: unknown): raw is KnownToken {
  if (typeof raw !== "object" || raw === null) return false;
  const member = (name: string): unknown => Reflect.get(raw, name);
  const usedAtMs = member("usedAtMs");
  return (
    typeof member("hash") === "string" &&
    typeof member("edge") === "string" &&
    typeof member("expiresAtMs") === "number" &&
    (usedAtMs === undefined || typeof usedAtMs === "number")
  );
}
