// SPDX-License-Identifier: Apache-2.0
import { statSync, watch, type FSWatcher } from "node:fs";

/** Changes within this time are one. */
const SETTLE_MS = 50;
/** How often files are looked at where the kernel tells nothing (network file systems, too many watches). */
const POLL_MS = 2000;

/** Tells when something below the watched paths may have changed. */
export class FileWatcher {
  readonly #paths: readonly string[];
  readonly #onChange: () => void;
  readonly #watchers: FSWatcher[] = [];
  readonly #stamps: () => string;
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #lastStamp = "";

  /** `listFiles` names every file that counts; sizes and times of those are what polling compares. */
  constructor(paths: readonly string[], listFiles: () => readonly string[], onChange: () => void) {
    this.#paths = paths;
    this.#onChange = onChange;
    this.#stamps = () => listFiles().map(stampOf).join("\n");
  }

  start(): void {
    this.#lastStamp = this.#stamps();
    for (const path of this.#paths) this.#watch(path);
    this.#poll = setInterval(() => this.#look(), POLL_MS);
    this.#poll.unref();
  }

  close(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.length = 0;
    clearTimeout(this.#settle);
    clearInterval(this.#poll);
  }

  #watch(path: string): void {
    try {
      const watcher = watch(path, { recursive: true }, () => this.#touched());
      // A watch that breaks leaves the polling.
      watcher.on("error", () => watcher.close());
      watcher.unref();
      this.#watchers.push(watcher);
    } catch {
      // The path may not exist yet: polling sees it come.
    }
  }

  #touched(): void {
    this.#settle ??= setTimeout(() => {
      this.#settle = undefined;
      this.#look();
    }, SETTLE_MS);
  }

  #look(): void {
    const stamp = this.#stamps();
    if (stamp === this.#lastStamp) return;
    this.#lastStamp = stamp;
    this.#onChange();
  }
}

function stampOf(path: string): string {
  try {
    const { size, mtimeMs, ino } = statSync(path);
    return `${path} ${size} ${mtimeMs} ${ino}`;
  } catch {
    return `${path} gone`;
  }
}
