// SPDX-License-Identifier: Apache-2.0

// Tells when files have changed. The kernel names the folders in which something happened; what counts is whether sizes, times or inodes of
// the files differ then, after as short a rest as is safe:
//
//   replaced by rename                  whole at once: a short rest
//   truncated and written anew          smaller than it was, the same inode: a longer one, so that what is written next is not missed
//   moved away, made and written anew   gone or empty in between: the same
//
// Who reads a file that is half written all the same is told again as soon as the rest of it is there.

import { readdirSync, statSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";
import { isLookedInto } from "./file-loader.ts";

/** Without events for this long, what has changed is taken for whole. */
const SETTLE_MS = 10;
/** The same, while a file has become less. */
const LOSS_SETTLE_MS = 50;
/** Files that change all the time are looked at in the midst of it, this long after the first event. */
const SETTLE_MS_MAX = 250;
/** How often files are looked at where the kernel tells nothing (network file systems, too many watches). */
const POLL_MS = 2000;
/** Most folders that are watched; what lies in others is polled. */
const WATCHES_MAX = 1024;
/**
 * How far apart the clocks are that files and this process are timed by. Files have the time of the kernel's last tick, 4 ms ago; where the host gave
 * the processor to another machine just then it may be 100, and the next poll tells.
 */
const CLOCK_MS = 5;

interface FileStamp {
  readonly size: number;
  /** When it was last changed or put there, wall milliseconds. */
  readonly changedMs: number;
  readonly id: string;
  readonly isFolder: boolean;
  /** What tells it from what it was before. */
  readonly print: string;
}

type Stamps = ReadonlyMap<string, FileStamp | undefined>;

interface Watch {
  readonly watcher: FSWatcher;
  /** Of the folder when it was watched: another one may have taken its place. */
  readonly id: string;
  /** Files of it that count; all where it is undefined. */
  names: ReadonlySet<string> | undefined;
}

/** Tells when one of some files and folders may have changed. */
export class FileWatcher {
  readonly #listFiles: () => readonly string[];
  readonly #onChange: () => void;
  readonly #pollMs: number;
  readonly #watches = new Map<string, Watch>();
  #stamps: Stamps = new Map();
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #firstEventMs: number | undefined;
  #lastEventMs = 0;

  /** `listFiles` names every file and folder that counts, as they are now. */
  constructor(listFiles: () => readonly string[], onChange: () => void, pollMs: number = POLL_MS) {
    this.#listFiles = listFiles;
    this.#onChange = onChange;
    this.#pollMs = pollMs;
  }

  /** Watches what is listed, as it was read at `readAtMs` (wall milliseconds). */
  start(readAtMs: number): void {
    this.#poll = setInterval(() => this.#look(), this.#pollMs);
    this.#poll.unref();
    this.follow(readAtMs);
  }

  /** The same, after other files were read. */
  follow(readAtMs: number): void {
    if (this.#poll === undefined) return;
    const before = this.#stamps;
    const stamps = this.#read();
    this.#watch(stamps);
    // What is new to the list has changed since then, unless its times say that it has not.
    this.#stamps = new Map(
      [...stamps].flatMap(([path, stamp]) => {
        if (before.has(path)) return [[path, before.get(path)]];
        return stamp !== undefined && stamp.changedMs + CLOCK_MS < readAtMs ? [[path, stamp]] : [];
      }),
    );
    this.#look();
  }

  close(): void {
    clearInterval(this.#poll);
    this.#poll = undefined;
    clearTimeout(this.#settle);
    for (const { watcher } of this.#watches.values()) watcher.close();
    this.#watches.clear();
  }

  #read(): Stamps {
    return new Map(this.#listFiles().map((path) => [path, stampOf(path)]));
  }

  /** Brings the watches in line with what is there. */
  #watch(stamps: Stamps): void {
    const wanted = watchedFolders(stamps);
    for (const [folder, { watcher, id }] of this.#watches) {
      if (wanted.has(folder) && stampOf(folder)?.id === id) continue;
      watcher.close();
      this.#watches.delete(folder);
    }
    for (const [folder, names] of wanted) {
      const known = this.#watches.get(folder);
      if (known !== undefined) known.names = names;
      else if (this.#watches.size < WATCHES_MAX) this.#add(folder, names);
    }
  }

  #add(folder: string, names: ReadonlySet<string> | undefined): void {
    try {
      const id = stampOf(folder)?.id ?? "";
      const watcher = watch(folder, (_, name) => this.#happened(folder, name));
      // A watch that breaks leaves the polling.
      watcher.on("error", () => watcher.close());
      watcher.unref();
      this.#watches.set(folder, { watcher, id, names });
    } catch {
      // It may not be there yet, or there are too many watches: polling sees what happens.
    }
  }

  #happened(folder: string, name: string | null): void {
    const names = this.#watches.get(folder)?.names;
    // Kubernetes puts volumes in place by a link of such a name, which files of the folder go through.
    const isOfVolume = name?.startsWith("..") === true;
    if (names !== undefined && name !== null && !isOfVolume && !names.has(name)) return;
    this.#lastEventMs = performance.now();
    this.#firstEventMs ??= this.#lastEventMs;
    this.#lookIn(SETTLE_MS);
  }

  #lookIn(ms: number): void {
    const leftMs = (this.#firstEventMs ?? 0) + SETTLE_MS_MAX - performance.now();
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#look(), Math.max(1, Math.min(ms, leftMs)));
  }

  #look(): void {
    const nowMs = performance.now();
    const stamps = this.#read();
    const restMs = this.#lastEventMs + LOSS_SETTLE_MS - nowMs;
    const isLate = nowMs >= (this.#firstEventMs ?? nowMs) + SETTLE_MS_MAX;
    if (
      this.#firstEventMs !== undefined &&
      restMs > 0 &&
      !isLate &&
      hasLoss(this.#stamps, stamps)
    ) {
      this.#lookIn(restMs);
      return;
    }
    this.#firstEventMs = undefined;
    const before = this.#stamps;
    const isSame =
      stamps.size === before.size &&
      [...stamps].every(
        ([path, stamp]) => before.has(path) && stamp?.print === before.get(path)?.print,
      );
    this.#stamps = stamps;
    if (!isSame) this.#onChange();
  }
}

/** Folders by the names in them that count. */
function watchedFolders(stamps: Stamps): ReadonlyMap<string, ReadonlySet<string> | undefined> {
  const folders = new Map<string, Set<string> | undefined>();
  for (const [path, stamp] of stamps) if (stamp?.isFolder === true) folders.set(path, undefined);
  for (const path of stamps.keys()) {
    const parent = dirname(path);
    const names = folders.get(parent);
    if (names !== undefined) names.add(basename(path));
    else if (!folders.has(parent)) folders.set(parent, new Set([basename(path)]));
  }
  return folders;
}

/** Whether a file is gone, empty or, being the same file, shorter than it was. */
function hasLoss(before: Stamps, after: Stamps): boolean {
  for (const [path, old] of before) {
    if (old === undefined || old.isFolder) continue;
    const now = after.get(path);
    if (now === undefined || (now.size < old.size && (now.size === 0 || now.id === old.id)))
      return true;
  }
  return false;
}

function stampOf(path: string): FileStamp | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    const { size, mtimeMs, ctimeMs, dev, ino } = stats;
    const id = `${dev} ${ino}`;
    const isFolder = stats.isDirectory();
    // Other files come and go in a folder: what an editor keeps beside the one that it has open, for one.
    const print = isFolder ? `${id} ${listedIn(path)}` : `${id} ${size} ${mtimeMs}`;
    return { size, changedMs: Math.max(mtimeMs, ctimeMs), id, isFolder, print };
  } catch {
    return undefined;
  }
}

function listedIn(folder: string): string {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (isLookedInto(entry) ? [entry.name] : []))
    .toSorted()
    .join("/");
}
