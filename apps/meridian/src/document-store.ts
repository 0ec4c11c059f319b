// SPDX-License-Identifier: Apache-2.0

// The store of documents that a server opens: its own file in the state folder, or the one in etcd that it shares with other controls.
// While a process that is replaced still has the file, it is only read.

import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  consistencyKey,
  openStore,
  parseStoreLocation,
  sealingKeys,
  sharedConsistencyKey,
  type Store,
} from "@meridian/control";
import { CommandError, ExitCode } from "./exit-code.ts";
import { keyPlaceOf } from "./key-place.ts";
import type { ServerOptions } from "./server-options.ts";

/** The store of a server, once it is open. */
export class DocumentStore {
  readonly #options: Pick<ServerOptions, "store" | "stateDir" | "keyFile">;
  readonly #warn: (message: string) => void;
  #store: Store | undefined;
  #consistencyKey: Uint8Array = new Uint8Array(0);

  /** `warn` is told what the store has to say while it is in use. */
  constructor(
    options: Pick<ServerOptions, "store" | "stateDir" | "keyFile">,
    warn: (message: string) => void,
  ) {
    this.#options = options;
    this.#warn = warn;
  }

  /** Throws before it is open. */
  get store(): Store {
    if (this.#store !== undefined) return this.#store;
    throw new CommandError(ExitCode.failed, "Cannot read documents: the store is not open yet");
  }

  /** False where it was to be read only, and there is none yet. */
  get isOpen(): boolean {
    return this.#store !== undefined;
  }

  /** Signs what readers have seen; empty before `open`. */
  get consistencyKey(): Uint8Array {
    return this.#consistencyKey;
  }

  /** Opens it to be read and written, in the place of one that was opened to be read. */
  async open(): Promise<void> {
    const before = this.#store;
    this.#store = await this.#opened(false);
    await before?.close();
    this.#consistencyKey = await this.#keyOf(this.#store);
  }

  /** Opens it beside the process that writes it; leaves it closed where there is none yet. */
  async openReadOnly(): Promise<void> {
    this.#store = await this.#opened(true);
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }

  async #opened(isReadOnly: boolean): Promise<Store | undefined> {
    const { store: shared, stateDir } = this.#options;
    if (shared !== undefined) {
      const location = parseStoreLocation(shared);
      if (location.kind !== "etcd")
        throw new CommandError(
          ExitCode.invalid,
          `Cannot share the store "${shared}": it is a file of one control, expected etcd://HOST:PORT,…/PREFIX`,
        );
      const { mirrorPath = join(stateDir, "store-mirror.sqlite") } = location;
      return openStore({ ...location, mirrorPath }, this.#warn);
    }
    const path = join(stateDir, "store.sqlite");
    if (isReadOnly && !existsSync(path)) return undefined;
    return openStore({ kind: "sqlite", path, isReadOnly }, this.#warn);
  }

  /** With one key where any control of a store may be asked next. */
  async #keyOf(store: Store | undefined): Promise<Uint8Array> {
    const { store: shared, stateDir } = this.#options;
    if (shared === undefined || store === undefined) return consistencyKey(stateDir);
    const { documents } = await store.list({ kind: "Authority", limit: 1, stale: true });
    const [key] = sealingKeys(keyPlaceOf(this.#options), documents.length === 0);
    return sharedConsistencyKey(key);
  }
}
