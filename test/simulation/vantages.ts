// SPDX-License-Identifier: Apache-2.0

// Three places that probe, each with its verdict machine. One of them is control's own; reports of the others are lost, late, doubled and
// out of order on their way, and their clocks have nothing to do with control's.

import type { Pcg32 } from "@meridian/core";
import {
  OwnOpinions,
  Quorum,
  TargetOrder,
  defaultTiming,
  initialState,
  step,
  type CheckTiming,
  type ProbeTarget,
  type QuorumOpinion,
  type Verdict,
  type VerdictState,
} from "@meridian/health";
import { Suspicion, encodeReport, type Report } from "@meridian/snapshot";
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
/** A vantage's tables are lost at most this often in a row. */
export const LOST_MAX = 2;
/** Longest time that a report is on its way. */
export const LATE_MS_MAX = 1000;
/** Clocks of vantages run apart by at most this share. */
const DRIFT_MAX = 0.0002;

class Place {
  readonly name: string;
  readonly phaseMs: number;
  readonly states = new Map<string, VerdictState>();
  readonly #drift: number;
  readonly #offsetMs: number;
  readonly #session: number;
  isIsolated = false;
  lost = 0;
  own = new OwnOpinions(TargetOrder.of([]));
  #sequence = 0;

  constructor(name: string, phaseMs: number, random: Pcg32) {
    this.name = name;
    this.phaseMs = phaseMs;
    this.#drift = (random.next32() / 2 ** 31 - 1) * DRIFT_MAX;
    this.#offsetMs = random.next32();
    this.#session = random.next32();
  }

  table(nowMs: number): Uint8Array {
    const { opinions, reasons, sinceSeconds, texts } = this.own;
    return this.#report({ form: "table", opinions, reasons, sinceSeconds, texts }, nowMs);
  }

  changes(places: readonly number[], nowMs: number): Uint8Array {
    const { opinions, reasons, sinceSeconds, texts } = this.own;
    const changes = places.map((place) => ({
      place,
      opinion: opinions[place] ?? 0,
      reason: reasons[place] ?? 0,
      sinceSeconds: sinceSeconds[place] ?? 0,
      text: texts[reasons[place] ?? 0] ?? "",
    }));
    return this.#report({ form: "changes", changes }, nowMs);
  }

  #report(
    said:
      | Pick<
          Extract<Report, { form: "table" }>,
          "form" | "opinions" | "reasons" | "sinceSeconds" | "texts"
        >
      | Pick<Extract<Report, { form: "changes" }>, "form" | "changes">,
    nowMs: number,
  ): Uint8Array {
    return encodeReport({
      suspicion: Suspicion.trusting,
      sequence: ++this.#sequence,
      session: this.#session,
      sentMs: nowMs * (1 + this.#drift) + this.#offsetMs,
      print: this.own.order.print,
      ...said,
    });
  }
}

interface OnItsWay {
  readonly dueMs: number;
  readonly from: string;
  readonly payload: Uint8Array;
}

export class Vantages {
  readonly #random: Pcg32;
  readonly #places: readonly Place[];
  /** When the one that sees everything fail was last another one. */
  toggledMs = 0;
  #onItsWay: OnItsWay[] = [];
  #endpoints = "";
  #nowMs = 0;
  #verdictOf: (endpoint: string) => Verdict = () => "unknown";
  /** What control has made of what it heard. It dies with the control plane. */
  #quorum: Quorum;
  #judged = new Map<string, QuorumOpinion | undefined>();

  constructor(random: Pcg32) {
    this.#random = random;
    this.#places = ["eu", "us", "ap"].map((name, at) => new Place(name, at * 300, random));
    this.#quorum = this.#makeQuorum();
  }

  /** One vantage at most sees everything fail. */
  toggleIsolation(): void {
    this.toggledMs = this.#nowMs;
    const isolated = this.#places.find(({ isIsolated }) => isIsolated);
    if (isolated !== undefined) isolated.isIsolated = false;
    else {
      const chosen = this.#places[below(this.#random, this.#places.length)];
      if (chosen !== undefined) chosen.isIsolated = true;
    }
  }

  /** Control begins anew: what it heard is gone, and what its own probes came to. */
  restartControl(): void {
    this.#judged = new Map();
    this.#endpoints = "";
    this.#places[0]?.states.clear();
    this.#quorum = this.#makeQuorum();
  }

  /** Probes what is due at `nowMs`, steps the machines and delivers reports. `verdictOf` is what is in force. */
  tick(
    nowMs: number,
    endpoints: ReadonlySet<string>,
    isAlive: (endpoint: string) => boolean,
    verdictOf: (endpoint: string) => Verdict,
  ): void {
    this.#nowMs = nowMs;
    this.#verdictOf = verdictOf;
    this.#plan(endpoints);
    for (const [at, place] of this.#places.entries()) {
      const changed = this.#probe(place, nowMs, endpoints, isAlive);
      if (at > 0) this.#report(place, nowMs, changed);
    }
    this.#deliver();
    if (nowMs % REPORT_MS === 0) this.#quorum.tick();
  }

  /** The verdict on an endpoint, given the one before. */
  judge(endpoint: string, previous: Verdict): Verdict {
    const own = this.#places[0]?.states.get(endpoint)?.opinion ?? "unknown";
    const opinion = this.#judged.get(endpoint)?.opinion ?? own;
    return opinion === "unknown" ? previous : opinion;
  }

  #makeQuorum(): Quorum {
    return new Quorum({
      own: { name: "eu", site: "eu" },
      expectedCount: this.#places.length - 1,
      nowMs: () => this.#nowMs,
      followed: (key) => this.#judged.get(key)?.opinion ?? this.#verdictOf(key),
      onJudged: (key, quorum) => this.#judged.set(key, quorum),
      onRoster: () => {},
    });
  }

  /** What is asked for; all have the same, at once. */
  #plan(endpoints: ReadonlySet<string>): void {
    const text = [...endpoints].join(" ");
    if (text === this.#endpoints) return;
    this.#endpoints = text;
    const targets = [...endpoints].map((key): ProbeTarget => {
      const check = { ...rule, kind: "tcp" } as const;
      return { key, checkName: "default/alive", check, address: "192.0.2.1", port: 80 };
    });
    const goneOf = (order: TargetOrder): string[] =>
      order.targets.flatMap(({ key }) => (endpoints.has(key) ? [] : [key]));
    for (const place of this.#places) {
      place.own = place.own.next(place.own.order.next(targets, goneOf(place.own.order)));
      // What is no longer asked for is forgotten, as the runner does.
      for (const key of place.states.keys()) if (!endpoints.has(key)) place.states.delete(key);
    }
    for (const key of this.#judged.keys()) if (!endpoints.has(key)) this.#judged.delete(key);
    const { order } = this.#quorum;
    const added = targets.filter(({ key }) => order.placeOf(key) < 0);
    this.#quorum.changeTargets(added, goneOf(order));
  }

  #probe(
    place: Place,
    nowMs: number,
    endpoints: ReadonlySet<string>,
    isAlive: (endpoint: string) => boolean,
  ): number[] {
    if ((nowMs - place.phaseMs) % rule.intervalMs !== 0) return [];
    const changed: number[] = [];
    for (const key of endpoints) {
      const state = place.states.get(key) ?? initialState(rule, nowMs);
      const outcome = isAlive(key) && !place.isIsolated ? "pass" : "fail";
      const next = step(rule, state, { kind: "result", outcome, reason: outcome, atMs: nowMs });
      place.states.set(key, next.state);
      const { opinion, lastReason: reason } = next.state;
      if (opinion === state.opinion) continue;
      const said = { key, opinion, reason, sinceMs: nowMs };
      changed.push(place.own.set(said));
      if (place === this.#places[0]) this.#quorum.own(said);
    }
    return changed;
  }

  #report(place: Place, nowMs: number, changed: readonly number[]): void {
    const isTable = (nowMs - place.phaseMs) % REPORT_MS === 0;
    if (changed.length > 0 && below(this.#random, 10) > 0)
      this.#send(place.name, place.changes(changed, nowMs));
    if (!isTable) return;
    if (place.lost < LOST_MAX && below(this.#random, 10) === 0) {
      place.lost += 1;
      return;
    }
    place.lost = 0;
    this.#send(place.name, place.table(nowMs));
  }

  #send(from: string, payload: Uint8Array): void {
    const copies = below(this.#random, 10) === 0 ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const isLate = below(this.#random, 10) === 0;
      const delayMs = isLate ? below(this.#random, LATE_MS_MAX) : 5;
      this.#onItsWay.push({ dueMs: this.#nowMs + delayMs, from, payload });
    }
  }

  #deliver(): void {
    const due = this.#onItsWay.filter(({ dueMs }) => dueMs <= this.#nowMs);
    this.#onItsWay = this.#onItsWay.filter(({ dueMs }) => dueMs > this.#nowMs);
    for (const { from, payload } of due.toSorted((a, b) => a.dueMs - b.dueMs))
      this.#quorum.hear({ name: from, site: from }, payload);
  }
}
