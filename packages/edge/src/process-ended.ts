// SPDX-License-Identifier: Apache-2.0

/** How long a process that was replaced may take to end. */
const PREDECESSOR_MS_MAX = 10_000;
const LOOK_MS = 10;

/** Waits until the process that was replaced has ended, but not for ever. */
export async function processEnded(pid: number): Promise<void> {
  const deadline = performance.now() + PREDECESSOR_MS_MAX;
  while (performance.now() < deadline && isAlive(pid)) {
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
