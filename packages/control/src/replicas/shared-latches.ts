// SPDX-License-Identifier: Apache-2.0

// Latches of failover nodes, equal at every control: each moves one down as soon as a tier fails, all by the same verdicts; the leader
// alone lets one return, and records where it is. What is recorded counts for all, also after all of them were started anew.

import { createHash, randomUUID } from "node:crypto";
import { reasonOf } from "@meridian/core";
import type { DeclaredLatch } from "@meridian/health";
import { member } from "../documents/document-key.ts";
import type { LatchPosition, Logger } from "../embedded-options.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";
import type { Leadership } from "./leadership.ts";

export class SharedLatches {
  readonly #state: StateDocuments;
  readonly #leadership: Leadership;
  readonly #logger: Logger;
  /** What this process wrote itself is no news to it. */
  readonly #own: string = randomUUID();
  #moved: readonly LatchPosition[] | undefined;
  #isWriting = false;

  constructor(state: StateDocuments, leadership: Leadership, logger: Logger) {
    this.#state = state;
    this.#leadership = leadership;
    this.#logger = logger;
  }

  /** As `SharedPublication.latch`. */
  latch(node: string, declared: string): Pick<DeclaredLatch, "recorded" | "isDownOnly"> {
    const { isLeader } = this.#leadership;
    const stored = this.#state.get("Latch", node);
    const raw: unknown = stored === undefined ? undefined : JSON.parse(stored.text);
    const tier = member(raw, "tier");
    const isOther = member(raw, "declared") !== hashOf(declared);
    const isOwn = isLeader && member(raw, "by") === this.#own;
    if (stored === undefined || typeof tier !== "number" || isOther || isOwn)
      return { isDownOnly: !isLeader };
    return { isDownOnly: !isLeader, recorded: { tier, revision: stored.revision } };
  }

  /** Where latches are here now; recorded where this control leads. */
  moved(latches: readonly LatchPosition[]): void {
    this.#moved = latches;
    this.record();
  }

  /** To be called when this control has begun to lead, too. */
  record(): void {
    const { lease } = this.#leadership;
    const latches = this.#moved;
    if (lease === undefined || latches === undefined || this.#isWriting) return;
    const writes = latches.flatMap((latch) => this.#writeOf(latch) ?? []);
    if (writes.length === 0) return;
    this.#isWriting = true;
    this.#state
      .write(writes, "latch", { latches: writes.map(({ name }) => name) }, lease)
      .then(() => {
        this.#isWriting = false;
        // It may have moved on meanwhile.
        if (this.#moved !== latches) this.record();
      })
      .catch((error: unknown) => {
        this.#isWriting = false;
        this.#logger.warn({ reason: reasonOf(error) }, "Cannot record where latches are");
      });
  }

  /** Records a position that counts for all, this control included. Durable when it resolves. */
  async order({ name, tier, declared }: LatchPosition): Promise<void> {
    const text = JSON.stringify({ tier, declared: hashOf(declared), by: "" });
    await this.#state.write([{ kind: "Latch", name, text }], "failback", { latch: name });
  }

  #writeOf({ name, tier, declared }: LatchPosition): StateWrite | undefined {
    const stored = this.#state.get("Latch", name);
    const raw: unknown = stored === undefined ? undefined : JSON.parse(stored.text);
    const isSame = member(raw, "tier") === tier && member(raw, "declared") === hashOf(declared);
    const isFirst = stored === undefined && tier === 1;
    if (isSame || isFirst) return undefined;
    const text = JSON.stringify({ tier, declared: hashOf(declared), by: this.#own });
    return { kind: "Latch", name, text, ifRevision: stored?.revision ?? 0 };
  }
}

function hashOf(declared: string): string {
  return createHash("sha256").update(declared).digest("hex");
}
