// SPDX-License-Identifier: Apache-2.0

// A process that replaces another starts beside it: on one core its start-up takes half a second and more of processor time from the worker
// that answers. So it starts with the least priority and comes back from it when it is about to answer itself, where the system lets it
// come back: CAP_SYS_NICE, or a limit on niceness that allows for it (`LimitNICE=` of systemd).

import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

/** With a core that is busy all the time, a start of the least priority would never end. */
const STEP_BACK_MS_MAX = 20_000;
/** Threads that begin while the others are set may be missed: they are looked for again. */
const PASSES_MAX = 4;

/** Has answers of other processes go first from now on; what is returned ends that, and may be called again. */
export function stepBack(): () => void {
  const { PRIORITY_LOW } = constants.priority;
  try {
    const usual = getPriority();
    if (process.platform !== "linux" || usual >= PRIORITY_LOW || !mayComeBack(usual))
      return () => {};
    setAll(PRIORITY_LOW);
    const timer = setTimeout(() => setAll(usual), STEP_BACK_MS_MAX);
    timer.unref();
    return () => {
      clearTimeout(timer);
      setAll(usual);
    };
  } catch {
    // A sandbox may forbid it: then all is as it was.
    return () => {};
  }
}

/** Tries it on a thread that only helps: the system alone knows, as capabilities of a container may not count. */
function mayComeBack(usual: number): boolean {
  const thread = threads().find((each) => each !== process.pid);
  if (thread === undefined) return false;
  setPriority(thread, usual + 1);
  setPriority(thread, usual);
  return true;
}

/** Each thread has a niceness of its own on Linux, which those that it starts inherit. */
function setAll(priority: number): void {
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const others = threads().filter((thread) => priorityOf(thread) !== priority);
    if (others.length === 0) return;
    for (const thread of others) {
      try {
        setPriority(thread, priority);
      } catch {
        // It has ended.
      }
    }
  }
}

function priorityOf(thread: number): number | undefined {
  try {
    return getPriority(thread);
  } catch {
    return undefined;
  }
}

/** The main thread first. */
function threads(): number[] {
  return readdirSync("/proc/self/task").map(Number);
}
