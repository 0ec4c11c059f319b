// SPDX-License-Identifier: Apache-2.0

import { openSync, readSync } from "node:fs";
import { PRIORITY_ANSWERS, PRIORITY_FAIR, PRIORITY_VERDICTS } from "@meridian/native";
import type { Native } from "@meridian/native";

// Who answers wakes tens of thousands of times a second and has something to do for microseconds each. Under the kernel's fair policy
// whoever else has work, a thread of the kernel that looks for memory to give back say, is let in whenever the worker sleeps, and keeps the
// core for a slice of some milliseconds: at 70 % of a core's load all answers of three times as long are late. With a policy of real time the
// worker goes on as soon as a query is there.
//
// That is for who leaves the core to others by himself. A worker that has hardly a pause shares its core fairly again: others would get a
// twentieth of it, in pieces of 50 ms in which nothing is answered. So do all while the main thread waits much for a core, as where more
// workers than cores are half busy: it takes revisions over and empties the query log.

/** Packets and turns after which a clock is asked at all. */
const LOOK_COUNT = 64;
/** Over so long it is seen how busy the worker is. */
const LOOK_MS = 100;
/** Share of a core from which on a worker is no more urgent than others. 70 % of the most that it answers are some 80 %, in shorter batches. */
const URGENT_SHARE_MAX = 0.92;
/**
 * Who was that busy is fair for so long, and so is who begins: V8's compilers, which share the core fairly, have to come by for a worker to be
 * quick. Urgent for two thirds of the time, one that had just begun answered a quarter less than was asked, for seconds.
 */
const FAIR_MS = 1000;

/** Over so long it is seen how much the main thread waits, and what share of the time is much. */
const MAIN_LOOK_MS = 500;
const MAIN_WAIT_SHARE_MAX = 0.2;

/** What decides of this thread, and what is decided. */
export interface AnsweringThread {
  /** As `process.threadCpuUsage` and `performance.now` have them. */
  cpuMs(): number;
  wallMs(): number;
  /** How long the main thread has had work and no core, since it began. */
  mainWaitMs(): number;
  /** Throws where the user may not. */
  setPriority(priority: number): void;
}

/** The worker that calls. */
export function answeringThread(native: Native): AnsweringThread {
  const mainWaitMs = mainWait();
  return {
    mainWaitMs,
    cpuMs: () => {
      const { user, system } = process.threadCpuUsage();
      return (user + system) / 1000;
    },
    wallMs: () => performance.now(),
    setPriority: (priority) => native.setUrgency(priority, 0),
  };
}

/** Of the process as procfs has it, which is its main thread: time on a core, time of waiting for one, in ns. Always 0 where the kernel counts none. */
function mainWait(): () => number {
  try {
    // Open for as long as the thread lives.
    const file = openSync("/proc/self/schedstat", "r");
    const text = Buffer.alloc(64);
    return () =>
      Number(text.toString("latin1", 0, readSync(file, text, 0, 64, 0)).split(" ")[1]) / 1e6;
  } catch {
    return () => 0;
  }
}

/** Lets a worker go before others of its core while it leaves some of it to them. */
export class AnsweringUrgency {
  readonly #thread: AnsweringThread;
  #count = 0;
  #cpuMs: number;
  #wallMs: number;
  /** How long the present stretch is looked at. */
  #lookMs = FAIR_MS;
  #mainWaitMs: number;
  #mainWallMs: number;
  #isMainLate = false;
  #isUrgent = false;
  #isPatient = false;
  #isForbidden = false;

  constructor(thread: AnsweringThread) {
    this.#thread = thread;
    this.#cpuMs = thread.cpuMs();
    this.#wallMs = thread.wallMs();
    this.#mainWaitMs = thread.mainWaitMs();
    this.#mainWallMs = this.#wallMs;
  }

  /** A turn took so many packets. */
  note(received: number): void {
    this.#count += received + 1;
    if (this.#count < LOOK_COUNT) return;
    this.#count = 0;
    if (this.#isPatient || this.#isForbidden) return;
    const passedMs = this.#thread.wallMs() - this.#wallMs;
    if (passedMs < this.#lookMs) return;
    this.#lookAtMain();
    const isBusy = this.#thread.cpuMs() - this.#cpuMs > passedMs * URGENT_SHARE_MAX;
    this.#set(!isBusy && !this.#isMainLate);
    this.#remember(this.#isUrgent ? LOOK_MS : FAIR_MS);
  }

  /** Whether others are to go first. Afterwards it is looked at anew. */
  setPatient(isPatient: boolean): void {
    this.#isPatient = isPatient;
    this.#set(false);
    this.#remember(FAIR_MS);
  }

  #lookAtMain(): void {
    const wallMs = this.#thread.wallMs();
    const passedMs = wallMs - this.#mainWallMs;
    if (passedMs < MAIN_LOOK_MS) return;
    const waitMs = this.#thread.mainWaitMs();
    this.#isMainLate = waitMs - this.#mainWaitMs > passedMs * MAIN_WAIT_SHARE_MAX;
    this.#mainWaitMs = waitMs;
    this.#mainWallMs = wallMs;
  }

  #remember(lookMs: number): void {
    this.#lookMs = lookMs;
    this.#cpuMs = this.#thread.cpuMs();
    this.#wallMs = this.#thread.wallMs();
  }

  #set(isUrgent: boolean): void {
    if (this.#isUrgent === isUrgent) return;
    this.#isUrgent = isUrgent;
    try {
      // Where verdicts could not go before answers, answers are to be as all others.
      if (isUrgent) this.#thread.setPriority(PRIORITY_VERDICTS);
      this.#thread.setPriority(isUrgent ? PRIORITY_ANSWERS : PRIORITY_FAIR);
    } catch {
      this.#isUrgent = false;
      this.#isForbidden = true;
    }
  }
}
