// SPDX-License-Identifier: Apache-2.0

// What is done against a damaged store file. Beside `store.sqlite` lies `store.sqlite.last-good`, a copy from a moment at which the file was whole,
// renewed each hour. Where the file turns out damaged, the change sets after the copy are read out of it one by one; the audit chain says of each
// that it is the true one. Only where that leads up to the newest revision of which the damaged file has any trace is the result put in its place:
// then nothing that was acknowledged is lost. Otherwise the store is not opened, and a person decides.

import {
  copyFileSync,
  existsSync,
  openSync,
  closeSync,
  fsyncSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { MeridianError } from "@meridian/core";
import { syncPath } from "@meridian/snapshot/disk";
import { DocumentReader } from "./document-reader.ts";
import { openDatabaseFile } from "./database-file.ts";
import { StoreDatabase } from "./store-database.ts";
import { corrupt } from "./store-error.ts";

const suffixes = ["", "-wal", "-shm"] as const;
/** How often a copy is tried, and the wait between. */
const ATTEMPTS_MAX = 5;
const RETRY_MS = 20;

export interface LastGoodCopyOptions {
  /** Path of the store; the copy's is `lastGoodPath` of it. */
  readonly path: string;
  readonly intervalMs: number;
  readonly report: (message: string) => void;
}

export function lastGoodPath(path: string): string {
  return `${path}.last-good`;
}

/** Keeps the copy fresh while the store is open. */
export class LastGoodCopy {
  readonly #connection: DatabaseSync;
  readonly #options: LastGoodCopyOptions;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> = Promise.resolve();

  constructor(connection: DatabaseSync, options: LastGoodCopyOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#timer = setInterval(() => void this.renew(), options.intervalMs);
    this.#timer.unref();
    // The file was found whole just now.
    if (!existsSync(lastGoodPath(options.path))) void this.renew();
  }

  /** Copies without holding up commits for long. A failure is reported, and the copy before it stays. */
  renew(): Promise<void> {
    this.#running = this.#running.then(() => this.#copy());
    return this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #copy(): Promise<void> {
    const target = lastGoodPath(this.#options.path);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#copyOnce(target);
        return;
      } catch (error) {
        // A commit at the wrong moment makes the connection busy for the copy, too.
        if (attempt < ATTEMPTS_MAX) {
          await sleep(RETRY_MS);
          continue;
        }
        const reason = error instanceof Error ? error.message : String(error);
        this.#options.report(`Cannot renew "${target}", the former copy stays: ${reason}`);
        return;
      }
    }
  }

  async #copyOnce(target: string): Promise<void> {
    const temporary = `${target}.new`;
    rmSync(temporary, { force: true });
    await backup(this.#connection, temporary, { rate: 1000 });
    syncFile(temporary);
    renameSync(temporary, target);
    syncPath(dirname(target));
  }
}

/** Replaces the damaged file of a store by one that has all that was acknowledged, or throws STORE_CORRUPT. */
export function recover(
  path: string,
  damage: MeridianError,
  report: (message: string) => void,
): void {
  const copyPath = lastGoodPath(path);
  if (!existsSync(copyPath))
    throw corrupt(`${damage.message}; there is no last-good copy "${copyPath}"`, damage);
  const temporary = `${path}.recovered`;
  for (const suffix of suffixes) rmSync(temporary + suffix, { force: true });
  copyFileSync(copyPath, temporary);
  const { copied, reached } = replay(path, temporary, damage);
  const aside = `${path}.damaged-${Date.now()}`;
  for (const suffix of suffixes)
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  renameSync(temporary, path);
  syncPath(dirname(path));
  report(
    `${damage.message}. It is recovered whole, from the last-good copy of revision ${copied} and the change sets up to revision ${reached}; the damaged file is "${aside}" now`,
  );
}

/** Brings the copy at `temporary` up to the newest revision of the damaged file, on disk. */
function replay(
  path: string,
  temporary: string,
  damage: MeridianError,
): { copied: number; reached: number } {
  const damaged = new DatabaseSync(path, { readOnly: true });
  const target = new StoreDatabase(
    openDatabaseFile({ path: temporary, isDurable: true, isReadOnly: false }),
  );
  const copied = target.head.revision;
  try {
    const newest = newestTrace(damaged);
    const reader = new DocumentReader(damaged);
    while (target.head.revision < newest)
      for (const changeSet of nextOf(reader, target.head.revision + 1, newest))
        target.append(changeSet);
    return { copied, reached: target.head.revision };
  } catch (cause) {
    throw corrupt(
      `${damage.message}; the last-good copy "${lastGoodPath(path)}" is at revision ${copied}, and change sets after revision ${target.head.revision} cannot be read from the damaged file`,
      cause,
    );
  } finally {
    damaged.close();
    target.close();
  }
}

/** Highest revision that any table or index of a damaged file still names. Throws where they cannot be read to their ends. */
function newestTrace(damaged: DatabaseSync): number {
  const newest = (sql: string): number => Number(damaged.prepare(sql).get()?.["newest"] ?? 0);
  return Math.max(
    newest("SELECT MAX(revision) AS newest FROM change_set"),
    newest("SELECT MAX(revision) AS newest FROM version"),
    newest("SELECT MAX(revision) AS newest FROM version NOT INDEXED"),
  );
}

function nextOf(
  reader: DocumentReader,
  from: number,
  to: number,
): ReturnType<DocumentReader["changes"]> {
  const changes = reader.changes({ from, to });
  if (changes[0]?.revision !== from) throw corrupt(`Change set ${from} is missing`);
  return changes;
}

function syncFile(path: string): void {
  const handle = openSync(path, "r+");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
