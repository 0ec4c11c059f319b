// SPDX-License-Identifier: Apache-2.0

import {
  awayCapacity,
  initialCapacity,
  stepCapacity,
  type CapacityInput,
  type CapacityRule,
  type CapacityState,
} from "./capacity-factor.ts";

/** Keeps the capacity factors of many endpoints and tells which have changed. */
export class CapacityTracker {
  readonly #onFactor: (key: string, factor: number) => void;
  readonly #entries = new Map<string, { rule: CapacityRule; state: CapacityState }>();

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
        this.#entries.set(key, { rule, state: initialCapacity(nowMs, factorOf?.(key)) });
      else entry.rule = rule;
    }
  }

  /** A load that was read (ProbeReport.load); nothing where the key has no rule. */
  reading(key: string, load: number, atMs: number): void {
    this.#step(key, { kind: "reading", load, atMs });
  }

  /** An endpoint is out, by its verdict or an operator: it is to begin with little when it comes back. */
  away(key: string, atMs: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
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

  #step(key: string, input: CapacityInput): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    const before = entry.state.factor;
    entry.state = stepCapacity(entry.rule, entry.state, input);
    if (entry.state.factor !== before) this.#onFactor(key, entry.state.factor);
  }
}
