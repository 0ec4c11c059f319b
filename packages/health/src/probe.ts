// SPDX-License-Identifier: Apache-2.0

/** What one look at an endpoint gave. `hold` says that nothing was learnt and the verdict stays. */
export type ProbeOutcome = "pass" | "fail" | "hold";

/** A load figure that came with an answer. */
export interface LoadReading {
  /** 0 idle, 1 full; above 1 overloaded. */
  readonly load: number;
  readonly source: "orca" | "json" | "prometheus";
}

/** The result of one probe. */
export interface ProbeResult {
  readonly outcome: ProbeOutcome;
  /** Short stable text, the same for the same cause, for example `HTTP status 500, wanted 200-299`. */
  readonly reason: string;
  readonly load?: LoadReading;
}

/**
 * The probe of one target, made once and run many times. The caller keeps the timeout: it cancels a run that takes too long,
 * so a probe needs no timer of its own.
 */
export interface Probe {
  /** Starts a run. `done` is called once, never after `cancel`, and may be called before `run` returns. */
  run(done: (result: ProbeResult) => void): void;
  /** Stops the present run and frees what it holds. */
  cancel(): void;
  /** Frees what is kept between runs; `cancel` comes first. */
  close(): void;
}
