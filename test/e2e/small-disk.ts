// SPDX-License-Identifier: Apache-2.0

// A disk of few bytes that a test can fill: memory that is mounted in a mount namespace of its own, so that it is gone with the test
// however that ends. Programs are started inside; the test looks at it from outside by another path.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { needs } from "../needs.ts";

/** For the `skip` option of `node:test`: false where one can be mounted, else the reason. */
export function needsSmallDisk(): string | false {
  const missing = needs("unshare", "util-linux") || needs("nsenter", "util-linux");
  if (missing !== false) return missing;
  const { status } = spawnSync("unshare", ["-m", "sh", "-c", "mount -t tmpfs small /mnt"]);
  return status === 0 ? false : "no disk can be mounted here; run the tests as root";
}

export class SmallDisk {
  /** Where it is to programs inside. */
  readonly path: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, path: string) {
    this.#child = child;
    this.path = path;
  }

  /** Over an empty folder. */
  static async open(t: TestContext, folder: string, bytes: number): Promise<SmallDisk> {
    const mount = `mount -t tmpfs -o size=${bytes} small "$0" && echo mounted && exec cat`;
    // `cat` ends with whoever holds the other end.
    const child = spawn("unshare", ["-m", "sh", "-c", mount, folder], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    return new SmallDisk(child, folder);
  }

  /** Begins a command that runs inside. */
  get inside(): readonly string[] {
    return ["nsenter", "--mount", `--target=${this.#child.pid}`, "--"];
  }

  /** Where it is to the test: good for files and sockets, as long as nobody resolves links. */
  get outside(): string {
    return `/proc/${this.#child.pid}/root${this.path}`;
  }

  fill(): void {
    fill(this.#ballast);
  }

  /** Takes back what filled it. */
  empty(): void {
    rmSync(this.#ballast, { force: true });
  }

  get #ballast(): string {
    return join(this.outside, "ballast");
  }
}

/** Writes a file until its disk takes no more. */
export function fill(path: string): void {
  for (let bytes = 1 << 20; bytes >= 1 << 10; bytes >>>= 1)
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    }
}
