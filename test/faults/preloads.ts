// SPDX-License-Identifier: Apache-2.0

// What a process is told of its clock and its disk: libraries that are loaded before it, steered by files.

import { spawnSync } from "node:child_process";
import { globSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { needs } from "../needs.ts";

/** For the `skip` option of `node:test`: false where clocks and disks can be changed, else the reason. */
export function needsPreloads(): string | false {
  return needs("faketime", "faketime") || needs("cc", "gcc");
}

/** Clock and disk of the programs that are started with its environment. */
export class Preloads {
  readonly environment: Readonly<Record<string, string>>;
  readonly #clockFile: string;
  readonly #diskFile: string;

  /** @throws Error with the compiler's output where the library of the slow disk cannot be built. */
  constructor(folder: string) {
    this.#clockFile = join(folder, "clock");
    this.#diskFile = join(folder, "disk-ms");
    const slowDisk = join(folder, "slow-disk.so");
    const source = join(import.meta.dirname, "slow-disk.c");
    const built = spawnSync("cc", ["-shared", "-fPIC", "-O2", "-o", slowDisk, source, "-ldl"], {
      encoding: "utf8",
    });
    if (built.status !== 0) throw new Error(`Cannot build ${source}: ${built.stderr}`);
    const [faketime] = globSync("/usr/lib/*/faketime/libfaketimeMT.so.1");
    if (faketime === undefined) throw new Error("Cannot find libfaketimeMT.so.1 in /usr/lib/*");
    this.shiftClock(0);
    this.slowDisk(0);
    this.environment = {
      LD_PRELOAD: `${faketime} ${slowDisk}`,
      FAKETIME_TIMESTAMP_FILE: this.#clockFile,
      FAKETIME_NO_CACHE: "1",
      // Time-outs and leases are kept by the clock that never jumps; what jumps is the time of day.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      SLOW_DISK_MS_FILE: this.#diskFile,
    };
  }

  /** The time of day is off by that many seconds from now on. */
  shiftClock(seconds: number): void {
    replace(this.#clockFile, `${seconds < 0 ? "" : "+"}${seconds}`);
  }

  /** Each fsync takes that many milliseconds longer. */
  slowDisk(milliseconds: number): void {
    replace(this.#diskFile, String(milliseconds));
  }
}

/** Whole at any moment, since it is read at any moment. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
