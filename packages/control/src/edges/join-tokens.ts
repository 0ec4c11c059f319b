// SPDX-License-Identifier: Apache-2.0

// Invitations of edges: each is for one name, once, and not for long. The store has their hashes, and sees to it that of two controls that
// are shown the same token one takes it.

import { createHash, randomBytes } from "node:crypto";
import { member } from "../documents/document-key.ts";
import type { JoinRole } from "./edge-roster.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";

const SECRET_BYTES = 32;
/** A token that has expired is known for this long, so that whoever uses it is told so. */
const KEPT_MS = 7 * 24 * 3_600_000;
/** Expired tokens that are forgotten at once. */
const FORGOTTEN_MAX = 100;

interface KnownToken {
  readonly edge: string;
  readonly role: JoinRole;
  readonly expiresAtMs: number;
  readonly usedAtMs?: number;
}

export class JoinTokens {
  readonly #state: StateDocuments;

  constructor(state: StateDocuments) {
    this.#state = state;
  }

  /** The secret of a new token, which is kept nowhere. */
  async create(
    { edge, role, expiresAtMs }: Omit<KnownToken, "usedAtMs">,
    nowMs: number,
  ): Promise<string> {
    const secret = randomBytes(SECRET_BYTES).toString("base64url");
    const token = JSON.stringify({ edge, role, expiresAtMs } satisfies KnownToken);
    const made: StateWrite = { kind: "JoinToken", name: hashOf(secret), text: token };
    await this.#state.write([made, ...this.#forgotten(nowMs)], "invite", { edge });
    return secret;
  }

  /** The edge that a secret invites, used up from now on; or why it invites none. */
  async use(secret: string, nowMs: number): Promise<Pick<KnownToken, "edge" | "role"> | string> {
    const name = hashOf(secret);
    for (;;) {
      if (this.#state.get("JoinToken", name) === undefined) await this.#state.refresh();
      const stored = this.#state.get("JoinToken", name);
      const token = stored === undefined ? undefined : tokenIn(stored.text);
      if (stored === undefined || token === undefined)
        return "the token is not of this control plane";
      const { edge, role, expiresAtMs, usedAtMs } = token;
      if (usedAtMs !== undefined)
        return `the token for "${edge}" was used at ${timeOf(usedAtMs)}, expected one that was not`;
      if (expiresAtMs <= nowMs) return `the token for "${edge}" expired at ${timeOf(expiresAtMs)}`;
      const text = JSON.stringify({ ...token, usedAtMs: nowMs } satisfies KnownToken);
      const used: StateWrite = { kind: "JoinToken", name, text, ifRevision: stored.revision };
      if (await this.#state.write([used], "join", { edge })) return { edge, role };
    }
  }

  #forgotten(nowMs: number): StateWrite[] {
    const writes: StateWrite[] = [];
    for (const { name, text } of this.#state.all("JoinToken")) {
      const token = tokenIn(text);
      const isOld = token === undefined || token.expiresAtMs < nowMs - KEPT_MS;
      if (isOld && writes.length < FORGOTTEN_MAX)
        writes.push({ kind: "JoinToken", name, text: undefined });
    }
    return writes;
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function tokenIn(text: string): KnownToken | undefined {
  const raw: unknown = JSON.parse(text);
  const [edge, expiresAtMs] = [member(raw, "edge"), member(raw, "expiresAtMs")];
  const usedAtMs = member(raw, "usedAtMs");
  if (typeof edge !== "string" || typeof expiresAtMs !== "number") return undefined;
  const role = member(raw, "role") === "probe" ? "probe" : "edge";
  return { edge, role, expiresAtMs, ...(typeof usedAtMs === "number" ? { usedAtMs } : {}) };
}
