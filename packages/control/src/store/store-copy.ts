// SPDX-License-Identifier: Apache-2.0

// The whole of a store as a stream: the documents of the oldest state that it knows, then each change set since. Loaded into another store, it has the same
// revisions and the same audit chain there, in a new epoch.

import {
  genesisHash,
  type ChangeSet,
  type Head,
  type HeadReading,
  type Store,
  type StoredDocument,
} from "./store.ts";
import { headOf } from "./change-set.ts";
import { corrupt } from "./store-error.ts";

/** What the stream begins with. */
export interface CopyStart {
  readonly storeId: string;
  readonly epoch: number;
  /** The documents are those of this head. */
  readonly base: Head;
  /** The last change set of the stream. */
  readonly revision: number;
}

export type CopyBatch =
  | { readonly kind: "documents"; readonly documents: readonly StoredDocument[] }
  | { readonly kind: "changeSets"; readonly changeSets: readonly ChangeSet[] };

export interface StoreCopy {
  readonly start: CopyStart;
  readonly batches: AsyncIterable<CopyBatch>;
}

export interface CopyProgress {
  readonly documents: number;
  readonly changeSets: number;
  /** How many change sets there are in all. */
  readonly changeSetsWanted: number;
}

/** Reads a store as it is now, while it goes on being written. Rejects with STORE_COMPACTED where a compaction overtakes it. */
export async function copyOf(store: Store): Promise<StoreCopy> {
  const { storeId, epoch, revision, oldestRevision } = await store.head();
  const base = await headAt(store, oldestRevision);
  return { start: { storeId, epoch, base, revision }, batches: batchesOf(store, base, revision) };
}

/** As it is now, without its past: what is enough to begin anew with. Rejects as `copyOf`. */
export async function headCopyOf(store: Store): Promise<StoreCopy> {
  const { storeId, epoch, revision } = await store.head();
  const base = await headAt(store, revision);
  return { start: { storeId, epoch, base, revision }, batches: batchesOf(store, base, revision) };
}

async function headAt(store: Store, revision: number): Promise<Head> {
  if (revision === 0) return { revision, changeSetId: "", auditHash: genesisHash, atMs: 0 };
  const [found] = await store.history({ from: revision, to: revision, limit: 1 });
  if (found === undefined)
    throw corrupt(`Cannot copy the store: its oldest change set ${revision} is missing`);
  return headOf(found);
}

async function* batchesOf(store: Store, base: Head, revision: number): AsyncGenerator<CopyBatch> {
  let more: string | undefined;
  do {
    const page = await store.list({ revision: base.revision, continue: more });
    if (page.documents.length > 0) yield { kind: "documents", documents: page.documents };
    more = page.continue;
  } while (more !== undefined);
  let next = Math.max(1, base.revision);
  while (next <= revision) {
    const changeSets = await store.history({ from: next, to: revision });
    const last = changeSets.at(-1);
    if (last === undefined) throw corrupt(`Cannot copy the store: change set ${next} is missing`);
    yield { kind: "changeSets", changeSets };
    next = last.revision + 1;
  }
}

/**
 * Fills `target` with a copy; nothing of it is visible before all is there. The new epoch is the Unix time in seconds where that is more than the next one,
 * so that two restores of one old backup are told apart.
 */
export async function loadCopy(
  target: Store,
  { start, batches }: StoreCopy,
  options: {
    readonly replace: boolean;
    readonly wallMs: number;
    readonly onProgress: (progress: CopyProgress) => void;
  },
): Promise<HeadReading> {
  const { storeId, base } = start;
  const epoch = Math.max(start.epoch + 1, Math.floor(options.wallMs / 1000));
  const load = await target.startLoad({ storeId, epoch, base, replace: options.replace });
  const changeSetsWanted = start.revision - Math.max(0, base.revision - 1);
  let [documents, changeSets] = [0, 0];
  try {
    for await (const batch of batches) {
      if (batch.kind === "documents") {
        await load.documents(batch.documents);
        documents += batch.documents.length;
      } else {
        await load.changeSets(batch.changeSets);
        changeSets += batch.changeSets.length;
      }
      options.onProgress({ documents, changeSets, changeSetsWanted });
    }
    return await load.finish();
  } catch (error) {
    await load.abort().catch(() => undefined);
    throw error;
  }
}
