// SPDX-License-Identifier: Apache-2.0

// What one replica knows of the store in etcd: the same SQLite database as the embedded store's, brought up to date from the log. Reads are answered here.
//
// A strong read asks etcd's quorum for head alone, waits until the mirror has it, and reads here: so it costs one small request, however many documents it
// lists, and several that come at once share that. A stale read says how long ago the mirror was last known to have head.

import type { Clock } from "@meridian/core";
import { ChangeWaiters } from "../change-waiters.ts";
import type { StoreDatabase } from "../store-database.ts";
import type { ChangeSet, HeadReading } from "../store.ts";
import { corrupt } from "../store-error.ts";
import { decodeLogEntry, type EtcdHead, type EtcdLayout, type LogEntry } from "./etcd-layout.ts";
import type { EtcdLog } from "./etcd-log.ts";
import type { KeyValue } from "./etcd-messages.ts";

/** How often head is asked for where nobody else asks. */
const HEARTBEAT_MS = 1000;

export interface EtcdMirrorOptions {
  readonly clock: Clock;
  readonly log: EtcdLog;
  /** Resolves after `ms`, or as soon as `signal` aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly layout: EtcdLayout;
  readonly database: StoreDatabase;
}

export class EtcdMirror {
  readonly database: StoreDatabase;
  readonly waiters: ChangeWaiters = new ChangeWaiters();
  readonly #clock: Clock;
  readonly #log: EtcdLog;
  readonly #layout: EtcdLayout;
  readonly #closing = new AbortController();
  readonly #beating: Promise<void>;
  /** Head as etcd last told it. */
  #known: EtcdHead | undefined;
  #isFounded = false;
  /** Monotonic milliseconds at which the mirror had head for sure. */
  #freshAtMs: number | undefined;
  #catchingUp: Promise<EtcdHead> | undefined;
  #queued: Promise<EtcdHead> | undefined;

  constructor({ clock, log, layout, database, sleep }: EtcdMirrorOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#layout = layout;
    this.database = database;
    this.#beating = this.#beat(sleep);
  }

  reading(isStale: boolean): HeadReading {
    return this.database.reading(isStale ? this.#ageMs() : 0);
  }

  /** Head in etcd where the mirror has exactly that, as far as it knows. */
  get known(): EtcdHead | undefined {
    const known = this.#known;
    return known !== undefined && this.#holds(known) ? known : undefined;
  }

  /** Resolves when the mirror has a head that was asked for after this call. */
  catchUp(): Promise<EtcdHead> {
    if (this.#catchingUp === undefined) {
      this.#catchingUp = this.#read().finally(() => (this.#catchingUp = undefined));
      return this.#catchingUp;
    }
    // The one that runs may have asked too early; one after it does for all who wait.
    this.#queued ??= this.#catchingUp
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined;
        return this.catchUp();
      });
    return this.#queued;
  }

  /** A change set that this replica committed. */
  took(head: EtcdHead, changeSet: ChangeSet): void {
    this.#append(head, changeSet);
    this.#learn(head);
  }

  /** An entry that etcd pushed. */
  push({ key, value }: KeyValue): void {
    const generation = this.#layout.generationIn(key);
    const entry = decodeLogEntry(value);
    const known = this.#known;
    const isNext = entry.head.revision === this.database.head.revision + 1;
    if (known?.generation === generation && isNext && entry.parts === 0)
      void this.#log
        .readChangeSet(generation, entry)
        .then((changeSet) => this.took({ ...known, head: entry.head }, changeSet))
        .catch(() => undefined);
    else if (entry.head.revision > this.database.head.revision || known?.generation !== generation)
      void this.catchUp().catch(() => undefined);
  }

  async close(): Promise<void> {
    this.waiters.close();
    this.#closing.abort();
    await this.#beating;
    await this.#catchingUp?.catch(() => undefined);
    this.database.close();
  }

  async #beat(sleep: EtcdMirrorOptions["sleep"]): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await sleep(HEARTBEAT_MS, signal);
      if (!signal.aborted && this.#ageMs() >= HEARTBEAT_MS)
        await this.catchUp().catch(() => undefined);
    }
  }

  #ageMs(): number {
    const since = this.#freshAtMs;
    const { atMs } = this.database.head;
    return since === undefined
      ? Math.max(0, this.#clock.wallMs() - atMs)
      : Math.round(this.#clock.monotonicMs() - since);
  }

  async #read(): Promise<EtcdHead> {
    if (!this.#isFounded) await this.#log.found();
    this.#isFounded = true;
    const askedAtMs = this.#clock.monotonicMs();
    const { storeId, epoch, head } = this.database;
    const target = await this.#log.readHead();
    const isSame = target.storeId === storeId && target.epoch === epoch;
    if (isSame && target.head.revision < head.revision) throw wentBack(head.revision, target);
    if (isSame && target.base.head.revision <= this.database.head.revision) {
      // First, since an id that a compaction forgot may have been taken again after it.
      this.#compactTo(target);
      await this.#readChanges(target);
    } else await this.#load(target);
    this.#learn(target);
    this.#freshAtMs = askedAtMs;
    return target;
  }

  async #readChanges(target: EtcdHead): Promise<void> {
    while (this.database.head.revision < target.head.revision) {
      const from = this.database.head.revision + 1;
      const entries = await this.#log.readEntries(target, from);
      if (entries.length === 0)
        throw corrupt(`Cannot read change set ${from} from etcd: it is gone`);
      for (const entry of entries) await this.#take(target, entry);
    }
    if (this.database.head.revision === target.head.revision && !this.#holds(target))
      throw wentBack(this.database.head.revision, target);
  }

  async #take(target: EtcdHead, entry: LogEntry): Promise<void> {
    const changeSet = await this.#log.readChangeSet(target.generation, entry);
    this.#append(target, changeSet);
  }

  /** A push or a commit may have brought a newer one meanwhile. */
  #learn(head: EtcdHead): void {
    if (this.#known === undefined || !isNewer(this.#known, head)) this.#known = head;
  }

  /** Nothing where the mirror has it already: pushes, commits and reads bring the same ones. */
  #append({ storeId, epoch }: EtcdHead, changeSet: ChangeSet): void {
    const { database } = this;
    if (storeId !== database.storeId || epoch !== database.epoch) return;
    if (changeSet.revision !== database.head.revision + 1) return;
    database.append(changeSet);
    this.waiters.wake();
  }

  /** Everything anew: for a new replica, and after a restore. */
  async #load(target: EtcdHead): Promise<void> {
    const { storeId, epoch, base, head } = target;
    const documents = await this.#log.readBase(target);
    const changeSets: ChangeSet[] = [];
    let next = Math.max(1, base.head.revision);
    while (next <= head.revision) {
      const entries = await this.#log.readEntries(target, next);
      const last = entries.at(-1);
      if (last === undefined && next === base.head.revision) {
        next++;
        continue;
      }
      if (last === undefined) throw corrupt(`Cannot read change set ${next} from etcd: it is gone`);
      for (const entry of entries)
        changeSets.push(await this.#log.readChangeSet(target.generation, entry));
      next = last.head.revision + 1;
    }
    // In one go: nobody sees a part of it.
    this.database.beginLoad({ storeId, epoch, base: base.head });
    let isKept = false;
    try {
      for (const batch of documents) this.database.loadDocuments(batch);
      this.database.loadChangeSets(changeSets);
      isKept = true;
    } finally {
      this.database.endLoad(isKept);
    }
    this.#known = target;
    this.waiters.wake();
  }

  #compactTo({ base }: EtcdHead): void {
    if (base.head.revision > this.database.base.revision) this.database.compact(base.head.revision);
  }

  #holds({ storeId, epoch, head }: EtcdHead): boolean {
    const { database } = this;
    return (
      storeId === database.storeId &&
      epoch === database.epoch &&
      head.revision === database.head.revision &&
      head.auditHash === database.head.auditHash
    );
  }
}

function isNewer(a: EtcdHead, b: EtcdHead): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.head.revision > b.head.revision);
}

function wentBack(revision: number, { head }: EtcdHead): Error {
  return corrupt(
    `Cannot follow etcd: its head is revision ${head.revision}, this replica has seen another revision ${revision}; restore a backup, which begins a new epoch`,
  );
}
