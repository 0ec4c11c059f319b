// SPDX-License-Identifier: Apache-2.0

import {
  awayCapacity,
  initialCapacity,
  smooth,
  stepCapacity,
  type CapacityInput,
  type CapacityRule,
  type CapacityState,
} from "./capacity-factor.ts";

/** What an endpoint said of its load, whether it was out or not. */
export interface ReportedLoad {
  /** Smoothed, as its rule says. */
  readonly load: number;
  readonly readAtMs: number;
}

interface Entry {
  rule: CapacityRule;
  state: CapacityState;
  reported: ReportedLoad | undefined;
}

/** Keeps the capacity factors of many endpoints and tells which have changed. */
export class CapacityTracker {
  readonly #onFactor: (key: string, factor: number) => void;
  readonly #entries = new Map<string, Entry>();

  /** `onFactor` is called whenever a factor (0 to 1000) changes. */
  constructor(onFactor: (key: string, factor: number) => void) {
    this.#onFactor = onFactor;
  }

  /** The whole set of endpoints and their rules; known ones keep their state, others begin at `factorOf` (1000 where absent). */
  setRules(
    rules: ReadonlyMap<string, CapacityRule>,
    nowMs: number,
    factorOf?: (key: string) => number,
  ): void {
    for (const key of this.#entries.keys()) {
      if (!rules.has(key)) this.#entries.delete(key);
    }
    for (const [key, rule] of rules) {
      const entry = this.#entries.get(key);
      if (entry === undefined)
        this.#entries.set(key, {
          rule,
          state: initialCapacity(nowMs, factorOf?.(key)),
          reported: undefined,
        });
      else entry.rule = rule;
    }
  }

  /** A load that was read (ProbeReport.load); nothing where the key has no rule. */
  reading(key: string, load: number, atMs: number): void {
    this.#keep(key, load, atMs);
    this.#step(key, { kind: "reading", load, atMs });
  }

  /** An endpoint is out, by its verdict or an operator: it is to begin with little when it comes back, whatever load it says meanwhile. */
  away(key: string, atMs: number, load?: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (load !== undefined) this.#keep(key, load, atMs);
    const before = entry.state.factor;
    entry.state = awayCapacity(atMs);
    if (entry.state.factor !== before) this.#onFactor(key, entry.state.factor);
  }

  /** Time has passed; call it about once an interval, so that stale factors move. */
  tick(atMs: number): void {
    for (const key of this.#entries.keys()) this.#step(key, { kind: "time", atMs });
  }

  /** State of one endpoint. */
  state(key: string): CapacityState | undefined {
    return this.#entries.get(key)?.state;
  }

  /** What one endpoint said of its load; undefined before the first reading. */
  reported(key: string): ReportedLoad | undefined {
    return this.#entries.get(key)?.reported;
  }

  #keep(key: string, load: number, atMs: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || !Number.isFinite(load) || load < 0) return;
    const { rule, reported } = entry;
    const elapsedMs = atMs - (reported?.readAtMs ?? atMs);
    const isNew = reported === undefined || elapsedMs >= rule.staleAfterMs;
    entry.reported = {
      load: isNew ? load : smooth(reported.load, load, elapsedMs, rule.halfLifeMs),
      readAtMs: atMs,
    };
  }

  #step(key: string, input: CapacityInput): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const before = entry.state.factor;
    entry.state = stepCapacity(entry.rule, entry.state, input);
    if (entry.state.factor !== before) this.#onFactor(key, entry.state.factor);
  }
}
