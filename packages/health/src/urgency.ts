// SPDX-License-Identifier: Apache-2.0

import { setPriority } from "node:os";
import { URGENT_CPU_SHARE_MAX, URGENT_NICE, URGENCY_CHECK_MS } from "./limits.ts";

/** Processor time and wall time, as `process.threadCpuUsage` and `performance.now` have them. */
export interface UrgencyClock {
  cpuMs(): number;
  wallMs(): number;
  /** Sets the nice value of this thread; throws where the user may not. */
  setNice(nice: number): void;
}

const threadClock: UrgencyClock = {
  cpuMs: () => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
  wallMs: () => performance.now(),
  setNice: (nice) => {
    // 0 is the calling thread on Linux, and the whole process elsewhere.
    if (process.platform === "linux") setPriority(0, nice);
  },
};

/**
 * Lets this thread go before others of its core while what it does is short: a change of health then waits neither for a batch of
 * answers nor for a compiler of V8. Under the kernel's fair policy a thread that has just probed owes the others time before it may read
 * the answers; at a low nice value it owes next to none. Whoever works for long is no more urgent than others: while 100,000 targets
 * are taken in, or more probes are due than a core can do, answers get their half of it. A user who may not lower nice values
 * (RLIMIT_NICE) goes without.
 */
export class Urgency {
  readonly #clock: UrgencyClock;
  #cpuMs: number;
  #wallMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isUrgent = false;

  constructor(clock: UrgencyClock = threadClock) {
    this.#clock = clock;
    this.#cpuMs = clock.cpuMs();
    this.#wallMs = clock.wallMs();
  }

  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** Looks from now on, every second, whether the work is short. */
  start(): void {
    this.#timer ??= setInterval(() => this.check(), URGENCY_CHECK_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Much is to be done now: no more urgent than others until it is over. */
  relax(): void {
    this.#set(false);
    this.#remember();
  }

  /** Decides by the share of a core that was used since the last time. */
  check(): void {
    const usedMs = this.#clock.cpuMs() - this.#cpuMs;
    const share = usedMs / Math.max(1, this.#clock.wallMs() - this.#wallMs);
    this.#set(share <= URGENT_CPU_SHARE_MAX);
    this.#remember();
  }

  #remember(): void {
    this.#cpuMs = this.#clock.cpuMs();
    this.#wallMs = this.#clock.wallMs();
  }

  #set(isUrgent: boolean): void {
    if (this.#isUrgent === isUrgent) return;
    this.#isUrgent = isUrgent;
    try {
      this.#clock.setNice(isUrgent ? URGENT_NICE : 0);
    } catch {
      // Verdicts that are later under load are no reason for none.
    }
  }
}
