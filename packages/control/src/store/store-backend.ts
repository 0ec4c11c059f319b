// SPDX-License-Identifier: Apache-2.0

// What a back end has to do; backed-store.ts makes a Store of it. Plain values and promises only, so that a back end can live in a thread of its own.

import type {
  ChangeSet,
  ChangeSetRequest,
  DocumentKey,
  DocumentPage,
  Head,
  HeadReading,
  HistoryQuery,
  ListQuery,
  LoadStart,
  ReadOptions,
  StoredDocument,
} from "./store.ts";

/** A lease as a back end keeps it. */
export interface HeldLease {
  readonly name: string;
  readonly term: number;
  /** How long it lasts from the moment it was asked for or renewed, in milliseconds. */
  readonly ttlMs: number;
}

export interface Changes {
  /** The epoch in which these revisions are meant. */
  readonly epoch: number;
  readonly changeSets: readonly ChangeSet[];
}

/** Methods mean what their namesakes of Store do. */
export interface StoreBackend {
  head(options: ReadOptions): Promise<HeadReading>;
  get(
    key: DocumentKey,
    options: ReadOptions & { readonly revision?: number | undefined },
  ): Promise<StoredDocument | undefined>;
  list(query: ListQuery): Promise<DocumentPage>;
  commit(request: ChangeSetRequest): Promise<Head>;
  /** The next change sets after `fromRevision`, waiting until there is one. May return none, and does so when `cancelWait` of the same id is called. */
  changesAfter(fromRevision: number, waitId: number): Promise<Changes>;
  cancelWait(waitId: number): Promise<void>;
  history(query: HistoryQuery): Promise<readonly ChangeSet[]>;
  /** undefined while another has it. */
  tryAcquireLease(name: string, holder: string, ttlMs: number): Promise<HeldLease | undefined>;
  /** False where it was lost. */
  renewLease(lease: HeldLease): Promise<boolean>;
  releaseLease(lease: HeldLease): Promise<void>;
  compact(beforeRevision: number): Promise<void>;
  verify(): Promise<readonly string[]>;
  /** One load at a time: a second start aborts the first. */
  startLoad(start: LoadStart): Promise<void>;
  loadDocuments(batch: readonly StoredDocument[]): Promise<void>;
  loadChangeSets(batch: readonly ChangeSet[]): Promise<void>;
  finishLoad(): Promise<HeadReading>;
  abortLoad(): Promise<void>;
  close(): Promise<void>;
}
