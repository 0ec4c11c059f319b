// SPDX-License-Identifier: Apache-2.0

// Clients, a network and one embedded store in one thread under a virtual clock; equal seeds, equal runs. Messages are lost, late, doubled and overtake
// each other; the store's process dies at any moment, and its file comes back as the kernel had it, with a torn write at the end of its log; replicas lag.
// The store is the real one, and so is what the clients reach it through (BackedStore); the wire between is the simulation's.

import { appendFileSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeridianError, Pcg32 } from "@meridian/core";
import type { DocumentKey, StoredChangeSet } from "@meridian/control";
import {
  BackedStore,
  SqliteBackend,
  type StoreBackend,
} from "../../packages/control/src/testing/store-parts.ts";
import { EventTime } from "./event-time.ts";
import type { History } from "./operation.ts";
import { HistoryList, Recorder } from "./recorder.ts";
import { Client, recordWatch, type SessionAnswer, type StorePort } from "./workload.ts";

const CLIENTS = 4;
const WATCHES = 2;
const ACTIONS = 25;
const PAUSE_MS = 30;
const LATENCY_MS = 12;
const LATE_MS = 150;
const CALL_TIMEOUT_MS = 60;
const LEASE_MS = 200;
const REPLICAS = 2;
/** Revisions that a replica is behind at most. */
const LAG_MAX = 5;
/** Percent of messages. */
const LOST = 4;
const DOUBLED = 4;
const LATE = 4;
/** Mean time between two deaths of the store's process. */
const DEATH_MS = 300;

/** What a fault puts around a store, or around a replica's decision to answer. */
export interface Plant {
  readonly backend?: (backend: StoreBackend, random: Pcg32) => StoreBackend;
  readonly mayAnswer?: (applied: number, wanted: number) => boolean;
}

export class StoreSimulation {
  readonly #random: Pcg32;
  readonly #time = new EventTime();
  readonly #plant: Plant;
  readonly #root: string;
  readonly #list = new HistoryList();
  readonly #recorder: Recorder;
  readonly #applied: number[] = Array.from({ length: REPLICAS }, () => 0);
  #ticks = 0;
  #deaths = 0;
  #server: StoreBackend;
  #path: string;
  readonly #port: StorePort;
  #isFaulty = true;

  /** `root`: an empty folder for this run. */
  constructor(seed: number, root: string, plant: Plant = {}) {
    this.#random = new Pcg32(seed);
    this.#plant = plant;
    this.#root = root;
    this.#recorder = new Recorder(() => ++this.#ticks, this.#list);
    this.#path = this.#newPath();
    this.#server = this.#open();
    this.#port = this.#newPort();
  }

  get deaths(): number {
    return this.#deaths;
  }

  async run(): Promise<History> {
    const ended = new AbortController();
    const watches = Array.from({ length: WATCHES }, (_, index) =>
      recordWatch(this.#options(`w${index}`), ended.signal),
    );
    const clients = Array.from({ length: CLIENTS }, (_, index) =>
      new Client(this.#options(`c${index}`)).run(ACTIONS, PAUSE_MS),
    );
    this.#planDeath();
    await this.#time.until(Promise.all(clients));
    this.#isFaulty = false;
    // What is left when everything is still.
    const last = new Client(this.#options("last"));
    await this.#time.until(this.#time.sleep(2 * LATE_MS).then(() => last.list()));
    ended.abort();
    await this.#time.until(Promise.all(watches));
    await this.#server.close();
    this.#recorder.close();
    return this.#list.operations;
  }

  #options(name: string) {
    return {
      ...{ name, from: 0, recorder: this.#recorder, port: this.#port },
      random: new Pcg32(this.#random.next32()),
      sleep: (ms: number) => this.#time.sleep(ms),
    };
  }

  #below(limit: number): number {
    return Math.floor((this.#random.next32() / 2 ** 32) * limit);
  }

  /** How long each copy of a message takes; none where it is lost. */
  #copies(): number[] {
    if (!this.#isFaulty) return [1];
    const one = (): number => 1 + this.#below(this.#below(100) < LATE ? LATE_MS : LATENCY_MS);
    if (this.#below(100) < LOST) return [];
    return this.#below(100) < DOUBLED ? [one(), 1 + this.#below(LATE_MS)] : [one()];
  }

  /** One question over the wire. `timeoutMs` is the client's; a question that waits for news has none, but breaks off with the process. */
  #call<Answer>(
    ask: (server: StoreBackend) => Promise<Answer>,
    timeoutMs?: number,
  ): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const none = (): void => reject(unavailable());
    if (timeoutMs !== undefined) this.#time.after(timeoutMs, none);
    const reply = (deliver: () => void): void => {
      for (const ms of this.#copies()) this.#time.after(ms, deliver);
    };
    for (const ms of this.#copies())
      this.#time.after(ms, () => {
        const server = this.#server;
        // Where the process is gone by then, its answer is, too.
        const answered = (deliver: () => void): void =>
          server === this.#server ? reply(deliver) : none();
        ask(server).then(
          (answer) => answered(() => resolve(answer)),
          (error: unknown) =>
            answered(() => reject(error instanceof Error ? error : new Error(String(error)))),
        );
      });
    return promise;
  }

  #newPort(): StorePort {
    const wire: StoreBackend = new Proxy(this.#server, {
      get: (_target, method: keyof StoreBackend) => {
        const isWaiting = method === "changesAfter";
        return (...parameters: unknown[]) =>
          this.#call<unknown>(
            async (server) => {
              const answer: unknown = await Reflect.apply(server[method], server, parameters);
              return answer;
            },
            isWaiting ? 5 * CALL_TIMEOUT_MS : CALL_TIMEOUT_MS,
          );
      },
    });
    const store = new BackedStore(this.#time.clock, wire);
    return {
      head: async () => (await store.head()).revision,
      get: (key) => store.get(key),
      list: (query) => store.list(query),
      commit: (request) => store.commit(request),
      watch: (from, signal): AsyncIterable<StoredChangeSet> => store.watch(from, signal),
      acquire: (name, holder) =>
        this.#call((server) => server.tryAcquireLease(name, holder, LEASE_MS), CALL_TIMEOUT_MS),
      sessionGet: (key, revision) =>
        this.#call((server) => this.#replicaGet(server, key, revision), CALL_TIMEOUT_MS),
    };
  }

  /** A replica that has applied some of the revisions, and says which. */
  async #replicaGet(
    server: StoreBackend,
    key: DocumentKey,
    wanted: number,
  ): Promise<SessionAnswer | undefined> {
    const replica = this.#below(REPLICAS);
    const head = (await server.head({})).revision;
    const before = Math.min(head, Math.max(this.#applied[replica] ?? 0, head - LAG_MAX));
    const revision = Math.min(head, before + this.#below(4));
    this.#applied[replica] = revision;
    const mayAnswer = this.#plant.mayAnswer ?? ((applied, least) => applied >= least);
    if (!mayAnswer(revision, wanted)) return undefined;
    return { document: await server.get(key, { revision }), revision };
  }

  #planDeath(): void {
    this.#time.after(1 + this.#below(2 * DEATH_MS), () => {
      if (!this.#isFaulty) return;
      this.#die();
      this.#planDeath();
    });
  }

  /** Ends the process as SIGKILL does: what the kernel has of its files stays, and no answer leaves any more. */
  #die(): void {
    this.#deaths++;
    const [from, before] = [this.#path, this.#server];
    this.#path = this.#newPath();
    for (const suffix of ["", "-wal"])
      if (existsSync(`${from}${suffix}`))
        copyFileSync(`${from}${suffix}`, `${this.#path}${suffix}`);
    // Half of a write that nobody was told of.
    const torn = Buffer.alloc(this.#below(9000), this.#below(256));
    if (existsSync(`${this.#path}-wal`)) appendFileSync(`${this.#path}-wal`, torn);
    this.#server = this.#open();
    void before.close();
  }

  #newPath(): string {
    const folder = join(this.#root, String(this.#deaths));
    mkdirSync(folder);
    const path = join(folder, "store.sqlite");
    // No copy is made behind the simulation's back.
    writeFileSync(`${path}.last-good`, "");
    return path;
  }

  #open(): StoreBackend {
    const backend = new SqliteBackend({
      clock: this.#time.clock,
      path: this.#path,
      isReadOnly: false,
      report: (message) => {
        throw new Error(message);
      },
      copyIntervalMs: 2 ** 31 - 1,
    });
    return this.#plant.backend?.(backend, new Pcg32(this.#random.next32())) ?? backend;
  }
}

function unavailable(): MeridianError {
  return new MeridianError("STORE_UNAVAILABLE", "system", "Cannot ask the store: no answer came");
}
