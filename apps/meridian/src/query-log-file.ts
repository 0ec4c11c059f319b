// SPDX-License-Identifier: Apache-2.0

// Writes the sampled query log: takes records out of the workers' rings a few times a second and appends them as JSON lines.

import { closeSync, openSync, writeSync } from "node:fs";
import { reasonOf } from "@meridian/core";
import { formatLogLine, type QueryLogReader } from "@meridian/edge";
import type { World } from "@meridian/snapshot";
import { CommandError, ExitCode } from "./exit-code.ts";

const DRAIN_MS = 200;
const NEWLINE = 0x0a;
/** Revisions whose endpoints can still be named; queries of older ones show numbers. */
const WORLDS_MAX = 8;

/** A ring of a worker. */
type LoggedQueries = Pick<QueryLogReader, "drain">;

export class QueryLogFile {
  readonly #readers: () => readonly LoggedQueries[];
  readonly #worlds = new Map<number, World>();
  readonly #timer: NodeJS.Timeout;
  readonly #handle: number;
  readonly #onError: (reason: string) => void;
  /** It has been told that the disk does not take it. */
  #isFailing = false;
  /** The disk has taken a part of a line. */
  #isTorn = false;

  /**
   * Opens `path` for appending, with mode 0600: clients' prefixes are in it. `onError` hears, once each time, of a disk that takes no more: what
   * cannot be written is lost, and answers go on.
   */
  constructor(
    path: string,
    readers: () => readonly LoggedQueries[],
    onError: (reason: string) => void,
  ) {
    this.#readers = readers;
    this.#onError = onError;
    this.#handle = openLog(path);
    this.#timer = setInterval(() => this.drain(), DRAIN_MS);
    this.#timer.unref();
  }

  published(revision: number, world: World): void {
    this.#worlds.set(revision, world);
    for (const known of this.#worlds.keys()) {
      if (this.#worlds.size <= WORLDS_MAX) break;
      this.#worlds.delete(known);
    }
  }

  /** Writes what has gathered. */
  drain(): void {
    let lines = "";
    for (const reader of this.#readers()) {
      reader.drain((record) => {
        const world = this.#worlds.get(record.revision);
        lines += `${formatLogLine(record, {
          endpoint: (index) => world?.endpointName(index) ?? `#${index}`,
          view: (index) => world?.views?.names[index] ?? `#${index}`,
        })}\n`;
      });
    }
    if (lines !== "") this.#write(Buffer.from(this.#isTorn ? `\n${lines}` : lines));
  }

  #write(bytes: Buffer): void {
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(this.#handle, bytes, written);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#onError(reasonOf(error));
      this.#isFailing = true;
    }
    if (written > 0) this.#isTorn = bytes[written - 1] !== NEWLINE;
  }

  close(): void {
    clearInterval(this.#timer);
    this.drain();
    closeSync(this.#handle);
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, "a", 0o600);
  } catch (error) {
    throw new CommandError(
      ExitCode.failed,
      `Cannot open the query log "${path}": ${reasonOf(error)}`,
    );
  }
}
