// SPDX-License-Identifier: Apache-2.0
import type { Pcg32 } from "@meridian/core";
import {
  defaultTiming,
  initialState,
  judge,
  step,
  type CheckTiming,
  type Verdict,
  type VerdictState,
  type VantageReport,
} from "@meridian/health";
import { below } from "./random-model.ts";

/** How the simulated endpoints are checked. */
export const rule: CheckTiming = {
  ...defaultTiming,
  intervalMs: 1000,
  timeoutMs: 500,
  unhealthyThreshold: 2,
  healthyThreshold: 2,
  initial: "unknown",
  jitter: 0,
};

/** Vantages send everything they know this often; what changed, at once. */
export const REPORT_MS = 1000;
/** A vantage's reports are lost at most this often in a row. */
export const LOST_MAX = 2;
const judgeRule = {
  freshForMs: 5000,
  minVantages: 2,
  quorum: "majority",
  inverted: false,
} as const;

interface Vantage {
  readonly name: string;
  readonly phaseMs: number;
  readonly states: Map<string, VerdictState>;
  isIsolated: boolean;
  lost: number;
}

/** Three places that probe, each with its verdict machine; their reports may be lost on the way to the judge. */
export class Vantages {
  readonly #random: Pcg32;
  readonly #vantages: readonly Vantage[];
  /** What the judge has heard: endpoint → vantage → newest report. It dies with the control plane. */
  #heard = new Map<string, Map<string, VantageReport>>();

  constructor(random: Pcg32) {
    this.#random = random;
    this.#vantages = ["eu", "us", "ap"].map((name, at) => ({
      name,
      phaseMs: at * 300,
      states: new Map(),
      isIsolated: false,
      lost: 0,
    }));
  }

  /** One vantage at most sees everything fail. */
  toggleIsolation(): void {
    const isolated = this.#vantages.find(({ isIsolated }) => isIsolated);
    if (isolated !== undefined) isolated.isIsolated = false;
    else {
      const chosen = this.#vantages[below(this.#random, this.#vantages.length)];
      if (chosen !== undefined) chosen.isIsolated = true;
    }
  }

  forgetReports(): void {
    this.#heard = new Map();
  }

  /** Drops what was heard of endpoints that are no longer there. */
  keepOnly(endpoints: ReadonlySet<string>): void {
    for (const key of this.#heard.keys()) if (!endpoints.has(key)) this.#heard.delete(key);
  }

  /** Probes what is due at `nowMs`, steps the machines and delivers reports. */
  tick(
    nowMs: number,
    endpoints: ReadonlySet<string>,
    isAlive: (endpoint: string) => boolean,
  ): void {
    for (const vantage of this.#vantages) {
      // What is no longer asked for is forgotten, as the runner does.
      for (const key of vantage.states.keys()) if (!endpoints.has(key)) vantage.states.delete(key);
      const changed = this.#probe(vantage, nowMs, endpoints, isAlive);
      const isTable = (nowMs - vantage.phaseMs) % REPORT_MS === 0;
      if (!isTable && changed.length === 0) continue;
      if (vantage.lost < LOST_MAX && below(this.#random, 10) === 0) {
        vantage.lost += 1;
        continue;
      }
      if (isTable) vantage.lost = 0;
      for (const endpoint of isTable ? endpoints : changed) this.#deliver(vantage, endpoint, nowMs);
    }
  }

  /** The judge's verdict on an endpoint, given the one before. */
  judge(endpoint: string, previous: Verdict, nowMs: number): Verdict {
    const reports = [...(this.#heard.get(endpoint)?.values() ?? [])];
    return judge(judgeRule, previous, reports, nowMs).verdict;
  }

  #probe(
    vantage: Vantage,
    nowMs: number,
    endpoints: ReadonlySet<string>,
    isAlive: (endpoint: string) => boolean,
  ): string[] {
    if ((nowMs - vantage.phaseMs) % rule.intervalMs !== 0) return [];
    const changed: string[] = [];
    for (const endpoint of endpoints) {
      const state = vantage.states.get(endpoint) ?? initialState(rule, nowMs);
      const outcome = isAlive(endpoint) && !vantage.isIsolated ? "pass" : "fail";
      const next = step(rule, state, { kind: "result", outcome, reason: outcome, atMs: nowMs });
      vantage.states.set(endpoint, next.state);
      if (next.change !== undefined) changed.push(endpoint);
    }
    return changed;
  }

  #deliver(vantage: Vantage, endpoint: string, atMs: number): void {
    const state = vantage.states.get(endpoint);
    if (state === undefined) return;
    const reports = this.#heard.get(endpoint) ?? new Map<string, VantageReport>();
    const { name } = vantage;
    reports.set(name, { vantage: name, verdict: state.opinion, reason: state.reason, atMs });
    this.#heard.set(endpoint, reports);
  }
}
