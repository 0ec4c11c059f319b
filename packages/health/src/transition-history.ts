// SPDX-License-Identifier: Apache-2.0
import type { Transition } from "./transition.ts";

/** Transitions that are kept in memory; older ones are in the journal. */
const TRANSITIONS_MAX = 10_000;

/** The newest transitions, oldest first. */
export class TransitionHistory {
  readonly #kept: Transition[] = [];
  /** How many became each verdict since the start. */
  readonly counts: Record<Transition["verdict"], number> = { unknown: 0, healthy: 0, unhealthy: 0 };

  add(batch: readonly Transition[]): void {
    for (const transition of batch) {
      this.counts[transition.verdict] += 1;
      this.#kept.push(transition);
    }
    if (this.#kept.length > TRANSITIONS_MAX)
      this.#kept.splice(0, this.#kept.length - TRANSITIONS_MAX);
  }

  /** The last one of an endpoint until `atMs`, wall time. */
  newest(key: string, atMs: number): Transition | undefined {
    return this.#kept.findLast((each) => each.key === key && each.atMs <= atMs);
  }

  /** Those of endpoints whose key starts with `prefix`, the newest `count`. */
  list(prefix: string, count: number): Transition[] {
    return this.#kept.filter(({ key }) => key.startsWith(prefix)).slice(-count);
  }
}
