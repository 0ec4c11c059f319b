// SPDX-License-Identifier: Apache-2.0

// Meridian's own state in the store, beside the documents of its users: who has joined, what was published, who leads. Every replica has
// it, reads it from what it has seen of the store, and changes it by compare-and-set, so that of two that try only one does.

import { randomUUID } from "node:crypto";
import { MeridianError } from "@meridian/core";
import type { DocumentSet } from "../documents/document-set.ts";
import type {
  ChangeSetRequest,
  DocumentKey,
  Store,
  StoredDocument,
  Write,
} from "../store/store.ts";

/** What state is about. None of these is a kind of document. */
export type StateKind =
  | "Approval"
  | "Authority"
  | "CompiledHosts"
  | "CompiledMark"
  | "CompiledSerial"
  | "ControlFence"
  | "ControlStates"
  | "CookieSecrets"
  | "DrillRecord"
  | "Edge"
  | "JoinToken"
  | "Latch"
  | "Published"
  | "RecoveryMark"
  | "RecoveryRun"
  | "Replica"
  | "RollOut"
  | "RolloutRun"
  | "RunningShift"
  | "Shards"
  | "WeightOverride"
  | "ZoneCopy"
  | "ZoneCopyPart"
  | "ZoneNotified"
  | "ZoneKeys";

/** One change of state: a new text, or undefined to delete. */
export interface StateWrite {
  readonly kind: StateKind;
  readonly name: string;
  readonly text: string | undefined;
  /** Revision that it must have; 0 = must not exist; any where left out. */
  readonly ifRevision?: number | undefined;
}

/** What state is read from and written to. */
export interface StateSource {
  readonly store: Store;
  /** What was last seen of the store. */
  readonly documents: DocumentSet;
  /** Looks at the store now. */
  refresh(): Promise<void>;
}

export class StateDocuments {
  readonly #source: StateSource;

  constructor(source: StateSource) {
    this.#source = source;
  }

  get store(): Store {
    return this.#source.store;
  }

  /** Everything that was last seen of the store; another object when something has changed. */
  get documents(): DocumentSet {
    return this.#source.documents;
  }

  /** As it was when the store was last looked at. */
  get(kind: StateKind, name: string): Pick<StoredDocument, "text" | "revision"> | undefined {
    return this.#source.documents.get(keyOf(kind, name));
  }

  /** Names and texts of a kind. */
  *all(kind: StateKind): Generator<{ readonly name: string; readonly text: string }> {
    for (const { key, text } of this.#source.documents.ofKind(kind)) yield { name: key.name, text };
  }

  refresh(): Promise<void> {
    return this.#source.refresh();
  }

  /**
   * Durable when it resolves; false where a revision is another by now. `verb` and `about` are what the audit log says of it. Rejects with STORE_UNAVAILABLE, and with
   * STORE_FENCED where `lease` is held no more.
   */
  async write(
    writes: readonly StateWrite[],
    verb: string,
    about: object,
    lease?: ChangeSetRequest["lease"],
  ): Promise<boolean> {
    const { store } = this.#source;
    try {
      await store.commit({
        id: randomUUID(),
        writes: storeWrites(writes),
        cause: JSON.stringify({ verb, who: { subject: "control" }, ...about }),
        ...(lease === undefined ? {} : { lease }),
      });
    } catch (error) {
      if (!(error instanceof MeridianError) || error.code !== "STORE_CONFLICT") throw error;
      await this.#source.refresh();
      return false;
    }
    await this.#source.refresh();
    return true;
  }
}

/** The same as the store is given them. */
export function storeWrites(writes: readonly StateWrite[]): Write[] {
  return writes.map(({ kind, name, ...rest }) => ({ key: keyOf(kind, name), ...rest }));
}

function keyOf(kind: StateKind, name: string): DocumentKey {
  return { kind, namespace: "", name };
}
