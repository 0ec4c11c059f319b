// SPDX-License-Identifier: Apache-2.0

// What was heard of one other vantage: its opinions by place, and how old they are.

import {
  Suspicion,
  type Report,
  type ReportChanges,
  type ReportTable,
  type VantagePlace,
} from "@meridian/snapshot";
import { HeardClock } from "./heard-clock.ts";
import { moved, type NextOrder, type TargetOrder } from "./target-order.ts";

/** What one vantage says of one target. */
export interface HeardOpinion {
  /** 0 unknown, 1 healthy, 2 unhealthy. */
  readonly opinion: number;
  readonly reason: string;
  readonly sinceMs: number;
}

/** A vantage, whether its opinions are heard of or are this process's own. */
export interface Voice extends VantagePlace {
  readonly suspicion: number;
  /** When its newest report was sent, on our clock. */
  readonly heardAtMs: number;
  /** Reports that were taken. */
  readonly reports: number;
  at(place: number): HeardOpinion;
  /** Parts alone, which are asked for far more often. */
  opinionAt(place: number): number;
  reasonAt(place: number): string;
  /** Opinions by place; another column after the next table. */
  readonly opinions: Uint8Array;
}

export class HeardVantage implements Voice {
  readonly name: string;
  site: string;
  suspicion: number = Suspicion.trusting;
  heardAtMs: number = Number.NEGATIVE_INFINITY;
  reports = 0;
  /** Reports that were passed over: told again, out of order. */
  passedOver = 0;
  #order: TargetOrder;
  #opinions: Uint8Array;
  #reasons: Uint8Array;
  #sinceSeconds: Uint32Array;
  #texts: readonly string[] = [];
  #clock = new HeardClock();
  #session = Number.NaN;
  #sequence = 0;

  constructor({ name, site }: VantagePlace, order: TargetOrder) {
    this.name = name;
    this.site = site;
    this.#order = order;
    this.#opinions = new Uint8Array(order.length);
    this.#reasons = new Uint8Array(order.length);
    this.#sinceSeconds = new Uint32Array(order.length);
  }

  at(place: number): HeardOpinion {
    return {
      opinion: this.#opinions[place] ?? 0,
      reason: this.reasonAt(place),
      sinceMs: (this.#sinceSeconds[place] ?? 0) * 1000,
    };
  }

  get opinions(): Uint8Array {
    return this.#opinions;
  }

  opinionAt(place: number): number {
    return this.#opinions[place] ?? 0;
  }

  reasonAt(place: number): string {
    return this.#texts[this.#reasons[place] ?? 0] ?? "";
  }

  /** Takes a report that came at `nowMs`; places at which the opinion is another one now. */
  take(report: Report, nowMs: number): readonly number[] {
    if (report.session !== this.#session) {
      this.#session = report.session;
      this.#sequence = 0;
      this.#clock = new HeardClock();
    }
    const sentAtMs = this.#clock.sentAt(report.sentMs, nowMs);
    if (report.sequence <= this.#sequence) {
      this.passedOver++;
      return [];
    }
    // Of changes that were lost the next table tells.
    this.#sequence = report.sequence;
    this.reports++;
    this.suspicion = report.suspicion;
    this.heardAtMs = Math.max(this.heardAtMs, sentAtMs);
    // Places of another plan mean others: what was said of those that both have stays until it is on ours.
    if (report.print !== this.#order.print) return [];
    return report.form === "table" ? this.#takeTable(report) : this.#takeChanges(report);
  }

  /** Targets have other places from now on; what was said of them goes with them. */
  reorder({ order, was }: NextOrder): void {
    this.#order = order;
    if (was === undefined) return;
    this.#opinions = moved(was, this.#opinions, new Uint8Array(order.length));
    this.#reasons = moved(was, this.#reasons, new Uint8Array(order.length));
    this.#sinceSeconds = moved(was, this.#sinceSeconds, new Uint32Array(order.length));
  }

  /** What it said of a target that is elsewhere now counts no more. */
  forget(place: number): void {
    this.#opinions[place] = 0;
  }

  #takeTable({ opinions, reasons, sinceSeconds, texts }: ReportTable): readonly number[] {
    if (opinions.length !== this.#order.length) return [];
    const before = this.#opinions;
    const changed: number[] = [];
    for (let place = 0; place < opinions.length; place++)
      if (opinions[place] !== before[place]) changed.push(place);
    this.#opinions = opinions;
    this.#reasons = reasons;
    this.#sinceSeconds = sinceSeconds;
    this.#texts = texts;
    return changed;
  }

  #takeChanges({ changes }: ReportChanges): readonly number[] {
    const changed: number[] = [];
    const texts = [...this.#texts];
    for (const { place, opinion, reason, sinceSeconds, text } of changes) {
      if (place >= this.#order.length) continue;
      if (this.#opinions[place] !== opinion) changed.push(place);
      this.#opinions[place] = opinion;
      this.#reasons[place] = reason;
      this.#sinceSeconds[place] = sinceSeconds;
      texts[reason] = text;
    }
    this.#texts = texts;
    return changed;
  }
}
