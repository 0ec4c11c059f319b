// SPDX-License-Identifier: Apache-2.0

// News of change sets, as etcd pushes them. Only news: what is missing is read from the log, so a stream that breaks, a member that restarts and an etcd
// that compacted its own history lose nothing. Each time a stream begins, `onGap` says that something may have been missed before.

import type { EtcdWire } from "./etcd-connection.ts";
import { endOf, type EtcdLayout } from "./etcd-layout.ts";
import { etcdMethods, type KeyValue, type WatchResponse } from "./etcd-messages.ts";

const PAUSE_MS = 200;

export interface EtcdWatchOptions {
  readonly connection: EtcdWire;
  readonly layout: EtcdLayout;
  /** A new entry of the log. */
  readonly onEntry: (entry: KeyValue) => void;
  readonly onGap: () => void;
}

export class EtcdWatch {
  readonly #options: EtcdWatchOptions;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: EtcdWatchOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#follow();
      } catch {
        // Whoever reads finds out what is wrong; the next member may do.
        this.#options.connection.forgetToken();
        this.#options.connection.turn();
      }
      await this.#options.connection.sleep(PAUSE_MS, signal);
    }
  }

  /** Until the stream ends. */
  async #follow(): Promise<void> {
    const { connection, layout } = this.#options;
    const stream = await connection.stream(etcdMethods.watch);
    const { signal } = this.#closing;
    const cancel = (): void => stream.cancel();
    signal.addEventListener("abort", cancel);
    try {
      await new Promise<void>((resolve, reject) => {
        stream.on("data", (response: WatchResponse) => {
          if (response.canceled) reject(new Error(response.cancelReason));
          else this.#take(response);
        });
        stream.on("error", reject);
        stream.on("end", resolve);
        const range = { key: layout.logs, rangeEnd: endOf(layout.logs) };
        stream.write({ createRequest: { ...range, progressNotify: true } });
        if (signal.aborted) cancel();
      });
    } finally {
      signal.removeEventListener("abort", cancel);
      stream.on("error", () => undefined);
      stream.cancel();
    }
  }

  #take({ created, events }: WatchResponse): void {
    const { onEntry, onGap } = this.#options;
    if (created) onGap();
    // Type 0 is a put; what is deleted was compacted.
    for (const { type, kv } of events) if (type === 0 && kv !== null) onEntry(kv);
  }
}
