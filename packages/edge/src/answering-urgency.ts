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
//
// Who shares its core fairly falls behind where others want it all, and answers late until the kernel's queue is full: then queries are lost.
// So a worker that finds much waiting goes before others until it has caught up, if that takes no longer than it takes one that can. While a
// process is replaced the workers of both are patient besides: they let others run until their slices are over, and answer what has come
// meanwhile in full batches, which takes half the time for each query.

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

/** Full batches in a row after which a worker is behind: what comes in some milliseconds. */
const BEHIND_TURNS = 8;
/** Who is behind goes before others for so long, then pauses: what it waits for itself, compilers say, has to go on. */
const CATCH_UP_MS = 150;
const PAUSE_MS = 50;
/** After so many such times in a row there is more to do than it can, and it is fair until it is looked at anew; not while it is patient. */
const CATCH_UPS_MAX = 3;

/** What decides of this thread, and what is decided. */
export interface AnsweringThread {
  /** As `process.threadCpuUsage` and `performance.now` have them. */
  cpuMs(): number;
  wallMs(): number;
  /** How long the main thread has had work and no core, since it began. */
  mainWaitMs(): number;
  /** Throws where the user may not. */
  setPriority(priority: number): void;
  /** Whether it lets the thread that runs end its slice, while it shares its core fairly. Throws where a sandbox forbids it. */
  setPatience(isPatient: boolean): void;
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
    setPatience: (isPatient) => native.setPatience(isPatient ? 1 : 0),
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
  /** Not before it has been looked at for the first time: who begins needs compilers, and may be patient. */
  #mayCatchUp = false;
  #isCatchingUp = false;
  #fullTurns = 0;
  #catchUps = 0;
  /** When a catching up, or the pause after it, ends. */
  #untilMs = 0;

  constructor(thread: AnsweringThread) {
    this.#thread = thread;
    this.#cpuMs = thread.cpuMs();
    this.#wallMs = thread.wallMs();
    this.#mainWaitMs = thread.mainWaitMs();
    this.#mainWallMs = this.#wallMs;
  }

  /** A turn took so many packets; a full one leaves some in the kernel, as a rule. */
  note(received: number, isFull = false): void {
    if (this.#mayCatchUp) this.#lookBehind(isFull);
    this.#count += received + 1;
    if (this.#count < LOOK_COUNT) return;
    this.#count = 0;
    if (this.#isPatient || this.#isForbidden) return;
    const passedMs = this.#thread.wallMs() - this.#wallMs;
    if (passedMs < this.#lookMs) return;
    this.#lookAtMain();
    const isBusy = this.#thread.cpuMs() - this.#cpuMs > passedMs * URGENT_SHARE_MAX;
    this.#forgetBehind(isBusy && !this.#isMainLate);
    this.#set(!isBusy && !this.#isMainLate);
    this.#remember(this.#isUrgent ? LOOK_MS : FAIR_MS);
  }

  /** Whether others are to go first, unless it falls behind. Afterwards it is looked at anew. */
  setPatient(isPatient: boolean): void {
    this.#isPatient = isPatient;
    this.#forgetBehind(!this.#isForbidden);
    this.#set(false);
    this.#share();
    this.#remember(FAIR_MS);
  }

  #forgetBehind(mayCatchUp: boolean): void {
    this.#mayCatchUp = mayCatchUp;
    this.#isCatchingUp = false;
    this.#catchUps = 0;
    this.#untilMs = 0;
  }

  #lookBehind(isFull: boolean): void {
    if (!isFull) {
      this.#fullTurns = 0;
      this.#catchUps = 0;
      if (this.#isCatchingUp) this.#endCatchUp();
      return;
    }
    this.#fullTurns += 1;
    if (this.#fullTurns % BEHIND_TURNS !== 0) return;
    const nowMs = this.#thread.wallMs();
    if (nowMs < this.#untilMs) return;
    if (this.#isCatchingUp) {
      this.#endCatchUp();
      this.#untilMs = nowMs + PAUSE_MS;
      this.#catchUps += 1;
      if (this.#catchUps >= CATCH_UPS_MAX && !this.#isPatient) this.#mayCatchUp = false;
      return;
    }
    this.#set(true);
    this.#isCatchingUp = this.#isUrgent;
    this.#untilMs = nowMs + CATCH_UP_MS;
    this.#mayCatchUp = !this.#isForbidden;
  }

  #endCatchUp(): void {
    this.#isCatchingUp = false;
    this.#untilMs = 0;
    this.#set(false);
    if (this.#isPatient) this.#share();
  }

  /** With others of the core, as patiently as it is to; a sandbox may forbid to say so. */
  #share(): void {
    try {
      this.#thread.setPatience(this.#isPatient);
    } catch {
      // As before, then.
    }
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
