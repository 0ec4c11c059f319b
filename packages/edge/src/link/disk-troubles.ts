// SPDX-License-Identifier: Apache-2.0

import type { DiskTrouble } from "@meridian/snapshot";

/** What the disk of an edge does not take at present, by what it is. It is said once when it begins, and shown until it ends. */
export class DiskTroubles {
  readonly #nowMs: () => number;
  readonly #byWhat = new Map<string, { readonly reason: string; readonly sinceMs: number }>();

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** The disk has refused it; false where that is known. */
  failed(what: string, reason: string): boolean {
    const known = this.#byWhat.get(what);
    this.#byWhat.set(what, { reason, sinceMs: known?.sinceMs ?? this.#nowMs() });
    return known === undefined;
  }

  /** The disk has taken it. */
  took(what: string): void {
    this.#byWhat.delete(what);
  }

  /** The one that has lasted longest; undefined where the disk takes everything. */
  get worst(): DiskTrouble | undefined {
    const [first] = this.#byWhat;
    if (first === undefined) return undefined;
    const [what, { reason, sinceMs }] = first;
    return { what, reason, forMs: this.#nowMs() - sinceMs };
  }
}
