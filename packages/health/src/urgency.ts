// SPDX-License-Identifier: Apache-2.0

import { setPriority } from "node:os";
import { PRIORITY_ANSWERS, PRIORITY_FAIR, PRIORITY_VERDICTS } from "@meridian/native";
import type { Native } from "@meridian/native";
import {
  SLICE_NS,
  URGENCY_BURST_MS,
  URGENCY_CHECK_MS,
  URGENT_BURST_SHARE_MAX,
  URGENT_CPU_SHARE_MAX,
  URGENT_NICE,
} from "./limits.ts";

/** What decides of this thread, and what is decided. */
export interface UrgencyThread {
  /** As `process.threadCpuUsage` and `performance.now` have them. */
  cpuMs(): number;
  wallMs(): number;
  /** Puts this thread before all that share its core fairly, or among them; throws where the user may not. */
  setUrgency(isUrgent: boolean): void;
  /** Sets the nice value of this thread; throws where the user may not. */
  setNice(nice: number): void;
  /** Sets the slice of this thread; throws where a sandbox forbids it. */
  setSlice(ns: number): void;
}

/** The thread that calls; without the add-on there are nice values alone. */
export function callingThread(native: Native | undefined): UrgencyThread {
  return {
    cpuMs: () => {
      const { user, system } = process.threadCpuUsage();
      return (user + system) / 1000;
    },
    wallMs: () => performance.now(),
    setUrgency: (isUrgent) => {
      if (native === undefined) throw new TypeError("the add-on is missing");
      if (!isUrgent) return native.setUrgency(PRIORITY_FAIR, 0);
      // Who may have but the lower one has no workers that are urgent: see AnsweringUrgency.
      if (!attempt(() => native.setUrgency(PRIORITY_VERDICTS, 0)))
        native.setUrgency(PRIORITY_ANSWERS, 0);
    },
    setNice: (nice) => {
      // 0 is the calling thread on Linux, and the whole process elsewhere.
      if (process.platform === "linux") setPriority(0, nice);
    },
    setSlice: (ns) => native?.setSlice(ns),
  };
}

/**
 * Lets this thread go before others of its core while what it does is short: a change of health then waits neither for a batch of
 * answers nor for a compiler of V8. Under the kernel's fair policy a thread is let in when it is owed time, whatever its weight, and it
 * is not after each round of probes; and who wakes when its slice is over comes before it in the middle of a flip. So it has a
 * policy of real time where its user may have that, else the lowest nice value, else nothing but short slices.
 *
 * Whoever works for long is no more urgent than others: while 100,000 targets are taken in, or more probes are due than a core can do,
 * answers get their half of it.
 */
export class Urgency {
  readonly #thread: UrgencyThread;
  #cpuMs: number;
  #wallMs: number;
  #burstCpuMs = 0;
  #burstWallMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #burstTimer: NodeJS.Timeout | undefined;
  #isUrgent = false;

  /** The thread asks for short slices from now on. */
  constructor(thread: UrgencyThread) {
    this.#thread = thread;
    this.#cpuMs = thread.cpuMs();
    this.#wallMs = thread.wallMs();
    attempt(() => thread.setSlice(SLICE_NS));
  }

  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** Looks from now on, four times a second, whether the work is short, and while it is urgent oftener whether it has pauses. */
  start(): void {
    this.#timer ??= setInterval(() => this.check(), URGENCY_CHECK_MS).unref();
    this.#burstTimer ??= setInterval(() => this.checkBurst(), URGENCY_BURST_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#burstTimer);
  }

  /** Much is to be done now: no more urgent than others until it is over. */
  relax(): void {
    this.#set(false);
    this.#remember();
  }

  /** Some milliseconds of work for which somebody waits: before others, and they have some of the core. */
  hasten(): void {
    this.relax();
    attempt(() => this.#thread.setNice(URGENT_NICE));
  }

  /** Decides by the share of a core that was used since the last time. */
  check(): void {
    const usedMs = this.#thread.cpuMs() - this.#cpuMs;
    const share = usedMs / Math.max(1, this.#thread.wallMs() - this.#wallMs);
    this.#set(share <= URGENT_CPU_SHARE_MAX);
    this.#remember();
  }

  /** Who has worked without a pause since the last time is urgent no more until `check()` says so. */
  checkBurst(): void {
    if (!this.#isUrgent) return;
    const [cpuMs, wallMs] = [this.#thread.cpuMs(), this.#thread.wallMs()];
    const passedMs = wallMs - this.#burstWallMs;
    const isBurst =
      passedMs >= URGENCY_BURST_MS / 2 &&
      cpuMs - this.#burstCpuMs > passedMs * URGENT_BURST_SHARE_MAX;
    this.#burstCpuMs = cpuMs;
    this.#burstWallMs = wallMs;
    if (isBurst) this.relax();
  }

  #remember(): void {
    this.#cpuMs = this.#thread.cpuMs();
    this.#wallMs = this.#thread.wallMs();
  }

  #set(isUrgent: boolean): void {
    if (this.#isUrgent === isUrgent) return;
    this.#isUrgent = isUrgent;
    const thread = this.#thread;
    if (isUrgent) {
      this.#burstCpuMs = thread.cpuMs();
      this.#burstWallMs = thread.wallMs();
      if (!attempt(() => thread.setUrgency(true))) attempt(() => thread.setNice(URGENT_NICE));
      return;
    }
    attempt(() => thread.setUrgency(false));
    attempt(() => thread.setNice(0));
    attempt(() => thread.setSlice(SLICE_NS));
  }
}

/** Whether it may: verdicts that are later under load are no reason for none. */
function attempt(change: () => void): boolean {
  try {
    change();
    return true;
  } catch {
    return false;
  }
}
