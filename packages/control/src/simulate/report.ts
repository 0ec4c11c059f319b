// SPDX-License-Identifier: Apache-2.0

// What a simulation tells: plain data, the same bytes for the same scenario, documents and seed. Times are seconds from the start of the
// scenario; rates are in its unit.

/** Over time, all demand taken together; each list has one value a bin. */
export interface SimulatedTraffic {
  /** What clients ask for. */
  readonly demand: readonly number[];
  /** Answered well and in time. */
  readonly served: readonly number[];
  /** Failed in the end, after every retry. */
  readonly errors: readonly number[];
  /** Got no endpoint. */
  readonly withheld: readonly number[];
  /** Attempts made again. */
  readonly retries: readonly number[];
}

/** One place over time. */
export interface SimulatedPlace {
  /** `site/NAME`, `pool/NS/NAME`, `endpoint/NS/POOL/NAME`, or `name/HOST` for elsewhere. */
  readonly target: string;
  /** undefined where it is not known. */
  readonly capacity?: number | undefined;
  /** Attempts that come to it, retries included. */
  readonly offered: readonly number[];
  readonly served: readonly number[];
  /** Attempts that fail there. */
  readonly failed: readonly number[];
  /** Share of what all clients ask for that is sent here, 0..1. */
  readonly share: readonly number[];
  /** Requests that wait, at the end of the bin. */
  readonly queue: readonly number[];
  /** How long it was asked for more than it can, all told. */
  readonly overloadSeconds: number;
}

/** What became of an event. */
export interface SimulatedEvent {
  readonly atSeconds: number;
  readonly name?: string | undefined;
  readonly kind: string;
  readonly text: string;
  readonly outcome: "done" | "refused";
  /** Why it was refused. */
  readonly why: readonly string[];
}

/** A verdict that changed. */
export interface SimulatedTransition {
  readonly atSeconds: number;
  readonly endpoint: string;
  readonly verdict: string;
  readonly reason: string;
  /** Who said so. */
  readonly vantage: string;
}

/** A change set of the control plane's overlay; those of load alone are counted, not listed. */
export interface SimulatedChange {
  readonly atSeconds: number;
  /** `health`, `shift`, `latch`, `weights`. */
  readonly cause: string;
  readonly text: string;
}

/** How long it took to get over an event that harms; undefined for what did not come to pass before the next one or the end. */
export interface SimulatedRecovery {
  /** Of the event in `events`. */
  readonly event: number;
  readonly text: string;
  readonly atSeconds: number;
  /** Until the first verdict on what it struck changed. */
  readonly detectedSeconds?: number | undefined;
  /** Until at most a hundredth of the load that was there was left at what it struck. */
  readonly drainedSeconds?: number | undefined;
  /** Until at most 1 % of requests failed or got no endpoint, from then on; 0 where more never did. */
  readonly recoveredSeconds?: number | undefined;
  /** Requests that failed or got no endpoint until then, as a number of requests. */
  readonly lost: number;
}

/** Something that was expected. */
export interface SimulatedExpectation {
  readonly text: string;
  readonly isMet: boolean;
  readonly found: string;
}

export interface SimulationReport {
  readonly scenario: string;
  readonly description?: string | undefined;
  readonly seed: number;
  readonly unit: string;
  readonly durationSeconds: number;
  /** Caches that lived through it one by one, and how often they asked. */
  readonly caches: number;
  readonly cacheRounds: number;
  /** Steps in which sites are looked at. */
  readonly stepSeconds: number;
  /** End of each bin. */
  readonly seconds: readonly number[];
  readonly traffic: SimulatedTraffic;
  /** Requests in all, by what became of them. */
  readonly totals: {
    readonly demand: number;
    readonly served: number;
    readonly errors: number;
    readonly withheld: number;
    readonly retries: number;
    /** Place-seconds beyond capacity: endpoints alone. */
    readonly overloadSeconds: number;
    readonly verdictChanges: number;
    /** How often the load of one site turned round at most, by 10 points or more each time. */
    readonly turns: number;
    /** Change sets of load. */
    readonly loadChanges: number;
  };
  readonly places: readonly SimulatedPlace[];
  readonly events: readonly SimulatedEvent[];
  readonly transitions: readonly SimulatedTransition[];
  readonly changes: readonly SimulatedChange[];
  readonly recoveries: readonly SimulatedRecovery[];
  readonly expectations: readonly SimulatedExpectation[];
  /** Every expectation is met. */
  readonly isMet: boolean;
}
