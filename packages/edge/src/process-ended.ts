// SPDX-License-Identifier: Apache-2.0

/** How long a process that was replaced may take to end by itself; what it has to write is written within a second. */
const PREDECESSOR_MS_MAX = 30_000;
/** How long one that was killed is waited for. */
const KILLED_MS_MAX = 5000;
const LOOK_MS = 10;

/** Waits until the process that was replaced has ended. It has left its sockets: if it does not end, it is killed. */
export async function processEnded(pid: number): Promise<void> {
  if (await hasEnded(pid, PREDECESSOR_MS_MAX)) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
  await hasEnded(pid, KILLED_MS_MAX);
}

async function hasEnded(pid: number, msMax: number): Promise<boolean> {
  const deadline = performance.now() + msMax;
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
  return true;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
