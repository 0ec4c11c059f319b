// SPDX-License-Identifier: Apache-2.0

// The way of one replica to three simulated members of etcd: requests and answers that are lost or late, members that are down, hang or are cut
// off from this replica.

import { MeridianError, type Pcg32 } from "@meridian/core";
import {
  etcdMethods,
  repeatOver,
  type EtcdStream,
  type EtcdWire,
  type KeyValue,
  type RequestOp,
} from "../../packages/control/src/testing/store-parts.ts";
import type { EventTime } from "./event-time.ts";
import { EtcdRefusal, type SimulatedEtcd } from "./simulated-etcd.ts";

const LATENCY_MS = 12;
const LATE_MS = 1500;
const ATTEMPT_TIMEOUT_MS = 2000;
/** Of 100 messages. */
const LOST = 3;
const LATE = 3;

type Method<Request, Response> = Parameters<typeof repeatOver<Request, Response>>[3]["method"];

/** How the members are. */
export interface Members {
  readonly etcd: SimulatedEtcd;
  readonly isDown: boolean[];
  /** Nothing is lost or late any more. */
  isCalm: boolean;
}

interface OpenStream {
  readonly member: number;
  /** Ends it with an error. */
  readonly fail: () => void;
}

export class SimulatedWire implements EtcdWire {
  readonly #time: EventTime;
  readonly #members: Members;
  readonly #random: Pcg32;
  readonly #streams = new Set<OpenStream>();
  /** Members that this replica does not reach. */
  readonly isCut: boolean[];
  #current: number;
  #isDead = false;
  #isClosed = false;

  constructor(time: EventTime, members: Members, random: Pcg32) {
    this.#time = time;
    this.#members = members;
    this.#random = random;
    this.isCut = members.isDown.map(() => false);
    this.#current = random.next32() % members.isDown.length;
  }

  /** The replica's process ends: nothing of what it waits for comes any more. */
  die(): void {
    this.#isDead = true;
  }

  /** What goes on with a member breaks off. */
  breakStreams(member: number): void {
    for (const stream of this.#streams) if (stream.member === member) stream.fail();
  }

  repeat<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return repeatOver(this, this.#time.clock, () => this.#isClosed, { method, request });
  }

  async once<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const member = this.#current;
    this.#after(ATTEMPT_TIMEOUT_MS, () => reject(unavailable()));
    this.#after(this.#latency(), () => {
      if (this.#isLost(member)) return;
      if (!this.#hasQuorum()) {
        this.#after(this.#latency(), () => reject(unavailable()));
        return;
      }
      const act = answered(() => this.#answer(method.path, request));
      // What was done may have been done for nobody.
      this.#after(this.#latency(), () => {
        if (this.#isLost(member)) return;
        if ("error" in act) reject(act.error);
        else resolve(act.value);
      });
    });
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the simulated etcd answers each method with its own message
      return (await promise) as Response;
    } catch (error) {
      if (error instanceof MeridianError && this.#current === member) this.turn();
      throw error;
    }
  }

  async stream<Request, Response>(
    method: Method<Request, Response>,
  ): Promise<EtcdStream<Request, Response>> {
    await this.sleep(this.#latency());
    const stream = new SimulatedStream((request) => {
      if (method.path === etcdMethods.watch.path) this.#watch(stream, request);
      else this.#renew(stream, request);
    });
    const open = { member: this.#current, fail: () => stream.fail() };
    this.#streams.add(open);
    stream.onEnd = () => this.#streams.delete(open);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    return stream as EtcdStream<unknown, unknown> as EtcdStream<Request, Response>;
  }

  turn(): void {
    this.#current = (this.#current + 1) % this.isCut.length;
  }

  forgetToken(): void {
    // Nobody logs in.
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((done) => {
      this.#after(ms, done);
      if (signal?.aborted === true) done();
      signal?.addEventListener("abort", () => done(), { once: true });
    });
  }

  close(): void {
    this.#isClosed = true;
  }

  #watch(stream: SimulatedStream, request: unknown): void {
    const { createRequest } = request as { createRequest: { key: Buffer; rangeEnd: Buffer } };
    const member = this.#current;
    if (this.#isLost(member) || !this.#hasQuorum()) {
      this.#after(LATE_MS, () => stream.fail());
      return;
    }
    let lastMs = 0;
    const push = (created: boolean, kv?: KeyValue): void => {
      const nowMs = this.#time.clock.wallMs();
      // A stream keeps its order.
      lastMs = Math.max(lastMs, nowMs + this.#latency());
      const events = kv === undefined ? [] : [{ type: 0, kv }];
      this.#after(lastMs - nowMs, () => {
        if (this.isCut[member] === true || this.#members.isDown[member] === true) stream.fail();
        else stream.take({ created, canceled: false, cancelReason: "", events });
      });
    };
    const { key, rangeEnd } = createRequest;
    const end = this.#members.etcd.watch(key, rangeEnd, (kv) => push(false, kv));
    const onEnd = stream.onEnd;
    stream.onEnd = () => {
      onEnd();
      end();
    };
    push(true);
  }

  #renew(stream: SimulatedStream, request: unknown): void {
    const { id } = request as { id: string };
    const member = this.#current;
    this.#after(this.#latency(), () => {
      if (this.#isLost(member) || !this.#hasQuorum()) return;
      const answer = this.#members.etcd.keepAlive(id);
      this.#after(this.#latency(), () => stream.take(answer));
    });
  }

  #answer(path: string, request: unknown): object {
    const { etcd } = this.#members;
    switch (path) {
      case etcdMethods.status.path:
        return { version: "3.4.0" };
      case etcdMethods.range.path:
        return etcd.range(request as Parameters<SimulatedEtcd["range"]>[0]);
      case etcdMethods.txn.path:
        return etcd.txn(request as Parameters<SimulatedEtcd["txn"]>[0]);
      case etcdMethods.put.path:
        etcd.apply([{ requestPut: request } as RequestOp]);
        return {};
      case etcdMethods.deleteRange.path:
        etcd.apply([{ requestDeleteRange: request } as RequestOp]);
        return {};
      case etcdMethods.leaseGrant.path:
        return etcd.grant((request as { ttl: number }).ttl);
      case etcdMethods.leaseRevoke.path:
        return etcd.revoke((request as { id: string }).id);
      default:
        throw new EtcdRefusal(`unknown method ${path}`);
    }
  }

  #after(ms: number, run: () => void): void {
    this.#time.after(ms, () => {
      if (!this.#isDead) run();
    });
  }

  #latency(): number {
    if (this.#members.isCalm) return 1;
    return 1 + this.#below(this.#below(100) < LATE ? LATE_MS : LATENCY_MS);
  }

  #isLost(member: number): boolean {
    const { isDown, isCalm } = this.#members;
    if (isDown[member] === true || this.isCut[member] === true) return true;
    return !isCalm && this.#below(100) < LOST;
  }

  #hasQuorum(): boolean {
    const { isDown } = this.#members;
    return isDown.filter((each) => !each).length > isDown.length / 2;
  }

  #below(limit: number): number {
    return Math.floor((this.#random.next32() / 2 ** 32) * limit);
  }
}

class SimulatedStream implements EtcdStream<unknown, unknown> {
  onEnd: () => void = () => undefined;
  readonly #onRequest: (request: unknown) => void;
  readonly #data: ((response: unknown) => void)[] = [];
  readonly #errors: ((error: Error) => void)[] = [];
  #isOver = false;

  constructor(onRequest: (request: unknown) => void) {
    this.#onRequest = onRequest;
  }

  on(event: "data" | "error" | "end", take: (value: never) => void): this {
    if (event === "data") this.#data.push(take as (response: unknown) => void);
    if (event === "error") this.#errors.push(take as (error: Error) => void);
    return this;
  }

  write(request: unknown): void {
    if (!this.#isOver) this.#onRequest(request);
  }

  take(response: unknown): void {
    if (!this.#isOver) for (const each of this.#data) each(response);
  }

  cancel(): void {
    this.fail();
  }

  fail(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onEnd();
    for (const each of this.#errors) each(new EtcdRefusal("the stream ended"));
  }
}

function answered(act: () => object): { value: object } | { error: Error } {
  try {
    return { value: act() };
  } catch (error) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }
}

function unavailable(): MeridianError {
  return new MeridianError("STORE_UNAVAILABLE", "system", "Cannot ask etcd: no answer came");
}
