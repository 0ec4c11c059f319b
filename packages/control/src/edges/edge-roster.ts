// SPDX-License-Identifier: Apache-2.0

// The edges that have joined, by name, in the store: whichever control took them in. One that is not listed is refused whatever certificate
// it shows.

import type { StateDocuments } from "../state/state-documents.ts";

export class EdgeRoster {
  readonly #state: StateDocuments;

  constructor(state: StateDocuments) {
    this.#state = state;
  }

  has(name: string): boolean {
    return this.#state.get("Edge", name) !== undefined;
  }

  names(): readonly string[] {
    return [...this.#state.all("Edge")].map(({ name }) => name);
  }

  /** Durable when it resolves. */
  async add(name: string, nowMs: number): Promise<void> {
    const text = JSON.stringify({ joinedAtMs: nowMs });
    await this.#state.write([{ kind: "Edge", name, text }], "join", { edge: name });
  }
}
