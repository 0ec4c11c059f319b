// SPDX-License-Identifier: Apache-2.0

import type { Clock, Random } from "@meridian/core";
import type { ProbeTarget, Verdict } from "./check.ts";
import type { Dialer } from "./dial/dialer.ts";
import type { LoadReading, Probe, ProbeOutcome } from "./probe.ts";
import type { IcmpSender } from "./probes/icmp/icmp-sender.ts";
import type { SuspicionPolicy, SuspicionState } from "./suspicion.ts";
import type { NumberedTransition } from "./transition.ts";

/** One result, for load collection, logs and other vantages. */
export interface ProbeReport {
  readonly key: string;
  readonly outcome: ProbeOutcome;
  readonly reason: string;
  readonly durationMs: number;
  readonly load?: LoadReading;
  /** Wall time. */
  readonly atMs: number;
}

/** What one vantage says of an endpoint, by its own results alone. */
export interface Opinion {
  readonly key: string;
  readonly opinion: Verdict;
  readonly reason: string;
  /** Wall time since when it says so. */
  readonly sinceMs: number;
}

/** An endpoint whose earliest change moved to another power of two of seconds, without a new verdict. */
export interface Outlook {
  readonly key: string;
  /** Its number, as in `NumberedTransition`. */
  readonly endpoint: number;
  readonly earliestChangeMs: number;
}

/** What a runner needs and whom it tells. */
export interface HealthRunnerOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Name of the place that probes. */
  readonly vantage: string;
  readonly onTransitions: (batch: readonly NumberedTransition[]) => void;
  readonly onReport?: (report: ProbeReport) => void;
  /** What this vantage says has changed; told at once, so that it can be judged with what others say. */
  readonly onOpinion?: (opinion: Opinion) => void;
  /** This process begins or ends to doubt its own network. */
  readonly onSuspicion?: (state: SuspicionState) => void;
  /** Told when TTLs should be shorter or longer though no verdict changed. */
  readonly onOutlook?: (batch: readonly Outlook[]) => void;
  readonly suspicion?: SuspicionPolicy;
  /** Sends ICMP echoes; ICMP checks hold their verdict without one. */
  readonly icmpSender?: IcmpSender;
  /** Opens connections for probes over plain TCP; sockets of node where absent. */
  readonly dialer?: Dialer;
  readonly probesInFlightMax?: number;
  /** `manual`: the caller moves the clock and calls `advance`. */
  readonly timers?: "real" | "manual";
  /** Makes probes in place of the real ones: for simulations. */
  readonly createProbe?: (target: ProbeTarget) => Probe | undefined;
}

/** Totals since the start. */
export interface HealthCounters {
  probesStarted: number;
  probesPassed: number;
  probesFailed: number;
  probesHeld: number;
  /** Failed by their deadline. */
  probesTimedOut: number;
  /** Started late, right after the one before, which was on its way still. */
  probesDelayed: number;
  /** Started late because too many were on their way. */
  probesQueued: number;
  /** Times at which this process itself stood still; probes in flight got the time back. */
  stalls: number;
  transitions: number;
  freezes: number;
  pushesAccepted: number;
  pushesRefused: number;
}

/** Probes by what came of them, as metrics have them. */
export function probesByOutcome(counters: HealthCounters): readonly (readonly [string, number])[] {
  return [
    ["started", counters.probesStarted],
    ["passed", counters.probesPassed],
    ["failed", counters.probesFailed],
    ["held", counters.probesHeld],
    ["timed_out", counters.probesTimedOut],
    ["delayed", counters.probesDelayed],
    ["queued", counters.probesQueued],
  ];
}

/** Counters at the start. */
export function emptyCounters(): HealthCounters {
  return {
    probesStarted: 0,
    probesPassed: 0,
    probesFailed: 0,
    probesHeld: 0,
    probesTimedOut: 0,
    probesDelayed: 0,
    probesQueued: 0,
    stalls: 0,
    transitions: 0,
    freezes: 0,
    pushesAccepted: 0,
    pushesRefused: 0,
  };
}
