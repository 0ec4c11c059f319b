// SPDX-License-Identifier: Apache-2.0

// Loaded into a server by `--import`: how late its event loops are, twice a second, as lines of `LAG_FOLDER/PID-THREAD.jsonl`. Of each
// half second it tells the 99th percentile, the longest and the mean, in milliseconds above the time between two looks.

import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread, threadId, threadName } from "node:worker_threads";

const LOOK_MS = 2;
const TELL_MS = 500;

/** What one event loop was in one half second. */
export interface LoopLag {
  readonly thread: string;
  /** Wall time of its end. */
  readonly atMs: number;
  readonly p99: number;
  readonly max: number;
  readonly mean: number;
}

const folder = process.env["LAG_FOLDER"];
// Threads that answer queries block in a system call, and have no event loop to speak of.
if (folder !== undefined && (isMainThread || threadName === "verdicts")) watch(folder);

function watch(into: string): void {
  const delay = monitorEventLoopDelay({ resolution: LOOK_MS });
  const path = join(into, `${process.pid}-${threadId}.jsonl`);
  delay.enable();
  setInterval(() => {
    const above = (ns: number): number => Math.max(0, ns / 1e6 - LOOK_MS);
    const lag: LoopLag = {
      thread: isMainThread ? "main" : (threadName ?? ""),
      atMs: Date.now(),
      p99: above(delay.percentile(99)),
      max: above(delay.max),
      mean: above(delay.mean),
    };
    delay.reset();
    appendFileSync(path, `${JSON.stringify(lag)}\n`);
  }, TELL_MS).unref();
}

export function isLoopLag(raw: unknown): raw is LoopLag {
  return typeof raw === "object" && raw !== null && "thread" in raw && "p99" in raw;
}
