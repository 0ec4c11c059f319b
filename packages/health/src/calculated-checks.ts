// SPDX-License-Identifier: Apache-2.0

import { calculate, type Calculation } from "./calculated.ts";
import type { Entry } from "./entry.ts";
import { CALCULATED_DEPTH_MAX } from "./limits.ts";

/** Which calculated checks count which children, and which of them have to be counted again. */
export class CalculatedChecks {
  readonly #parentsByChild = new Map<string, Entry[]>();
  readonly #dirty = new Set<Entry>();

  /** The targets are others now: everything is counted again. */
  link(entries: Iterable<Entry>): void {
    this.#parentsByChild.clear();
    for (const entry of entries) {
      const { check } = entry.target;
      if (check.kind !== "calculated") continue;
      this.#dirty.add(entry);
      for (const child of check.children) {
        const parents = this.#parentsByChild.get(child);
        if (parents === undefined) this.#parentsByChild.set(child, [entry]);
        else parents.push(entry);
      }
    }
  }

  /** The verdict of `key` has changed, or it is gone. */
  childChanged(key: string): void {
    for (const parent of this.#parentsByChild.get(key) ?? []) this.#dirty.add(parent);
  }

  /** A calculated check is gone. */
  forget(entry: Entry): void {
    this.#dirty.delete(entry);
  }

  /** Counts what has changed and what depends on that, to a bounded depth; `apply` tells the result. */
  evaluate(
    entries: ReadonlyMap<string, Entry>,
    apply: (entry: Entry, calculation: Calculation) => void,
  ): void {
    for (let depth = 0; depth < CALCULATED_DEPTH_MAX && this.#dirty.size > 0; depth++) {
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const entry of dirty) {
        const { check } = entry.target;
        if (check.kind !== "calculated" || check.disabled) continue;
        const verdicts = check.children.map(
          (child) => entries.get(child)?.state.verdict ?? "unknown",
        );
        apply(entry, calculate(check.threshold, verdicts));
      }
    }
    this.#dirty.clear();
  }
}
