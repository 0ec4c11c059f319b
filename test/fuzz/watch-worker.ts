// SPDX-License-Identifier: Apache-2.0

// Looks whether the fuzzer still begins new inputs. Where it does not for `hangMs`, the input is kept and the process ended, since
// nothing else can interrupt a loop.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { workerData } from "node:worker_threads";

const LOOK_MS = 1000;

interface WatchData {
  readonly words: SharedArrayBuffer;
  readonly bytes: SharedArrayBuffer;
  readonly folder: string;
  readonly hangMs: number;
}

const { words, bytes, folder, hangMs }: WatchData = workerData;
const state = new Int32Array(words);
let seen = -1;
let sinceMs = performance.now();

setInterval(() => {
  const begun = Atomics.load(state, 0);
  if (begun !== seen) {
    seen = begun;
    sinceMs = performance.now();
  } else if (performance.now() - sinceMs > hangMs) {
    const file = join(folder, "failure-without-end.bin");
    writeFileSync(file, new Uint8Array(bytes, 0, state[1] ?? 0).slice());
    process.stderr.write(`An input ran for ${hangMs} ms without an end, kept as ${file}\n`);
    process.kill(process.pid, "SIGKILL");
  }
}, LOOK_MS);
