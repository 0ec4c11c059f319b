// SPDX-License-Identifier: Apache-2.0

// The embedded back end: one SQLite file, of which one process is the writer. Every commit is on disk before it is acknowledged.

import { DatabaseSync } from "node:sqlite";
import { MeridianError, type Clock } from "@meridian/core";
import { checkRequest, headOf } from "./change-set.ts";
import { ChangeWaiters } from "./change-waiters.ts";
import { openDatabaseFile, storageError } from "./database-file.ts";
import { LastGoodCopy, recover } from "./last-good-copy.ts";
import { pageQueryOf } from "./page-query.ts";
import { historyRange } from "./history-range.ts";
import type { Changes, HeldLease, StoreBackend } from "./store-backend.ts";
import { StoreDatabase } from "./store-database.ts";
import {
  type ChangeSet,
  type ChangeSetRequest,
  type DocumentKey,
  type DocumentPage,
  type Head,
  type HeadReading,
  type HistoryQuery,
  type ListQuery,
  type LoadStart,
  type ReadOptions,
  type StoredDocument,
} from "./store.ts";
import { fenced, inUse, notEmpty, unavailable } from "./store-error.ts";
import { verifyDatabase } from "./verify-database.ts";

export interface SqliteBackendOptions {
  readonly clock: Clock;
  readonly path: string;
  /** Another process may be the writer then; what it writes after the opening is not seen. */
  readonly isReadOnly: boolean;
  /** Told what an operator must know: a recovery, a copy that failed. */
  readonly report: (message: string) => void;
  /** How often the last-good copy is renewed, in milliseconds. */
  readonly copyIntervalMs: number;
}

interface Holding {
  readonly term: number;
  untilMs: number;
}

export class SqliteBackend implements StoreBackend {
  readonly #options: SqliteBackendOptions;
  readonly #lock: DatabaseSync | undefined;
  readonly #database: StoreDatabase;
  readonly #copy: LastGoodCopy | undefined;
  readonly #waiters = new ChangeWaiters();
  readonly #holdings = new Map<string, Holding>();
  #isLoading = false;

  /** Throws STORE_IN_USE, STORE_FOREIGN, STORE_CORRUPT or STORE_UNAVAILABLE; the file is untouched then. */
  constructor(options: SqliteBackendOptions) {
    const { path, isReadOnly, report, copyIntervalMs } = options;
    this.#options = options;
    this.#lock = isReadOnly ? undefined : lockFile(path);
    try {
      this.#database = new StoreDatabase(openOrRecover(options));
    } catch (error) {
      this.#lock?.close();
      throw error;
    }
    if (!isReadOnly)
      this.#copy = new LastGoodCopy(this.#database.connection, {
        path,
        intervalMs: copyIntervalMs,
        report,
      });
  }

  head(_options: ReadOptions): Promise<HeadReading> {
    return this.#do("read head", () => this.#database.reading(0));
  }

  get(
    key: DocumentKey,
    { revision }: { readonly revision?: number | undefined },
  ): Promise<StoredDocument | undefined> {
    return this.#do("read a document", () => {
      const at = revision ?? this.#database.head.revision;
      this.#database.checkReadable(at);
      return this.#database.reader.get(key, at);
    });
  }

  list(query: ListQuery): Promise<DocumentPage> {
    return this.#do("list documents", () => {
      const page = pageQueryOf(query, this.#database.head.revision);
      this.#database.checkReadable(page.revision);
      return this.#database.reader.page(page);
    });
  }

  commit(request: ChangeSetRequest): Promise<Head> {
    return this.#do("commit a change set", () => {
      checkRequest(request);
      const admitted = this.#database.admit(request, this.#options.clock.wallMs());
      if ("done" in admitted) return admitted.done;
      const { lease } = request;
      if (lease !== undefined && !this.#isHeld(lease.name, lease.term))
        throw fenced(lease.name, lease.term);
      this.#database.append(admitted.next);
      this.#waiters.wake();
      return headOf(admitted.next);
    });
  }

  async changesAfter(fromRevision: number, waitId: number): Promise<Changes> {
    const read = (): Promise<Changes> =>
      this.#do("read history", () => ({
        epoch: this.#database.epoch,
        changeSets: this.#database.changesAfter(fromRevision),
      }));
    const changes = await read();
    if (changes.changeSets.length > 0) return changes;
    await this.#waiters.wait(waitId);
    return read();
  }

  cancelWait(waitId: number): Promise<void> {
    this.#waiters.cancel(waitId);
    return Promise.resolve();
  }

  history(query: HistoryQuery): Promise<readonly ChangeSet[]> {
    return this.#do("read history", () => {
      const range = historyRange(query, this.#database);
      return this.#database.reader.changes({ ...query, ...range, withBefore: true });
    });
  }

  tryAcquireLease(name: string, _holder: string, ttlMs: number): Promise<HeldLease | undefined> {
    return this.#do("acquire a lease", () => {
      const now = this.#options.clock.monotonicMs();
      const holding = this.#holdings.get(name);
      if (holding !== undefined && now < holding.untilMs) return undefined;
      const term = this.#database.nextTerm(name);
      this.#holdings.set(name, { term, untilMs: now + ttlMs });
      return { name, term, ttlMs };
    });
  }

  renewLease({ name, term, ttlMs }: HeldLease): Promise<boolean> {
    return this.#do("renew a lease", () => {
      const holding = this.#holdings.get(name);
      if (holding === undefined || !this.#isHeld(name, term)) return false;
      holding.untilMs = this.#options.clock.monotonicMs() + ttlMs;
      return true;
    });
  }

  releaseLease({ name, term }: HeldLease): Promise<void> {
    if (this.#holdings.get(name)?.term === term) this.#holdings.delete(name);
    return Promise.resolve();
  }

  async compact(beforeRevision: number): Promise<void> {
    await this.#do("compact", () => this.#database.checkReadable(beforeRevision));
    // A recovery goes from the copy on by the change sets after it: they must not be gone.
    await this.#copy?.renew();
    await this.#do("compact", () => this.#database.compact(beforeRevision));
  }

  verify(): Promise<readonly string[]> {
    return this.#do("verify the store", () => verifyDatabase(this.#database));
  }

  startLoad(start: LoadStart): Promise<void> {
    if (this.#isLoading) this.#endLoad(false);
    return this.#do("load into the store", () => {
      const { revision } = this.#database.head;
      if (revision > 0 && !start.replace) throw notEmpty(revision);
      const epoch = revision === 0 ? start.epoch : Math.max(start.epoch, this.#database.epoch + 1);
      this.#database.beginLoad({ ...start, epoch });
      this.#isLoading = true;
    });
  }

  loadDocuments(batch: readonly StoredDocument[]): Promise<void> {
    return this.#load(() => this.#database.loadDocuments(batch));
  }

  loadChangeSets(batch: readonly ChangeSet[]): Promise<void> {
    return this.#load(() => this.#database.loadChangeSets(batch));
  }

  finishLoad(): Promise<HeadReading> {
    return this.#load(() => {
      this.#endLoad(true);
      this.#waiters.wake();
      return this.#database.reading(0);
    });
  }

  abortLoad(): Promise<void> {
    if (this.#isLoading) this.#endLoad(false);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#waiters.close();
    await this.#copy?.close();
    if (this.#isLoading) this.#endLoad(false);
    this.#database.close();
    this.#lock?.close();
  }

  #isHeld(name: string, term: number): boolean {
    const holding = this.#holdings.get(name);
    return (
      holding !== undefined &&
      holding.term === term &&
      this.#options.clock.monotonicMs() < holding.untilMs
    );
  }

  #endLoad(isKept: boolean): void {
    this.#isLoading = false;
    this.#database.endLoad(isKept);
  }

  #load<Value>(body: () => Value): Promise<Value> {
    if (!this.#isLoading)
      return Promise.reject(unavailable("Cannot load into the store: no load was started"));
    return settle("load into the store", body);
  }

  #do<Value>(attempt: string, body: () => Value): Promise<Value> {
    if (this.#isLoading)
      return Promise.reject(unavailable(`Cannot ${attempt}: the store is being loaded`));
    return settle(attempt, body);
  }
}

async function settle<Value>(attempt: string, body: () => Value): Promise<Value> {
  try {
    return await Promise.resolve(body());
  } catch (error) {
    throw storageError(attempt, error);
  }
}

function openOrRecover({ path, isReadOnly, report }: SqliteBackendOptions): DatabaseSync {
  const open = (): DatabaseSync => openDatabaseFile({ path, isDurable: true, isReadOnly });
  try {
    return open();
  } catch (error) {
    if (isReadOnly || !(error instanceof MeridianError) || error.code !== "STORE_CORRUPT")
      throw error;
    recover(path, error, report);
    return open();
  }
}

/** Held as long as the process lives, whatever ends it: SQLite's own lock on a file beside the store. */
function lockFile(path: string): DatabaseSync {
  const lock = new DatabaseSync(`${path}.lock`, { timeout: 0 });
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    throw error instanceof Error && "errcode" in error && error.errcode === 5
      ? inUse(`"${path}"`)
      : storageError(`lock the store "${path}"`, error);
  }
}
