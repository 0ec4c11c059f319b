// SPDX-License-Identifier: Apache-2.0

import type { EdgeView } from "./edge-hub.ts";
import type { EdgeRoster } from "./edge-roster.ts";

/** Edges that are refused, and when that was first seen here, of a clock that never goes back. */
export class RevokedEdges {
  readonly #roster: Pick<EdgeRoster, "revoked">;
  readonly #sinceMs = new Map<string, number>();

  constructor(roster: Pick<EdgeRoster, "revoked">) {
    this.#roster = roster;
  }

  /** Looks, and gives all there are. */
  note(nowMs: number): readonly { readonly name: string; readonly atMs: number }[] {
    const revoked = new Set(this.#roster.revoked());
    for (const name of this.#sinceMs.keys()) if (!revoked.has(name)) this.#sinceMs.delete(name);
    for (const name of revoked) if (!this.#sinceMs.has(name)) this.#sinceMs.set(name, nowMs);
    return [...this.#sinceMs].map(([name, atMs]) => ({ name, atMs }));
  }

  /** As `get edges` shows them. */
  views(): EdgeView[] {
    return this.#roster.revoked().map(revokedView);
  }
}

function revokedView(name: string): EdgeView {
  return {
    name,
    connected: false,
    standing: "revoked",
    epoch: undefined,
    revision: undefined,
    sequence: undefined,
    lastWordMs: undefined,
    staleMs: undefined,
    answers: undefined,
    version: undefined,
    address: undefined,
  };
}
