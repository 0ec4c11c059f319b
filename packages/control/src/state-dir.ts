// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { MeridianError } from "@meridian/core";

/** Where state lies unless told: `$XDG_STATE_HOME/meridian`, else `~/.local/state/meridian`. */
export function defaultStateDir(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state"), "meridian");
}

/** A folder that one process at a time works in. */
export class StateDir {
  readonly path: string;
  #isLocked = false;

  constructor(path: string) {
    this.path = path;
  }

  /** The Unix socket of the process that holds the folder. */
  get socketPath(): string {
    return join(this.path, "meridian.sock");
  }

  get #lockPath(): string {
    return join(this.path, "lock");
  }

  /** Makes the folder (0700) and takes it. Throws STATE_LOCKED where a living process holds it. */
  lock(): void {
    this.#makeFolders();
    for (let attempt = 0; attempt < 2; attempt++) {
      if (this.#tryLock()) return;
      const holder = this.#holder();
      if (holder !== undefined && isAlive(holder)) {
        throw new MeridianError(
          "STATE_LOCKED",
          "user",
          `Cannot use the state folder "${this.path}": process ${holder} holds it; stop it or give another --state`,
        );
      }
      rmSync(this.#lockPath, { force: true });
    }
    throw new MeridianError(
      "STATE_LOCKED",
      "user",
      `Cannot use the state folder "${this.path}": another process is taking it`,
    );
  }

  /** Takes the folder from a process that is handing over: the lock names this one from now on. */
  takeLock(): void {
    this.#makeFolders();
    writeDurably(this.#lockPath, `${process.pid} ${startOf(process.pid)}\n`);
    this.#isLocked = true;
  }

  unlock(): void {
    if (this.#isLocked && this.#holder() === process.pid) rmSync(this.#lockPath, { force: true });
    this.#isLocked = false;
  }

  #makeFolders(): void {
    for (const name of ["sections", "history"])
      mkdirSync(join(this.path, name), { recursive: true, mode: 0o700 });
  }

  #tryLock(): boolean {
    try {
      writeFileSync(this.#lockPath, `${process.pid} ${startOf(process.pid)}\n`, {
        flag: "wx",
        mode: 0o600,
      });
      this.#isLocked = true;
      return true;
    } catch {
      return false;
    }
  }

  /** Process id in the lock, where that very process (not a later one of the same number) could still live. */
  #holder(): number | undefined {
    try {
      const [pid = "", start = ""] = readFileSync(this.#lockPath, "utf8").trim().split(" ");
      const holder = Number(pid);
      return Number.isInteger(holder) && startOf(holder) === start ? holder : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Replaces a file so that after a crash it has either its old or its new content: write, fsync, rename, fsync of the folder. */
export function writeDurably(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.new`;
  const handle = openSync(temporary, "w", 0o600);
  try {
    writeFileSync(handle, content);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
}

export function syncFolder(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
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

/** When a process started, in clock ticks since boot (Linux), so that a reused process id is told apart; empty elsewhere. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
