// SPDX-License-Identifier: Apache-2.0

// etcd as one atomic state machine: keys, transactions, leases and watches, of the requests that the store makes. What networks and members do
// to requests is the simulation's.

import type {
  KeyValue,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "../../packages/control/src/testing/store-parts.ts";

interface Key {
  readonly value: Buffer;
  readonly createRevision: number;
  readonly lease: string | undefined;
}

interface EtcdLease {
  readonly ttlMs: number;
  endsAtMs: number;
}

interface Watcher {
  readonly from: string;
  readonly end: string;
  readonly take: (kv: KeyValue) => void;
}

/** What etcd refuses by itself, in the shape of gRPC's errors. */
export class EtcdRefusal extends Error {
  readonly code = 3;
  readonly details: string;

  constructor(details: string) {
    super(details);
    this.details = details;
  }
}

export class SimulatedEtcd {
  readonly #nowMs: () => number;
  readonly #keys = new Map<string, Key>();
  readonly #leases = new Map<string, EtcdLease>();
  readonly #watchers = new Set<Watcher>();
  #revision = 1;
  #lastLease = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  range({ key, rangeEnd, limit = 0, countOnly }: RangeRequest): object {
    this.#expire();
    const found = this.#within(key, rangeEnd);
    const shown = found.slice(0, limit === 0 ? undefined : limit);
    return {
      kvs: countOnly === true ? [] : shown.map((name) => this.#shown(name)),
      more: shown.length < found.length,
      count: String(found.length),
    };
  }

  /** All or nothing, under one revision. Throws EtcdRefusal where a value is to be kept that is not there. */
  txn({ compare, success, failure }: TxnRequest): object {
    this.#expire();
    const succeeded = compare.every(({ key, createRevision, value }) => {
      const found = this.#keys.get(nameOf(key));
      if (createRevision !== undefined)
        return (found?.createRevision ?? 0) === Number(createRevision);
      return found !== undefined && value !== undefined && found.value.equals(value);
    });
    const responses = this.apply(succeeded ? success : failure);
    return { header: { revision: String(this.#revision) }, succeeded, responses };
  }

  apply(operations: readonly RequestOp[]): object[] {
    this.#expire();
    for (const { requestPut } of operations)
      if (requestPut?.ignoreValue === true && !this.#keys.has(nameOf(requestPut.key)))
        throw new EtcdRefusal("etcdserver: key not found");
    if (operations.some(({ requestRange }) => requestRange === undefined)) this.#revision++;
    return operations.map(({ requestPut, requestRange, requestDeleteRange }) => {
      if (requestPut !== undefined) this.#put(requestPut);
      if (requestDeleteRange !== undefined)
        for (const name of this.#within(requestDeleteRange.key, requestDeleteRange.rangeEnd))
          this.#keys.delete(name);
      return { responseRange: requestRange === undefined ? null : this.range(requestRange) };
    });
  }

  grant(seconds: number): object {
    const id = String(++this.#lastLease);
    const ttlMs = seconds * 1000;
    this.#leases.set(id, { ttlMs, endsAtMs: this.#nowMs() + ttlMs });
    return { id, ttl: String(seconds) };
  }

  keepAlive(id: string): object {
    this.#expire();
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.endsAtMs = this.#nowMs() + lease.ttlMs;
    return { id, ttl: String(lease === undefined ? 0 : lease.ttlMs / 1000) };
  }

  revoke(id: string): object {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.endsAtMs = -Infinity;
    this.#expire();
    return {};
  }

  /** Tells of every put in a range from now on, until what is returned is called. */
  watch(key: Buffer, rangeEnd: Buffer, take: (kv: KeyValue) => void): () => void {
    const watcher = { from: nameOf(key), end: nameOf(rangeEnd), take };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #put({ key, value, lease }: NonNullable<RequestOp["requestPut"]>): void {
    const name = nameOf(key);
    const before = this.#keys.get(name);
    this.#keys.set(name, {
      value: value ?? before?.value ?? Buffer.alloc(0),
      createRevision: before?.createRevision ?? this.#revision,
      lease,
    });
    for (const { from, end, take } of this.#watchers)
      if (name >= from && name < end) take(this.#shown(name));
  }

  #expire(): void {
    const nowMs = this.#nowMs();
    for (const [id, { endsAtMs }] of this.#leases) {
      if (endsAtMs > nowMs) continue;
      this.#leases.delete(id);
      for (const [name, { lease }] of this.#keys) if (lease === id) this.#keys.delete(name);
    }
  }

  #within(key: Buffer, rangeEnd: Buffer | undefined): string[] {
    const [from, end] = [nameOf(key), rangeEnd === undefined ? undefined : nameOf(rangeEnd)];
    return [...this.#keys.keys()]
      .filter((name) => (end === undefined ? name === from : name >= from && name < end))
      .toSorted();
  }

  #shown(name: string): KeyValue {
    const { value, createRevision } = this.#keys.get(name)!;
    return { key: Buffer.from(name, "latin1"), value, createRevision: String(createRevision) };
  }
}

/** As text whose order is that of the bytes. */
function nameOf(key: Buffer): string {
  return key.toString("latin1");
}
