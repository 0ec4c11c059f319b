// SPDX-License-Identifier: Apache-2.0

// A process that is to replace another one starts on the cores on which that one answers, and needs a second or more of processor time
// until it can answer too. It steps aside meanwhile: its threads have a low weight, so that it starts in the time that answers leave.
// The threads that answer come forward once they are ready (EdgeOptions.standby), all others when what is to be done is done.
//
// On Linux each thread has a nice value of its own, which a thread inherits from the one that starts it; a thread that V8 or libuv has
// started before is found by its number. Who may not raise a value again (RLIMIT_NICE, CAP_SYS_NICE) starts as any other process.

import { readdirSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

/**
 * A ninth of the usual weight: workers that are patient (Edge.setPatient) keep what they need of a core, and a process whose cores others
 * use too still comes up. At the lowest value, 19, one that shared a core with 80,000 queries a second stood still for half a minute.
 */
const LOW = constants.priority.PRIORITY_BELOW_NORMAL;
/** On cores that others leave next to no time it cannot start at a low weight: after this it takes its share. */
const STANDBY_MS_MAX = 10_000;

/** A process at a low weight, until it comes forward. */
export class Standby {
  /** The nice value that its threads have otherwise. */
  readonly nice: number;
  readonly #timer: NodeJS.Timeout;
  readonly #callbacks: (() => void)[] = [];

  private constructor(nice: number) {
    this.nice = nice;
    this.#timer = setTimeout(() => this.comeForward(), STANDBY_MS_MAX).unref();
  }

  /** Lowers all threads of this process where they can be raised again. */
  static enter(): Standby {
    const nice = getPriority();
    if (nice < LOW && mayRaise(nice)) lowerThreads();
    return new Standby(nice);
  }

  /** Calls back once, when this process comes forward. */
  whenForward(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  /** Gives every thread that is still lowered what it had. Idempotent. */
  comeForward(): void {
    clearTimeout(this.#timer);
    for (const thread of threads()) trySetting(thread, this.nice, LOW);
    for (const callback of this.#callbacks.splice(0)) callback();
  }
}

/** Gives the thread that calls, the first one, a low weight: what it has left to do is not urgent any more. */
export function stepBack(): void {
  if (process.platform === "linux") trySetting(process.pid, LOW);
}

function lowerThreads(): void {
  for (const thread of threads()) trySetting(thread, LOW);
}

/** Tried with a thread that answers nothing, and by one step, so that nothing is amiss where it may not. */
function mayRaise(nice: number): boolean {
  const other = threads().find((thread) => thread !== process.pid);
  if (other === undefined) return false;
  return trySetting(other, nice + 1) && trySetting(other, nice);
}

/** [] where threads have no nice values of their own. */
function threads(): readonly number[] {
  if (process.platform !== "linux") return [];
  try {
    // The first thread first: those that it starts meanwhile inherit its value.
    return readdirSync("/proc/self/task")
      .map(Number)
      .sort((one, other) => one - other);
  } catch {
    return [];
  }
}

/** Sets the nice value of a thread, where it has the value `from` if that is given; false where that may not be, or it has ended. */
function trySetting(thread: number, nice: number, from?: number): boolean {
  try {
    if (from !== undefined && getPriority(thread) !== from) return false;
    setPriority(thread, nice);
    return true;
  } catch {
    return false;
  }
}
