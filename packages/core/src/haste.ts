// SPDX-License-Identifier: Apache-2.0
import { constants, getPriority, setPriority } from "node:os";

/**
 * Lets the calling thread go before others of its core while somebody waits for some milliseconds of its work. Between two steps of a small
 * change other threads had the core for milliseconds, again and again: with the lowest nice value a change took 156 instead of 210 ms
 * at the median, of four edges that share two half busy cores. Needs CAP_SYS_NICE or RLIMIT_NICE; elsewhere than on Linux, where
 * a nice value is the whole process's, it does nothing.
 */
export class Haste {
  #usual: number | undefined;

  get isOn(): boolean {
    return this.#usual !== undefined;
  }

  /** Idempotent. Not in a thread of little weight: it stands back for others. */
  begin(): void {
    if (this.isOn || process.platform !== "linux") return;
    // 0 is the calling thread on Linux.
    const nice = getPriority(0);
    if (nice <= constants.priority.PRIORITY_NORMAL && attempt(constants.priority.PRIORITY_HIGHEST))
      this.#usual = nice;
  }

  /** Idempotent. */
  end(): void {
    const usual = this.#usual;
    this.#usual = undefined;
    if (usual !== undefined) attempt(usual);
  }
}

/** Whether it may: a change that is later under load is no reason for none. */
function attempt(nice: number): boolean {
  try {
    setPriority(0, nice);
    return true;
  } catch {
    return false;
  }
}
