// SPDX-License-Identifier: Apache-2.0

// What this vantage says of each target, in the form in which it is reported.

import { REPORT_REASONS } from "@meridian/snapshot";
import type { Opinion } from "../runner-options.ts";
import type { HeardOpinion } from "./heard-vantage.ts";
import { opinionCode } from "./opinion-code.ts";
import { moved, type NextOrder, type TargetOrder } from "./target-order.ts";

const OTHER_REASON = "another reason";

export class OwnOpinions {
  readonly order: TargetOrder;
  readonly opinions: Uint8Array;
  readonly reasons: Uint8Array;
  readonly sinceSeconds: Uint32Array;
  #texts: string[] = [OTHER_REASON];

  constructor(order: TargetOrder) {
    this.order = order;
    this.opinions = new Uint8Array(order.length);
    this.reasons = new Uint8Array(order.length);
    this.sinceSeconds = new Uint32Array(order.length);
  }

  /** The same under the next order. */
  next({ order, was }: NextOrder): OwnOpinions {
    const next = new OwnOpinions(order);
    next.#texts = this.#texts;
    const from = was ?? Int32Array.from(order.hashes, (_, place) => place);
    moved(from, this.opinions, next.opinions);
    moved(from, this.reasons, next.reasons);
    moved(from, this.sinceSeconds, next.sinceSeconds);
    return next;
  }

  /** At most `REPORT_REASONS`. */
  get texts(): readonly string[] {
    return this.#texts;
  }

  at(place: number): HeardOpinion {
    return {
      opinion: this.opinions[place] ?? 0,
      reason: this.reasonAt(place),
      sinceMs: (this.sinceSeconds[place] ?? 0) * 1000,
    };
  }

  reasonAt(place: number): string {
    return this.#texts[this.reasons[place] ?? 0] ?? "";
  }

  /** Takes an opinion; its place, or −1 where others have no say in it. */
  set({ key, opinion, reason, sinceMs }: Opinion): number {
    const place = this.order.placeOf(key);
    if (place < 0) return place;
    this.opinions[place] = opinionCode(opinion);
    this.reasons[place] = this.#reasonOf(reason);
    this.sinceSeconds[place] = Math.max(0, Math.floor(sinceMs / 1000));
    return place;
  }

  /** What was said of a target that is elsewhere now counts no more. */
  forget(place: number): void {
    this.opinions[place] = 0;
  }

  /** Few reasons are in use at a time; where all places are taken, those of the past are given up. */
  #reasonOf(text: string): number {
    const known = this.#texts.indexOf(text, 1);
    if (known > 0) return known;
    if (this.#texts.length < REPORT_REASONS) return this.#texts.push(text) - 1;
    const used = new Set(this.reasons);
    const free = this.#texts.findIndex((_, index) => index > 0 && !used.has(index));
    if (free < 0) return 0;
    this.#texts[free] = text;
    return free;
  }
}
