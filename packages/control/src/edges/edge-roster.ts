// SPDX-License-Identifier: Apache-2.0

// The edges that have joined, by name, in the store: whichever control took them in. One that is not listed is refused whatever certificate
// it shows; one that was revoked is, until it has joined anew, and its certificates of before are for good.

import { member } from "../documents/document-key.ts";
import type { StateDocuments } from "../state/state-documents.ts";

/** What a certificate is good for: all that edges may, or reporting alone. */
export type JoinRole = "edge" | "probe";

interface Entry {
  readonly role: JoinRole;
  /** Of the newest join since it was revoked; undefined for one that may not come. */
  readonly joinedAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
}

export class EdgeRoster {
  readonly #state: StateDocuments;

  constructor(state: StateDocuments) {
    this.#state = state;
  }

  has(name: string): boolean {
    return this.#entry(name)?.joinedAtMs !== undefined;
  }

  /** Whether a certificate that was issued then is taken; dates of certificates are in whole seconds. */
  admits(name: string, issuedAtMs: number): boolean {
    const { joinedAtMs, revokedAtMs = -Infinity } = this.#entry(name) ?? {};
    return joinedAtMs !== undefined && issuedAtMs > revokedAtMs;
  }

  names(): readonly string[] {
    return this.#names((name) => this.has(name));
  }

  /** Those that joined to answer DNS. */
  edges(): readonly string[] {
    return this.names().filter((name) => this.roleOf(name) === "edge");
  }

  /** Those that were revoked and have not joined again. */
  revoked(): readonly string[] {
    return this.#names((name) => !this.has(name));
  }

  /** What it joined as. */
  roleOf(name: string): JoinRole {
    return this.#entry(name)?.role ?? "edge";
  }

  /** Durable when it resolves. */
  async add(name: string, role: JoinRole, nowMs: number): Promise<void> {
    const revokedAtMs = this.#entry(name)?.revokedAtMs;
    await this.#write(name, { role, joinedAtMs: nowMs, revokedAtMs }, "join");
  }

  /** Durable when it resolves; false where there is no such edge. */
  async revoke(name: string, nowMs: number): Promise<boolean> {
    if (!this.has(name)) return false;
    const role = this.roleOf(name);
    await this.#write(name, { role, joinedAtMs: undefined, revokedAtMs: nowMs }, "revoke");
    return true;
  }

  #names(isMeant: (name: string) => boolean): readonly string[] {
    return [...this.#state.all("Edge")].map(({ name }) => name).filter((name) => isMeant(name));
  }

  #entry(name: string): Entry | undefined {
    const stored = this.#state.get("Edge", name);
    if (stored === undefined) return undefined;
    const raw: unknown = JSON.parse(stored.text);
    const atMs = (key: string): number | undefined => {
      const value = member(raw, key);
      return typeof value === "number" ? value : undefined;
    };
    const role = member(raw, "role") === "probe" ? "probe" : "edge";
    return { role, joinedAtMs: atMs("joinedAtMs"), revokedAtMs: atMs("revokedAtMs") };
  }

  async #write(name: string, entry: Entry, verb: string): Promise<void> {
    const text = JSON.stringify(entry);
    await this.#state.write([{ kind: "Edge", name, text }], verb, { edge: name });
  }
}
