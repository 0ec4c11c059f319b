// SPDX-License-Identifier: Apache-2.0

// The distributed back end: the log of change sets in etcd (etcd-log.ts), a mirror of it in this replica (etcd-mirror.ts). docs/internals/store.md tells how
// the two keep the promises of Store.

import type { Clock } from "@meridian/core";
import { checkRequest, headOf } from "../change-set.ts";
import { openDatabaseFile } from "../database-file.ts";
import { historyRange } from "../history-range.ts";
import { pageQueryOf } from "../page-query.ts";
import type { Changes, HeldLease, StoreBackend } from "../store-backend.ts";
import { StoreDatabase } from "../store-database.ts";
import type { EtcdLocation } from "../store-location.ts";
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
} from "../store.ts";
import { unavailable } from "../store-error.ts";
import { verifyDatabase } from "../verify-database.ts";
import { EtcdCompaction } from "./etcd-compaction.ts";
import { EtcdConnection, isUnavailable, type EtcdWire } from "./etcd-connection.ts";
import { EtcdLayout, type EtcdHead, type Staged } from "./etcd-layout.ts";
import { EtcdLeases } from "./etcd-leases.ts";
import { EtcdLoad } from "./etcd-load.ts";
import { EtcdLog } from "./etcd-log.ts";
import { EtcdMirror } from "./etcd-mirror.ts";
import { verifyEtcd } from "./verify-etcd.ts";
import { EtcdWatch } from "./etcd-watch.ts";

/** After this a commit gives up, though it may be taken still. */
const COMMIT_TIMEOUT_MS = 15_000;

export class EtcdBackend implements StoreBackend {
  readonly #clock: Clock;
  readonly #connection: EtcdWire;
  readonly #log: EtcdLog;
  readonly #leases: EtcdLeases;
  readonly #mirror: EtcdMirror;
  readonly #watch: EtcdWatch;
  readonly #compaction: EtcdCompaction;
  #load: EtcdLoad | undefined;
  /** Commits of this replica come one after another; with those of others they compete for head. */
  #lastCommit: Promise<unknown> = Promise.resolve();

  private constructor(clock: Clock, location: EtcdLocation, connection: EtcdWire) {
    this.#clock = clock;
    const layout = new EtcdLayout(location.prefix);
    const path = location.mirrorPath ?? ":memory:";
    this.#connection = connection;
    this.#log = new EtcdLog(connection, layout, location.isReadOnly);
    this.#leases = new EtcdLeases(connection, layout);
    this.#mirror = new EtcdMirror({
      clock,
      log: this.#log,
      sleep: (ms, signal) => connection.sleep(ms, signal),
      layout,
      database: new StoreDatabase(openDatabaseFile({ path, isDurable: false, isReadOnly: false })),
    });
    const mirror = this.#mirror;
    this.#compaction = new EtcdCompaction(this.#log, this.#leases, mirror);
    this.#watch = new EtcdWatch({
      connection,
      layout,
      onEntry: (entry) => mirror.push(entry),
      onGap: () => void mirror.catchUp().catch(() => undefined),
    });
  }

  /** Rejects with STORE_UNAVAILABLE where neither etcd can be asked nor a mirror from before is there. */
  static async open(
    clock: Clock,
    location: EtcdLocation,
    wire: EtcdWire = new EtcdConnection(clock, location),
  ): Promise<EtcdBackend> {
    const backend = new EtcdBackend(clock, location, wire);
    try {
      await backend.#mirror.catchUp();
    } catch (error) {
      if (isUnavailable(error) && backend.#mirror.database.head.revision > 0) return backend;
      await backend.close();
      throw error;
    }
    return backend;
  }

  async head({ stale = false }: ReadOptions): Promise<HeadReading> {
    await this.#ready(stale);
    return this.#mirror.reading(stale);
  }

  async get(
    key: DocumentKey,
    { revision, stale = false }: ReadOptions & { readonly revision?: number | undefined },
  ): Promise<StoredDocument | undefined> {
    const database = await this.#ready(stale);
    const at = revision ?? database.head.revision;
    database.checkReadable(at);
    return database.reader.get(key, at);
  }

  async list(query: ListQuery): Promise<DocumentPage> {
    const database = await this.#ready(query.stale ?? false);
    const page = pageQueryOf(query, database.head.revision);
    database.checkReadable(page.revision);
    return database.reader.page(page);
  }

  async history(query: HistoryQuery): Promise<readonly ChangeSet[]> {
    const database = await this.#ready(query.stale ?? false);
    return database.reader.changes({
      ...query,
      ...historyRange(query, database),
      withBefore: true,
    });
  }

  commit(request: ChangeSetRequest): Promise<Head> {
    const done = this.#lastCommit.then(() => this.#commit(request));
    this.#lastCommit = done.catch(() => undefined);
    return done;
  }

  async changesAfter(fromRevision: number, waitId: number): Promise<Changes> {
    const { database, waiters } = this.#mirror;
    if (fromRevision > database.head.revision) await this.#mirror.catchUp();
    if (database.changesAfter(fromRevision).length === 0) await waiters.wait(waitId);
    return { epoch: database.epoch, changeSets: database.changesAfter(fromRevision) };
  }

  cancelWait(waitId: number): Promise<void> {
    this.#mirror.waiters.cancel(waitId);
    return Promise.resolve();
  }

  tryAcquireLease(name: string, holder: string, ttlMs: number): Promise<HeldLease | undefined> {
    return this.#leases.tryAcquire(name, holder, ttlMs);
  }

  renewLease(lease: HeldLease): Promise<boolean> {
    return this.#leases.renew(lease);
  }

  releaseLease(lease: HeldLease): Promise<void> {
    return this.#leases.release(lease);
  }

  compact(beforeRevision: number): Promise<void> {
    return this.#compaction.run(beforeRevision);
  }

  async verify(): Promise<readonly string[]> {
    const head = await this.#mirror.catchUp();
    const { database } = this.#mirror;
    return [...verifyDatabase(database), ...(await verifyEtcd(this.#log, head))];
  }

  async startLoad(start: LoadStart): Promise<void> {
    this.#load = await EtcdLoad.start(this.#log, this.#mirror, start);
  }

  loadDocuments(batch: readonly StoredDocument[]): Promise<void> {
    return this.#loading().documents(batch);
  }

  loadChangeSets(batch: readonly ChangeSet[]): Promise<void> {
    return this.#loading().changeSets(batch);
  }

  async finishLoad(): Promise<HeadReading> {
    await this.#loading().finish();
    this.#load = undefined;
    await this.#mirror.catchUp();
    return this.#mirror.reading(false);
  }

  abortLoad(): Promise<void> {
    const load = this.#load;
    this.#load = undefined;
    return load?.abort() ?? Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#watch.close();
    this.#connection.close();
    await this.#lastCommit;
    await this.#mirror.close();
  }

  async #ready(isStale: boolean): Promise<StoreDatabase> {
    if (!isStale) await this.#mirror.catchUp();
    return this.#mirror.database;
  }

  #loading(): EtcdLoad {
    if (this.#load === undefined)
      throw unavailable("Cannot load into the store: no load was started");
    return this.#load;
  }

  async #commit(request: ChangeSetRequest): Promise<Head> {
    checkRequest(request);
    const untilMs = this.#clock.monotonicMs() + COMMIT_TIMEOUT_MS;
    let staged: (Staged & { readonly generation: string }) | undefined;
    for (;;) {
      const admitted = await this.#admit(request);
      if ("done" in admitted) return admitted.done;
      const { next, before } = admitted;
      const { generation } = before;
      if (staged?.generation !== generation)
        staged = { generation, ...(await this.#log.stage(generation, next)) };
      const outcome = await this.#tryCommit(before, next, staged, request);
      if (outcome === "done") {
        this.#mirror.took({ ...before, head: headOf(next) }, next);
        return headOf(next);
      }
      if (this.#clock.monotonicMs() > untilMs)
        throw unavailable("Cannot commit a change set: others commit all the time");
      if (outcome === "stageGone") staged = undefined;
      await this.#mirror.catchUp();
    }
  }

  /** What the request becomes after the head that the mirror has. Where that refuses it, etcd may have a newer one that does not. */
  async #admit(
    request: ChangeSetRequest,
  ): Promise<{ done: Head } | { next: ChangeSet; before: EtcdHead }> {
    const admit = (): { done: Head } | { next: ChangeSet; before: EtcdHead } | undefined => {
      const before = this.#mirror.known;
      if (before === undefined) return undefined;
      return { ...this.#mirror.database.admit(request, this.#clock.wallMs()), before };
    };
    try {
      const admitted = admit();
      if (admitted !== undefined) return admitted;
    } catch {
      // Asked again below, of what etcd has now.
    }
    for (;;) {
      await this.#mirror.catchUp();
      const admitted = admit();
      if (admitted !== undefined) return admitted;
    }
  }

  /** Whether a transaction without an answer was done shows in the log: by its id. */
  async #tryCommit(
    before: EtcdHead,
    next: ChangeSet,
    staged: Staged,
    { lease }: ChangeSetRequest,
  ): ReturnType<EtcdLog["commit"]> {
    try {
      return await this.#log.commit(before, headOf(next), staged, lease);
    } catch (error) {
      if (isUnavailable(error)) return "headMoved";
      throw error;
    }
  }
}
