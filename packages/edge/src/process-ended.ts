// SPDX-License-Identifier: Apache-2.0

import { existsSync, readFileSync } from "node:fs";
import { MeridianError } from "@meridian/core";

/** How long a process that was replaced may take to end by itself; what it has to write is written within a second. */
const PREDECESSOR_MS_MAX = 30_000;
/** How long one that was killed is waited for in silence. */
const KILLED_MS_MAX = 5000;
const LOOK_MS = 10;

export interface ProcessEndedOptions {
  readonly warn: (message: string) => void;
  /** This process is to end: it waits no more. */
  readonly isStopped: () => boolean;
}

/**
 * Waits until the process that was replaced has ended. It has left its sockets: if it does not end, it is killed, and waited for however
 * long the kernel keeps it. What it holds (the store, its ports) cannot be had before, and who waits answers meanwhile. Rejects with code
 * EDGE_HANDOVER_INTERRUPTED where this process is to end before.
 */
export async function processEnded(
  pid: number,
  { warn, isStopped }: ProcessEndedOptions,
): Promise<void> {
  const start = startOf(pid);
  const isAlive = (): boolean => {
    if (isStopped())
      throw new MeridianError(
        "EDGE_HANDOVER_INTERRUPTED",
        "user",
        `Ended before process ${pid} did, which it had replaced`,
      );
    return start === undefined ? exists(pid) : start !== "" && startOf(pid) === start;
  };
  if (await hasEnded(isAlive, PREDECESSOR_MS_MAX)) return;
  warn(
    `Process ${pid}, which was replaced, has not ended within ${PREDECESSOR_MS_MAX / 1000} s: it is killed`,
  );
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
  if (await hasEnded(isAlive, KILLED_MS_MAX)) return;
  // It cannot be told apart from a later process of its id, or from one that nobody asked how it ended.
  if (start === undefined) return;
  warn(`Process ${pid}, which was replaced and killed, has not ended: it is waited for`);
  await hasEnded(isAlive, Number.POSITIVE_INFINITY);
}

async function hasEnded(isAlive: () => boolean, msMax: number): Promise<boolean> {
  const deadline = performance.now() + msMax;
  while (isAlive()) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
  return true;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * When it started, in ticks since boot; "" where none of its threads is left, as one whose parent did not ask how it ended (proc_pid_stat(5):
 * state, number of threads, start). Undefined where processes cannot be told apart: not on Linux, or without /proc.
 */
function startOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return existsSync("/proc/self/stat") ? "" : undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const isZombie = fields[0] === "Z" || fields[0] === "X";
  return isZombie && Number(fields[17]) <= 1 ? "" : fields[19];
}
