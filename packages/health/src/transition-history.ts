// SPDX-License-Identifier: Apache-2.0
import { TRANSITIONS_REMEMBERED_MAX } from "./limits.ts";
import { verdictAt, type TransitionBatch } from "./transition-batch.ts";
import type { Transition } from "./transition.ts";

/** The newest transitions, in the batches in which they came; older ones are in the journal. */
export class TransitionHistory {
  readonly #limit: number;
  /** Oldest first; those before `#first` are forgotten. */
  #batches: TransitionBatch[] = [];
  #first = 0;
  #count = 0;
  /** How many became each verdict since the start. */
  readonly counts: Record<Transition["verdict"], number> = { unknown: 0, healthy: 0, unhealthy: 0 };

  constructor(limit: number = TRANSITIONS_REMEMBERED_MAX) {
    this.#limit = limit;
  }

  /** Keeps a batch, which nobody may change any more. */
  add(batch: TransitionBatch): void {
    if (batch.length === 0) return;
    for (let index = 0; index < batch.length; index++) this.counts[verdictAt(batch, index)] += 1;
    this.#batches.push(batch);
    this.#count += batch.length;
    for (;;) {
      const oldest = this.#batches[this.#first]?.length ?? 0;
      if (this.#count - oldest < this.#limit || oldest === 0) break;
      this.#count -= oldest;
      this.#first += 1;
    }
    if (this.#first < this.#batches.length / 2) return;
    this.#batches = this.#batches.slice(this.#first);
    this.#first = 0;
  }

  /** The last one of an endpoint until `atMs`, wall time. */
  newest(key: string, atMs: number): Transition | undefined {
    for (const each of this.#newestFirst()) if (each.key === key && each.atMs <= atMs) return each;
    return undefined;
  }

  /** Those of endpoints whose key starts with `prefix`, the newest `count`, oldest first. */
  list(prefix: string, count: number): Transition[] {
    const found: Transition[] = [];
    if (count <= 0) return found;
    for (const each of this.#newestFirst()) {
      if (!each.key.startsWith(prefix)) continue;
      found.push(each);
      if (found.length === count) break;
    }
    return found.reverse();
  }

  *#newestFirst(): Generator<Transition> {
    let left = this.#limit;
    for (let at = this.#batches.length - 1; at >= this.#first; at--) {
      const batch = this.#batches[at];
      for (let index = (batch?.length ?? 0) - 1; index >= 0 && left > 0; index--, left--) {
        const transition = batch?.at(index);
        if (transition !== undefined) yield transition;
      }
    }
  }
}
