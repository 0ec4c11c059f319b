// SPDX-License-Identifier: Apache-2.0

// The copy of the store that edges keep, so that whoever has one edge's state folder has all documents: written when an edge asks and the
// store has moved on, never twice at once, and never more often than once in a while.

import { rmSync } from "node:fs";
import { writeBackup } from "../store/backup-file.ts";
import { headCopyOf } from "../store/store-copy.ts";
import type { Store } from "../store/store.ts";

/** Least time between two copies: state that control itself writes moves the store on, too. */
const PERIOD_MS = 30_000;

export interface StoreCopyFileOptions {
  /** Of the copy; its folder is there. */
  readonly path: string;
  readonly store: () => Store;
  readonly monotonicMs: () => number;
}

/** A copy on disk. */
export interface KeptCopy {
  readonly path: string;
  /** Names the state of the store that it holds. */
  readonly tag: string;
  readonly bytes: number;
}

export class StoreCopyFile {
  readonly #options: StoreCopyFileOptions;
  #kept: KeptCopy | undefined;
  #writtenAtMs = -Infinity;
  #running: Promise<KeptCopy> | undefined;

  constructor(options: StoreCopyFileOptions) {
    this.#options = options;
  }

  /** The newest copy; at most 30 s behind the store. Rejects where it cannot be read or written. */
  latest(): Promise<KeptCopy> {
    this.#running ??= this.#latest().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #latest(): Promise<KeptCopy> {
    const { path, store, monotonicMs } = this.#options;
    if (this.#kept !== undefined && monotonicMs() - this.#writtenAtMs < PERIOD_MS)
      return this.#kept;
    const copy = await headCopyOf(store());
    const { storeId, epoch, revision } = copy.start;
    const tag = `"${storeId}.${epoch}.${revision}"`;
    if (this.#kept?.tag !== tag) {
      this.#kept = undefined;
      rmSync(path, { force: true });
      const { bytes } = await writeBackup(path, copy, () => undefined);
      this.#kept = { path, tag, bytes };
    }
    this.#writtenAtMs = monotonicMs();
    return this.#kept;
  }
}
