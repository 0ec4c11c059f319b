// SPDX-License-Identifier: Apache-2.0

import { readFileSync } from "node:fs";

/** How long a process that was replaced may take to end by itself; what it has to write is written within a second. */
const PREDECESSOR_MS_MAX = 30_000;
/** How long one that was killed is waited for in silence. */
const KILLED_MS_MAX = 5000;
const LOOK_MS = 10;

/**
 * Waits until the process that was replaced has ended. It has left its sockets: if it does not end, it is killed, and waited for however
 * long the kernel keeps it. What it holds (the store, its ports) cannot be had before, and who waits answers meanwhile.
 */
export async function processEnded(pid: number, warn: (message: string) => void): Promise<void> {
  const isAlive = aliveness(pid);
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

/** Whether the process that has this id now still runs. One whose parent did not ask how it ended does not, nor does a later one of that id. */
function aliveness(pid: number): () => boolean {
  if (process.platform !== "linux") return () => exists(pid);
  const start = startOf(pid);
  return () => start !== undefined && startOf(pid) === start;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** When it started, in ticks since boot; undefined where none of its threads is left (proc_pid_stat(5): state, number of threads, start). */
function startOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const isZombie = fields[0] === "Z" || fields[0] === "X";
  return isZombie && Number(fields[17]) <= 1 ? undefined : fields[19];
}
