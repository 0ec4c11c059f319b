// SPDX-License-Identifier: Apache-2.0

// Writes the sampled query log: takes records out of the workers' rings a few times a second and appends them as JSON lines.

import { closeSync, openSync, writeSync } from "node:fs";
import { reasonOf } from "@meridian/core";
import { formatLogLine, type QueryLogReader } from "@meridian/edge";
import type { World } from "@meridian/snapshot";
import { CommandError, ExitCode } from "./exit-code.ts";

const DRAIN_MS = 200;
/** Revisions whose endpoints can still be named; queries of older ones show numbers. */
const WORLDS_MAX = 8;

export class QueryLogFile {
  readonly #readers: () => readonly QueryLogReader[];
  readonly #worlds = new Map<number, World>();
  readonly #timer: NodeJS.Timeout;
  readonly #handle: number;

  /** Opens `path` for appending, with mode 0600: clients' prefixes are in it. */
  constructor(path: string, readers: () => readonly QueryLogReader[]) {
    this.#readers = readers;
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
    if (lines !== "") writeSync(this.#handle, lines);
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
