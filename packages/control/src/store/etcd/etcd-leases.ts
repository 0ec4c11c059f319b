// SPDX-License-Identifier: Apache-2.0

// The store's leases in etcd: a key that goes with an etcd lease. The term is the etcd revision that made the key: it grows with each holder, and a
// transaction can demand it.

import type { HeldLease } from "../store-backend.ts";
import { unavailable } from "../store-error.ts";
import { isServiceError, REQUEST_TIMEOUT_MS, type EtcdWire } from "./etcd-connection.ts";
import type { EtcdLayout } from "./etcd-layout.ts";
import { CompareTarget, etcdMethods } from "./etcd-messages.ts";

export class EtcdLeases {
  readonly #connection: EtcdWire;
  readonly #layout: EtcdLayout;
  /** etcd's id of each lease held here, by name and term. */
  readonly #ids = new Map<string, string>();

  constructor(connection: EtcdWire, layout: EtcdLayout) {
    this.#connection = connection;
    this.#layout = layout;
  }

  async tryAcquire(name: string, holder: string, ttlMs: number): Promise<HeldLease | undefined> {
    const key = this.#layout.lease(name);
    const { count } = await this.#connection.repeat(etcdMethods.range, { key, countOnly: true });
    if (count !== "0") return undefined;
    const granted = await this.#connection.repeat(etcdMethods.leaseGrant, {
      ttl: Math.ceil(ttlMs / 1000),
    });
    const value = Buffer.from(holder);
    try {
      const { succeeded, header } = await this.#connection.once(etcdMethods.txn, {
        compare: [{ key, target: CompareTarget.createRevision, createRevision: "0" }],
        success: [{ requestPut: { key, value, lease: granted.id } }],
        failure: [],
      });
      if (succeeded) {
        const term = Number(header.revision);
        this.#ids.set(`${name} ${term}`, granted.id);
        return { name, term, ttlMs: Number(granted.ttl) * 1000 };
      }
    } catch (error) {
      // Whether it was acquired is unknown; nobody will renew it.
      await this.#revoke(granted.id);
      throw error;
    }
    await this.#revoke(granted.id);
    return undefined;
  }

  async renew({ name, term }: HeldLease): Promise<boolean> {
    const id = this.#ids.get(`${name} ${term}`);
    if (id === undefined) return false;
    return Number(await this.#keepAlive(id)) > 0;
  }

  async release({ name, term }: HeldLease): Promise<void> {
    const id = this.#ids.get(`${name} ${term}`);
    this.#ids.delete(`${name} ${term}`);
    if (id !== undefined) await this.#revoke(id);
  }

  /** Seconds that it lasts from now on, 0 where it is over. */
  async #keepAlive(id: string): Promise<string> {
    const stream = await this.#connection.stream(etcdMethods.leaseKeepAlive);
    const ended = new AbortController();
    try {
      return await Promise.race([
        new Promise<string>((resolve, reject) => {
          stream.on("data", ({ ttl }: { readonly ttl: string }) => resolve(ttl));
          stream.on("error", reject);
          stream.on("end", () =>
            reject(unavailable("Cannot renew a lease: etcd ended the stream")),
          );
          stream.write({ id });
        }),
        this.#connection.sleep(REQUEST_TIMEOUT_MS / 2, ended.signal).then(() => {
          throw unavailable("Cannot renew a lease: etcd does not answer");
        }),
      ]);
    } catch (error) {
      this.#connection.forgetToken();
      this.#connection.turn();
      throw isServiceError(error)
        ? unavailable(`Cannot renew a lease: ${error.details}`, error)
        : error;
    } finally {
      ended.abort();
      stream.on("error", () => undefined);
      stream.cancel();
    }
  }

  /** Where that fails, it runs out by itself. */
  async #revoke(id: string): Promise<void> {
    await this.#connection.once(etcdMethods.leaseRevoke, { id }).catch(() => undefined);
  }
}
