// SPDX-License-Identifier: Apache-2.0

// Which replica of a store does what one alone may do. A lease says so; every write of a leader names its term, so that one that was
// paused and does not know yet that another leads is refused by the store.

import { randomUUID } from "node:crypto";
import { reasonOf } from "@meridian/core";
import type { Logger } from "../embedded-options.ts";
import type { ChangeSetRequest, Lease, Store } from "../store/store.ts";

const LEASE = "leader";
/** Without word from a leader for this long another one takes over. */
const LEASE_MS = 5000;
const AGAIN_MS = 500;

export class Leadership {
  readonly #store: () => Store;
  readonly #holder: string;
  readonly #logger: Logger;
  readonly #onChange: () => void;
  readonly #closing = new AbortController();
  #held: Lease | undefined;
  #running: Promise<void> | undefined;

  /** `holder` names this replica; `onChange` is told when it has begun or ceased to lead. */
  constructor(store: () => Store, holder: string, logger: Logger, onChange: () => void) {
    this.#store = store;
    // Two that were given the same name are two all the same.
    this.#holder = `${holder} ${randomUUID()}`;
    this.#logger = logger;
    this.#onChange = onChange;
  }

  get isLeader(): boolean {
    return this.#held !== undefined && !this.#held.lost.aborted;
  }

  /** For `StateDocuments.write`. */
  get lease(): ChangeSetRequest["lease"] {
    const held = this.#held;
    return held === undefined || held.lost.aborted ? undefined : { name: LEASE, term: held.term };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const lease = await this.#store().acquireLease(LEASE, this.#holder, LEASE_MS, signal);
        this.#held = lease;
        this.#logger.info({ term: lease.term }, "Leads the controls of this store");
        this.#onChange();
        await aborted(AbortSignal.any([lease.lost, signal]));
        this.#held = undefined;
        if (signal.aborted) await lease.release();
        else this.#logger.warn({ term: lease.term }, "Does not lead any more");
        if (!signal.aborted) this.#onChange();
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn({ reason: reasonOf(error) }, "Cannot try to lead");
        await pause(AGAIN_MS);
      }
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
