// SPDX-License-Identifier: Apache-2.0

// Probes on their way: how many at most, which wait, which take too long.
//
//   due ──► launch ──► probe ──► onResult
//    │ too many on their way  ▲ deadline
//    └──► queue ──────────────┘

import type { Clock } from "@meridian/core";
import type { Entry } from "./entry.ts";
import { EntryTimer, type EntryTimers } from "./entry-timers.ts";
import { STALL_MS } from "./limits.ts";
import type { ProbeResult } from "./probe.ts";
import { insufficientOutcome } from "./probes/prometheus/prometheus-probe.ts";
import type { HealthCounters } from "./runner-options.ts";

export interface ProbeLauncherOptions {
  readonly clock: Clock;
  readonly timers: EntryTimers;
  readonly counters: HealthCounters;
  readonly inFlightMax: number;
  /** A probe has come to its end, which is to be told to `finished`. */
  readonly onDone: (entry: Entry, result: ProbeResult) => void;
  readonly onResult: (entry: Entry, result: ProbeResult, nowMs: number) => void;
}

/** Runs the probes of entries and keeps their deadlines. */
export class ProbeLauncher {
  readonly #options: ProbeLauncherOptions;
  readonly #queue = new Set<Entry>();
  #inFlightCount = 0;

  constructor(options: ProbeLauncherOptions) {
    this.#options = options;
  }

  /** A probe of `entry` is due: it starts now, or as soon as it may. */
  due(entry: Entry, nowMs: number): void {
    const { counters, inFlightMax } = this.#options;
    if (entry.inFlight) {
      // Never left out, or a timeout as long as the interval would cost every other round and break the detection bound.
      counters.probesDelayed++;
      entry.isDueAgain = true;
    } else if (this.#inFlightCount >= inFlightMax) {
      counters.probesQueued++;
      this.#queue.add(entry);
    } else {
      this.#launch(entry, nowMs);
    }
  }

  /** Starts what waits, as far as it may. */
  launchQueued(nowMs: number): void {
    for (const entry of this.#queue) {
      if (this.#inFlightCount >= this.#options.inFlightMax) return;
      this.#launch(entry, nowMs);
    }
  }

  /** The probe of `entry` has a result. Nothing where it was stopped. */
  finished(entry: Entry, result: ProbeResult): void {
    if (!entry.inFlight) return;
    const nowMs = this.#options.clock.monotonicMs();
    entry.inFlight = false;
    this.#inFlightCount--;
    this.#options.timers.cancel(entry, EntryTimer.deadline);
    if (entry.isDueAgain) {
      entry.isDueAgain = false;
      this.#queue.add(entry);
    }
    this.#options.onResult(entry, result, nowMs);
    this.launchQueued(nowMs);
  }

  /** The deadline of `entry` has passed. */
  overdue(entry: Entry): void {
    if (!entry.inFlight) return;
    entry.probe?.cancel();
    this.#options.counters.probesTimedOut++;
    const { check } = entry.target;
    const reason = `no answer in ${check.timeoutMs} ms`;
    const outcome = check.kind === "prometheus" ? insufficientOutcome(check) : "fail";
    this.finished(entry, { outcome, reason });
  }

  /** Ends the probe of `entry`, whether it is on its way or not. */
  stop(entry: Entry): void {
    this.#queue.delete(entry);
    if (entry.inFlight) {
      entry.inFlight = false;
      entry.isDueAgain = false;
      this.#inFlightCount--;
      entry.probe?.cancel();
    }
    entry.probe?.close();
    entry.probe = undefined;
  }

  /**
   * Nothing was read while this process stood still (a long compile, a suspended machine), so answers may lie unread: deadlines of
   * probes in flight move by as long as it lasted, at most by their whole timeout. A stall of ours is no failure of theirs.
   */
  forgiveStall(entries: Iterable<Entry>, lateMs: number): void {
    this.#options.counters.stalls++;
    const nowMs = this.#options.clock.monotonicMs();
    for (const entry of entries) {
      if (!entry.inFlight) continue;
      const { timeoutMs } = entry.target.check;
      const deadlineMs = entry.startedAtMs + timeoutMs + Math.min(lateMs, timeoutMs);
      this.#options.timers.set(entry, EntryTimer.deadline, Math.max(deadlineMs, nowMs + STALL_MS));
    }
  }

  #launch(entry: Entry, nowMs: number): void {
    this.#queue.delete(entry);
    const probe = entry.probe;
    if (probe === undefined) return;
    entry.inFlight = true;
    entry.startedAtMs = nowMs;
    this.#inFlightCount++;
    this.#options.counters.probesStarted++;
    const deadlineMs = nowMs + entry.target.check.timeoutMs;
    this.#options.timers.set(entry, EntryTimer.deadline, deadlineMs);
    probe.run((result) => this.#options.onDone(entry, result));
  }
}
