// SPDX-License-Identifier: Apache-2.0

// The one truth of a control plane: documents by key, each change of them a *change set* with the next revision.
//
//   change set 1 ─► change set 2 ─► … ─► change set n = head        revisions have no gap
//
// A reader sees the documents as they were at one revision, never a mixture; a writer's change set is there whole or not at all; who watches
// gets every change set once and in order. Both back ends (an SQLite file, an etcd cluster) mean the same by all of this:
// store.contract.ts is run against each. How they do it: docs/internals/store.md.

/** Which document. Kinds that belong to the whole cluster, and Meridian's own state, may have the namespace "". */
export interface DocumentKey {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface StoredDocument {
  readonly key: DocumentKey;
  /** The whole document, as it was written. */
  readonly text: string;
  /** Revision that wrote it last. */
  readonly revision: number;
  /** Revision that created it; a document that was deleted and written again is a new one. */
  readonly createdRevision: number;
}

export interface Write {
  readonly key: DocumentKey;
  /** New text; undefined deletes (also what is not there). */
  readonly text: string | undefined;
  /** Refuses the whole change set (STORE_CONFLICT) unless this is the document's revision; 0 = must not exist. */
  readonly ifRevision?: number | undefined;
}

/** What a writer asks for; `changeSetWritesMax` and `changeSetBytesMax` bound it (STORE_TOO_LARGE). */
export interface ChangeSetRequest {
  /**
   * Makes a repetition harmless: a request with the id of a change set that history still has is answered with that change set's head, so a
   * lost acknowledgement doubles nothing. 1 to 64 letters, digits, "-" and "_".
   */
  readonly id: string;
  /** No key twice. May be empty: then it only records its cause. */
  readonly writes: readonly Write[];
  /** Revision that the writer has validated against; where head is another, STORE_CONFLICT: validate anew, try again. */
  readonly ifHead?: number | undefined;
  /** Who, what and why as JSON text; kept with the change set and part of the audit chain. */
  readonly cause: string;
  /** A lease that the writer must hold still, else STORE_FENCED. */
  readonly lease?: { readonly name: string; readonly term: number } | undefined;
}

/** The newest change set. An empty store has revision 0, the id "" and the audit hash `genesisHash`. */
export interface Head {
  readonly revision: number;
  readonly changeSetId: string;
  /** Hex of SHA-256 over the audit hash before it and this change set (`auditHashOf`). */
  readonly auditHash: string;
  /** Wall time of the commit in milliseconds since 1970; never less than that of the change set before. */
  readonly atMs: number;
}

/** Head, and whose it is. */
export interface HeadReading extends Head {
  /** The same for the life of a store, its backups and migrations. */
  readonly storeId: string;
  /** Grows with each restore: (epoch, revision) never goes back, even where a restored revision does. */
  readonly epoch: number;
  /** Oldest revision whose documents and change set are still known; 0 while nothing was compacted. */
  readonly oldestRevision: number;
  /** How long ago this was known to be head, in milliseconds: 0 for a strong read. */
  readonly ageMs: number;
}

/** A committed change set; `changeSetId` is the id of its request. */
export interface ChangeSet extends Head {
  readonly cause: string;
  readonly writes: readonly DocumentWrite[];
}

export interface DocumentWrite {
  readonly key: DocumentKey;
  /** undefined where it was deleted. */
  readonly text: string | undefined;
  /** Only from `history`: the text it replaced; undefined where there was none, or it is compacted away. */
  readonly before?: string | undefined;
}

export interface ReadOptions {
  /** Answer from what this replica has, without asking the others: possible without a quorum. */
  readonly stale?: boolean | undefined;
}

export interface ListQuery extends ReadOptions {
  readonly kind?: string | undefined;
  readonly namespace?: string | undefined;
  /** State to read; head where left out. */
  readonly revision?: number | undefined;
  /** Most documents of one page, 1 to `pageDocumentsMax`; a page also ends at `pageBytesMax`. */
  readonly limit?: number | undefined;
  /** From the page before: goes on in that page's revision. */
  readonly continue?: string | undefined;
}

export interface DocumentPage {
  /** In the order of (kind, namespace, name). */
  readonly documents: readonly StoredDocument[];
  readonly revision: number;
  /** There where more follow. */
  readonly continue?: string;
}

export interface HistoryQuery extends ReadOptions {
  /** Only the change set of the request with this id; then what else is asked for does not matter. */
  readonly id?: string | undefined;
  /** First and last revision wanted; the oldest known and head where left out. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Only change sets that wrote this document, and only that write of theirs. */
  readonly key?: DocumentKey | undefined;
  readonly newestFirst?: boolean | undefined;
  /** Most change sets, 1 to `historyMax`. A reply ends earlier where it would exceed `pageBytesMax`; it holds one at least. */
  readonly limit?: number | undefined;
}

/** A lease that is held. It renews itself until it is released or lost. */
export interface Lease {
  readonly name: string;
  /** Grows with each holder; give it to `commit`, which refuses that of a former holder. */
  readonly term: number;
  /** Aborts as soon as the lease is no longer sure to be held. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/** What a backup or another store brings. */
export interface LoadStart {
  readonly storeId: string;
  /** Least epoch of the loaded store; where the target holds something, its epoch is exceeded, too. */
  readonly epoch: number;
  /** The documents given first are those of this head; every change set after it follows. */
  readonly base: Head;
  /** Replace what the target holds; without it a target that is not empty refuses (STORE_NOT_EMPTY). */
  readonly replace: boolean;
}

/** Fills a store with the state of another, revisions and audit chain included. Nothing is visible before `finish`. */
export interface StoreLoad {
  documents(batch: readonly StoredDocument[]): Promise<void>;
  /** Consecutive ones; the one of `base.revision` itself may come first. Throws STORE_CORRUPT where the audit chain breaks. */
  changeSets(batch: readonly ChangeSet[]): Promise<void>;
  finish(): Promise<HeadReading>;
  /** Forgets what was given so far; the target is as before. */
  abort(): Promise<void>;
}

/**
 * Reads are strong unless `stale`: they see every change set that was acknowledged before they began, on whichever replica. Where that cannot be
 * known in a few seconds they reject with STORE_UNAVAILABLE. A revision that is compacted rejects with STORE_COMPACTED, one that is not there yet
 * with STORE_REVISION_UNKNOWN.
 */
export interface Store {
  head(options?: ReadOptions): Promise<HeadReading>;
  get(
    key: DocumentKey,
    options?: ReadOptions & { readonly revision?: number | undefined },
  ): Promise<StoredDocument | undefined>;
  list(query: ListQuery): Promise<DocumentPage>;
  /**
   * Makes the change set durable and visible, or refuses it whole. STORE_UNAVAILABLE may leave open which: repeat the request with its id.
   * Two requests without preconditions on each other are both taken, in some order.
   */
  commit(request: ChangeSetRequest): Promise<Head>;
  /**
   * Every change set after `fromRevision`, in order, none left out or doubled, whatever connection is lost meanwhile. A slow reader holds up
   * nobody: it reads history at its own pace, and rejects with STORE_COMPACTED where that is gone. Ends where `signal` aborts.
   */
  watch(fromRevision: number, signal: AbortSignal): AsyncIterable<ChangeSet>;
  /** Change sets with the text that each write replaced. */
  history(query: HistoryQuery): Promise<readonly ChangeSet[]>;
  /** Waits until the lease is held; rejects with the reason of `signal` where that aborts first. `ttlMs` from 1,000 to 300,000. */
  acquireLease(name: string, holder: string, ttlMs: number, signal: AbortSignal): Promise<Lease>;
  /** Forgets what only revisions before this one need. */
  compact(beforeRevision: number): Promise<void>;
  /** Reads everything and says what is wrong with it: audit chain, versions, missing parts. Empty where all is well. */
  verify(): Promise<readonly string[]>;
  startLoad(start: LoadStart): Promise<StoreLoad>;
  close(): Promise<void>;
}

/** Writes in one change set. */
export const changeSetWritesMax = 10_000;
/** UTF-8 bytes of the keys, texts and cause of one change set. */
export const changeSetBytesMax: number = 64 * 1024 * 1024;
/** Documents in one page of a list. */
export const pageDocumentsMax = 10_000;
/** UTF-16 units of text after which a page of documents or change sets ends. */
export const pageBytesMax: number = 8 * 1024 * 1024;
/** Change sets in one answer of `history`. */
export const historyMax = 1000;
/** The audit hash before the first change set. */
export const genesisHash: string = "0".repeat(64);
