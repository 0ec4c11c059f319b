// SPDX-License-Identifier: Apache-2.0

// Clients of three replicas on a simulated etcd of three members, in one thread under a virtual clock; equal seeds, equal runs. Requests and answers
// are lost and late, members and replicas die, replicas are cut off from members, and their clocks are off. The replicas are the real ones: log,
// mirror, watch and leases; the wire and etcd behind it are the simulation's.

import { MeridianError, Pcg32, type Clock } from "@meridian/core";
import type { StoredChangeSet } from "@meridian/control";
import {
  BackedStore,
  EtcdBackend,
  type StoreBackend,
} from "../../packages/control/src/testing/store-parts.ts";
import { EventTime } from "./event-time.ts";
import type { History } from "./operation.ts";
import { HistoryList, Recorder } from "./recorder.ts";
import { SimulatedEtcd } from "./simulated-etcd.ts";
import { SimulatedWire, type Members } from "./etcd-wire.ts";
import type { Plant } from "./simulation.ts";
import { Client, recordWatch, type SessionAnswer, type StorePort } from "./workload.ts";

const MEMBERS = 3;
const REPLICAS = 3;
const CLIENTS = 4;
const ACTIONS = 15;
const PAUSE_MS = 300;
const LEASE_MS = 3000;
/** A client's patience is that of a commit, and more. */
const CALL_TIMEOUT_MS = 20_000;
const FAULT_MS = 1500;
const FAULT_LENGTH_MS = 6000;
const SKEW_MS = 3_600_000;
const CALM_MS = 30_000;

interface Replica {
  wire: SimulatedWire;
  backend: StoreBackend | undefined;
  /** Rejects when the process dies. */
  dead: PromiseWithResolvers<never>;
}

export class EtcdSimulation {
  readonly #random: Pcg32;
  readonly #time = new EventTime();
  readonly #plant: Plant;
  readonly #list = new HistoryList();
  readonly #recorder: Recorder;
  readonly #members: Members;
  readonly #replicas: Replica[];
  #ticks = 0;
  #isOver = false;
  readonly counts = { deaths: 0, cuts: 0, quorumLosses: 0 };

  constructor(seed: number, plant: Plant = {}) {
    this.#random = new Pcg32(seed);
    this.#plant = plant;
    this.#recorder = new Recorder(() => ++this.#ticks, this.#list);
    this.#members = {
      etcd: new SimulatedEtcd(() => this.#time.clock.wallMs()),
      isDown: Array.from({ length: MEMBERS }, () => false),
      isCalm: true,
    };
    this.#replicas = Array.from({ length: REPLICAS }, () => this.#newReplica());
  }

  async run(): Promise<History> {
    await this.#time.until(Promise.all(this.#replicas.map((replica) => this.#open(replica))));
    this.#members.isCalm = false;
    const ended = new AbortController();
    const watches = this.#replicas.map((_, at) =>
      recordWatch(this.#options(`w${at}`, at), ended.signal),
    );
    const clients = Array.from({ length: CLIENTS }, (_, index) =>
      new Client(this.#options(`c${index}`, index % REPLICAS)).run(ACTIONS, PAUSE_MS),
    );
    this.#planFault();
    await this.#time.until(Promise.all(clients));
    this.#isOver = true;
    this.#members.isCalm = true;
    this.#members.isDown.fill(false);
    for (const { wire } of this.#replicas) wire.isCut.fill(false);
    // What is left when everything is still.
    const last = new Client(this.#options("last", 0));
    await this.#time.until(this.#time.sleep(CALM_MS).then(() => last.list()));
    ended.abort();
    await this.#time.until(Promise.all(watches));
    const backends = this.#replicas.flatMap(({ backend }) => backend ?? []);
    await this.#time.until(Promise.all(backends.map((backend) => backend.close())));
    this.#recorder.close();
    return this.#list.operations;
  }

  #options(name: string, replica: number) {
    return {
      ...{ name, from: 0, recorder: this.#recorder, port: this.#port(replica) },
      random: new Pcg32(this.#random.next32()),
      sleep: (ms: number) => this.#time.sleep(ms),
    };
  }

  #newReplica(): Replica {
    const dead = Promise.withResolvers<never>();
    dead.promise.catch(() => undefined);
    const wire = new SimulatedWire(this.#time, this.#members, new Pcg32(this.#random.next32()));
    return { wire, backend: undefined, dead };
  }

  async #open(replica: Replica): Promise<void> {
    const location = {
      kind: "etcd",
      endpoints: ["a", "b", "c"],
      prefix: "/simulated/",
      isReadOnly: false,
      user: undefined,
      passwordFile: undefined,
      passwordVariable: undefined,
      tls: undefined,
      mirrorPath: undefined,
    } as const;
    const clock = this.#skewed();
    for (;;) {
      const { wire } = replica;
      try {
        const backend = await EtcdBackend.open(clock, location, wire);
        replica.backend =
          this.#plant.backend?.(backend, new Pcg32(this.#random.next32())) ?? backend;
        return;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        await this.#time.sleep(500);
      }
    }
  }

  /** Wall time that is off, over the same monotonic time. */
  #skewed(): Clock {
    const skewMs = this.#below(2 * SKEW_MS) - SKEW_MS;
    const { clock } = this.#time;
    return { wallMs: () => clock.wallMs() + skewMs, monotonicMs: () => clock.monotonicMs() };
  }

  /** The way of a client to one replica. */
  #port(at: number): StorePort {
    const ask = <Answer>(use: (backend: StoreBackend) => Promise<Answer>): Promise<Answer> =>
      this.#call(at, use);
    const wire: StoreBackend = new Proxy({} as StoreBackend, {
      get:
        (_target, method: keyof StoreBackend) =>
        (...parameters: unknown[]) =>
          ask<unknown>(async (backend) => {
            const answer: unknown = await Reflect.apply(backend[method], backend, parameters);
            return answer;
          }),
    });
    const store = new BackedStore(this.#time.clock, wire);
    return {
      head: async () => (await store.head()).revision,
      get: (key) => store.get(key),
      list: (query) => store.list(query),
      commit: (request) => store.commit(request),
      watch: (from, signal): AsyncIterable<StoredChangeSet> => store.watch(from, signal),
      acquire: (name, holder) => ask((backend) => backend.tryAcquireLease(name, holder, LEASE_MS)),
      sessionGet: (key, revision) =>
        this.#call(this.#below(REPLICAS), (backend) => staleGet(backend, key, revision)),
    };
  }

  #call<Answer>(at: number, use: (backend: StoreBackend) => Promise<Answer>): Promise<Answer> {
    const replica = this.#replicas[at];
    const { backend } = replica ?? {};
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    if (replica === undefined || backend === undefined) {
      // It is starting.
      return this.#time.sleep(50).then(() => Promise.reject(unavailable()));
    }
    this.#time.after(CALL_TIMEOUT_MS, () => reject(unavailable()));
    return Promise.race([use(backend), promise, replica.dead.promise]);
  }

  #planFault(): void {
    this.#time.after(1 + this.#below(2 * FAULT_MS), () => {
      if (this.#isOver) return;
      this.#fault();
      this.#planFault();
    });
  }

  #fault(): void {
    const { isDown } = this.#members;
    const member = this.#below(MEMBERS);
    const at = this.#below(REPLICAS);
    const replica = this.#replicas[at];
    const lengthMs = this.#below(FAULT_LENGTH_MS);
    switch (this.#below(3)) {
      case 0:
        this.#stop(member, lengthMs);
        // Two of three are the quorum.
        if (this.#below(3) === 0) this.#stop((member + 1) % MEMBERS, lengthMs);
        if (isDown.filter(Boolean).length > 1) this.counts.quorumLosses++;
        return;
      case 1: {
        const wire = replica?.wire;
        if (wire === undefined) return;
        this.counts.cuts++;
        wire.isCut[member] = true;
        this.#time.after(lengthMs, () => (wire.isCut[member] = false));
        return;
      }
      default:
        if (replica?.backend === undefined) return;
        this.counts.deaths++;
        replica.wire.die();
        replica.dead.reject(unavailable());
        Object.assign(replica, this.#newReplica());
        void this.#open(replica);
    }
  }

  #stop(member: number, lengthMs: number): void {
    const { isDown } = this.#members;
    isDown[member] = true;
    for (const { wire } of this.#replicas) wire.breakStreams(member);
    this.#time.after(lengthMs, () => (isDown[member] = false));
  }

  #below(limit: number): number {
    return Math.floor((this.#random.next32() / 2 ** 32) * limit);
  }
}

/** From what the replica has, if that is new enough. */
async function staleGet(
  backend: StoreBackend,
  key: Parameters<StorePort["sessionGet"]>[0],
  wanted: number,
): Promise<SessionAnswer | undefined> {
  const { revision } = await backend.head({ stale: true });
  if (revision < wanted) return undefined;
  return { document: await backend.get(key, { stale: true, revision }), revision };
}

function isUnavailable(error: unknown): boolean {
  return error instanceof MeridianError && error.code === "STORE_UNAVAILABLE";
}

function unavailable(): MeridianError {
  return new MeridianError("STORE_UNAVAILABLE", "system", "Cannot ask the store: no answer came");
}
