// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MeridianError } from "@meridian/core";

/** Times that a folder is looked at again because another process took a lock in between. */
const LOCK_ATTEMPTS_MAX = 8;
/** What the lock of a process holds that gave its folder back. */
const RELEASED = "released\n";

/**
 * A folder that one process at a time works in.
 *
 * Node has no `flock`, and removing the lock of a dead process by its name can remove the one that another process has just put there.
 * So no lock is ever removed to make room: locks are numbered, the one with the highest number counts, and a process that finds its
 * holder dead (or gone of its own will) makes the next number. A number is made by `link`, whole and by one process only, whatever dies
 * when. The locks two and more below the newest are swept; the one below stays, so that no listing of the folder can miss both.
 */
export class StateDir {
  readonly path: string;
  /** Number of the lock that this process made; 0 where it holds none. */
  #held = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** The Unix socket of the process that holds the folder. */
  get socketPath(): string {
    return join(this.path, "meridian.sock");
  }

  /** Makes the folder (0700) and takes it. Throws STATE_LOCKED where a living process holds it, STATE_UNUSABLE where it cannot be used. */
  lock(): void {
    this.#take((holder) => {
      throw new MeridianError(
        "STATE_LOCKED",
        "user",
        `Cannot use the state folder "${this.path}": process ${holder} holds it; stop it or give another --state`,
      );
    });
  }

  /** Takes the folder from a process that is handing over: the newest lock names this one from now on. */
  takeLock(): void {
    this.#take(() => undefined);
  }

  /** Id of the living process that holds the folder; undefined where none does, or there is no folder. */
  holder(): number | undefined {
    return existsSync(this.path) ? this.#holderOf(this.#newest()) : undefined;
  }

  /** Gives the folder back. Idempotent; never throws: the lock of a process that ended holds nobody off anyway. */
  unlock(): void {
    const held = this.#held;
    this.#held = 0;
    try {
      if (held > 0) this.#write(this.#lockPath(held), RELEASED, renameSync);
    } catch {
      // The folder is gone, or the disk is full.
    }
  }

  #take(refuse: (holder: number) => void): void {
    try {
      for (const name of ["sections", "history"])
        mkdirSync(join(this.path, name), { recursive: true, mode: 0o700 });
      for (let attempt = 0; attempt < LOCK_ATTEMPTS_MAX; attempt++) {
        const newest = this.#newest();
        const holder = this.#holderOf(newest);
        if (holder !== undefined) refuse(holder);
        if (this.#make(newest + 1)) return;
      }
    } catch (error) {
      if (error instanceof MeridianError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new MeridianError(
        "STATE_UNUSABLE",
        "user",
        `Cannot use the state folder "${this.path}": ${reason}`,
        { cause: error },
      );
    }
    throw new MeridianError(
      "STATE_LOCKED",
      "user",
      `Cannot use the state folder "${this.path}": ${LOCK_ATTEMPTS_MAX} other processes took it meanwhile`,
    );
  }

  /** Makes the lock of this number; false where another process did, or has a later one. */
  #make(number: number): boolean {
    const path = this.#lockPath(number);
    const isMade = this.#write(path, `${process.pid} ${startOf(process.pid)}\n`, linkSync);
    if (!isMade) return false;
    if (this.#newest() !== number) {
      rmSync(path, { force: true });
      return false;
    }
    this.#held = number;
    for (const other of this.#numbers())
      if (other < number - 1) rmSync(this.#lockPath(other), { force: true });
    syncPath(this.path);
    return true;
  }

  /** Puts `content` at `path` in one step: `link` fails where something is there, `rename` replaces it. False where something is. */
  #write(path: string, content: string, put: (from: string, to: string) => void): boolean {
    const temporary = join(this.path, `lock-of-${process.pid}`);
    writeFileSync(temporary, content, { mode: 0o600 });
    try {
      put(temporary, path);
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
      throw error;
    } finally {
      rmSync(temporary, { force: true });
    }
  }

  #lockPath(number: number): string {
    return join(this.path, `lock.${number}`);
  }

  #numbers(): number[] {
    return readdirSync(this.path).flatMap((name) => {
      const digits = /^lock\.([0-9]{1,15})$/.exec(name)?.[1];
      return digits === undefined ? [] : [Number(digits)];
    });
  }

  #newest(): number {
    return Math.max(0, ...this.#numbers());
  }

  /** The process that a lock names, where that very one (not a later one of the same id) lives. */
  #holderOf(number: number): number | undefined {
    const text = number === 0 ? "" : readIfThere(this.#lockPath(number));
    const [pid = "", start = ""] = text.trim().split(" ");
    const holder = /^[0-9]+$/.test(pid) ? Number(pid) : undefined;
    return holder !== undefined && isAlive(holder) && startOf(holder) === start
      ? holder
      : undefined;
  }
}

/** Replaces a file: whoever reads it finds the old or the new content, whole, also after the machine has lost power. */
export function writeDurably(
  path: string,
  content: string | Uint8Array,
  temporary = `${path}.new`,
): void {
  writeSynced(path, content, temporary);
  syncPath(dirname(path));
}

/** The same but for the folder: the content is on disk, its name only when `syncPath` has returned. For several files at once. */
export function writeSynced(path: string, content: string | Uint8Array, temporary: string): void {
  const handle = openSync(temporary, "w", 0o600);
  try {
    writeFileSync(handle, content);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, path);
}

/** The same without waiting for the disk: whoever looks finds the old or the new content, and after a loss of power perhaps part of it. */
export function writeUnsynced(
  path: string,
  content: string | Uint8Array,
  temporary = `${path}.new`,
): void {
  writeFileSync(temporary, content, { mode: 0o600 });
  renameSync(temporary, path);
}

/** The ending of what `replaceDurably()` is about to put in the place of a file. */
export const LATER_ENDING = ".later.new";

/**
 * Written at once by `replaceDurably()`, and waited for. Whoever else waits for the same disk, for a few bytes that a commit has written, waits
 * for what was written before as well: with some processes that wrote eight megabytes each at once that was 50 to 80 ms.
 */
const PIECE_BYTES = 256 * 1024;

/** As `writeDurably`, while others go on; where `isWanted` says no when the disk has the content, the file stays as it is. */
export async function replaceDurably(
  path: string,
  content: Uint8Array,
  isWanted: () => boolean,
  temporary = `${path}${LATER_ENDING}`,
): Promise<void> {
  const handle = await open(temporary, "w", 0o600);
  try {
    for (let at = 0; at < content.length && isWanted(); at += PIECE_BYTES) {
      await handle.writeFile(content.subarray(at, at + PIECE_BYTES));
      await handle.datasync();
    }
    await handle.sync();
  } catch (error) {
    // A full disk is to have room for what is smaller.
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  if (!isWanted()) return;
  renameSync(temporary, path);
  await syncFile(dirname(path));
}

/** Resolves when a file, or what a folder names, is on disk. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits until a file, or what a folder names, is on disk. */
export function syncPath(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** The text of a file; empty where it was swept meanwhile. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** When a process started, in clock ticks since boot (Linux), so that a reused process id is told apart; empty elsewhere, "dead" of one that ended but was not waited for. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "dead" : (fields[19] ?? "");
  } catch {
    return "";
  }
}
