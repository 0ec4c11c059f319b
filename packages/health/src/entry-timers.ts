// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "@meridian/core";
import type { Entry } from "./entry.ts";
import { STALL_MS } from "./limits.ts";
import { TimerWheel } from "./timer-wheel.ts";

const WHEEL_TICK_MS = 10;

/** What an entry waits for, each at most once at a time. */
export const EntryTimer = { probe: 0, deadline: 1, wake: 2 } as const;
export type EntryTimer = (typeof EntryTimer)[keyof typeof EntryTimer];

const timersPerEntry = 3;

export interface EntryTimersOptions {
  readonly clock: Clock;
  /** Whether the caller moves the clock, and calls `advance`. */
  readonly isManual: boolean;
  /** Something may be due: called by the one timer of node that there is. */
  readonly onTick: () => void;
  /** This process stood still for so long; comes before `onTick`. */
  readonly onStall: (lateMs: number) => void;
  readonly onDue: (entry: Entry, timer: EntryTimer, nowMs: number) => void;
}

/** Every timer of every entry, on one wheel and one timer of node. */
export class EntryTimers {
  readonly #options: EntryTimersOptions;
  readonly #wheel: TimerWheel;
  readonly #byIndex: (Entry | undefined)[] = [];
  readonly #freeIndices: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #armedForMs = 0;

  constructor(options: EntryTimersOptions) {
    this.#options = options;
    this.#wheel = new TimerWheel(WHEEL_TICK_MS, options.clock.monotonicMs());
  }

  /** Makes a place for an entry, which is told its index. */
  admit(make: (index: number) => Entry): Entry {
    const index = this.#freeIndices.pop() ?? this.#byIndex.length;
    const entry = make(index);
    this.#byIndex[index] = entry;
    return entry;
  }

  /** Forgets an entry and its timers. */
  release(entry: Entry): void {
    for (const timer of Object.values(EntryTimer)) this.cancel(entry, timer);
    this.#byIndex[entry.index] = undefined;
    this.#freeIndices.push(entry.index);
  }

  /** Sets a timer to `dueMs`, wherever it was before. */
  set(entry: Entry, timer: EntryTimer, dueMs: number): void {
    this.#wheel.set(entry.index * timersPerEntry + timer, dueMs);
  }

  cancel(entry: Entry, timer: EntryTimer): void {
    this.#wheel.cancel(entry.index * timersPerEntry + timer);
  }

  /** Tells what is due. */
  advance(): void {
    this.#wheel.advance(this.#options.clock.monotonicMs(), this.#fire);
  }

  /** Makes sure that `onTick` comes with the next timer. */
  arm(): void {
    if (this.#options.isManual) return;
    const nextMs = this.#wheel.nextSlotMs();
    if (nextMs === undefined) return;
    if (this.#timer !== undefined && this.#armedForMs <= nextMs) return;
    clearTimeout(this.#timer);
    this.#armedForMs = nextMs;
    const delayMs = Math.max(0, nextMs - this.#options.clock.monotonicMs());
    this.#timer = setTimeout(this.#onTimer, delayMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  readonly #fire = (id: number): void => {
    const entry = this.#byIndex[Math.floor(id / timersPerEntry)];
    const timer = id % timersPerEntry;
    if (entry === undefined || !isEntryTimer(timer)) return;
    this.#options.onDue(entry, timer, this.#options.clock.monotonicMs());
  };

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    const lateMs = this.#options.clock.monotonicMs() - this.#armedForMs;
    if (lateMs > STALL_MS) this.#options.onStall(lateMs);
    this.#options.onTick();
  };
}

function isEntryTimer(timer: number): timer is EntryTimer {
  return timer < timersPerEntry;
}
