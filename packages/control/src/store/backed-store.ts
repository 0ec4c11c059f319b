// SPDX-License-Identifier: Apache-2.0

// A Store made of a back end: watching and leases, which are loops of small requests to it.

import { setTimeout as sleep } from "node:timers/promises";
import { MeridianError, type Clock } from "@meridian/core";
import { HeldStoreLease } from "./held-store-lease.ts";
import type { StoreBackend } from "./store-backend.ts";
import { invalidRequest, replaced } from "./store-error.ts";
import type {
  ChangeSet,
  ChangeSetRequest,
  DocumentKey,
  DocumentPage,
  Head,
  HeadReading,
  HistoryQuery,
  Lease,
  ListQuery,
  LoadStart,
  ReadOptions,
  Store,
  StoredDocument,
  StoreLoad,
} from "./store.ts";

const LEASE_TTL_MS_MIN = 1000;
const LEASE_TTL_MS_MAX = 300_000;
/** How often a lease that another holds is asked for again. */
const LEASE_POLL_MS = 250;

export class BackedStore implements Store {
  readonly #clock: Clock;
  readonly #backend: StoreBackend;
  readonly #closing = new AbortController();
  #lastWaitId = 0;

  constructor(clock: Clock, backend: StoreBackend) {
    this.#clock = clock;
    this.#backend = backend;
  }

  head(options: ReadOptions = {}): Promise<HeadReading> {
    return this.#backend.head(options);
  }

  get(
    key: DocumentKey,
    options: ReadOptions & { readonly revision?: number | undefined } = {},
  ): Promise<StoredDocument | undefined> {
    return this.#backend.get(key, options);
  }

  list(query: ListQuery): Promise<DocumentPage> {
    return this.#backend.list(query);
  }

  commit(request: ChangeSetRequest): Promise<Head> {
    return this.#backend.commit(request);
  }

  async *watch(fromRevision: number, signal: AbortSignal): AsyncGenerator<ChangeSet> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    const waitId = ++this.#lastWaitId;
    const cancel = (): void => void this.#backend.cancelWait(waitId).catch(() => undefined);
    ended.addEventListener("abort", cancel);
    try {
      let revision = fromRevision;
      let epoch: number | undefined;
      while (!ended.aborted) {
        const changes = await this.#backend.changesAfter(revision, waitId);
        // After a restore the same revisions mean something else.
        if (epoch !== undefined && changes.epoch !== epoch) throw replaced(revision, changes.epoch);
        epoch = changes.epoch;
        for (const changeSet of changes.changeSets) {
          if (ended.aborted) return;
          revision = changeSet.revision;
          yield changeSet;
        }
      }
    } finally {
      ended.removeEventListener("abort", cancel);
    }
  }

  history(query: HistoryQuery): Promise<readonly ChangeSet[]> {
    return this.#backend.history(query);
  }

  async acquireLease(
    name: string,
    holder: string,
    ttlMs: number,
    signal: AbortSignal,
  ): Promise<Lease> {
    if (!(ttlMs >= LEASE_TTL_MS_MIN && ttlMs <= LEASE_TTL_MS_MAX))
      throw invalidRequest(
        `Cannot acquire the lease "${name}": its time is ${ttlMs} ms, expected ${LEASE_TTL_MS_MIN} to ${LEASE_TTL_MS_MAX}`,
      );
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    for (;;) {
      ended.throwIfAborted();
      const askedMs = this.#clock.monotonicMs();
      const held = await this.#tryAcquire(name, holder, ttlMs);
      if (held !== undefined) {
        const lease = new HeldStoreLease(this.#clock, this.#backend, held, askedMs);
        if (!ended.aborted) return lease;
        await lease.release();
      }
      await sleep(LEASE_POLL_MS, undefined, { signal: ended });
    }
  }

  compact(beforeRevision: number): Promise<void> {
    return this.#backend.compact(beforeRevision);
  }

  verify(): Promise<readonly string[]> {
    return this.#backend.verify();
  }

  async startLoad(start: LoadStart): Promise<StoreLoad> {
    const backend = this.#backend;
    await backend.startLoad(start);
    return {
      documents: (batch) => backend.loadDocuments(batch),
      changeSets: (batch) => backend.loadChangeSets(batch),
      finish: () => backend.finishLoad(),
      abort: () => backend.abortLoad(),
    };
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("The store was closed"));
    await this.#backend.close();
  }

  /** A store that cannot be asked now is asked again: who waits for a lease waits for that, too. */
  async #tryAcquire(
    name: string,
    holder: string,
    ttlMs: number,
  ): ReturnType<StoreBackend["tryAcquireLease"]> {
    try {
      return await this.#backend.tryAcquireLease(name, holder, ttlMs);
    } catch (error) {
      if (error instanceof MeridianError && error.code === "STORE_UNAVAILABLE") return undefined;
      throw error;
    }
  }
}
