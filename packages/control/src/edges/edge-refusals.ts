// SPDX-License-Identifier: Apache-2.0

// What edges and strangers were refused, for the audit log. One that is refused asks again each second, for days: the same refusal is
// written once in a while.

import type { Refusal, RefusalLog } from "../access/refusal-log.ts";

/** The same refusal is written again after so long. */
const AGAIN_MS = 10 * 60_000;
/** Refusals that are remembered; then all are forgotten. */
const REMEMBERED_MAX = 1000;

export class EdgeRefusals {
  readonly #log: Pick<RefusalLog, "add">;
  readonly #writtenAtMs = new Map<string, number>();

  constructor(log: Pick<RefusalLog, "add">) {
    this.#log = log;
  }

  add(refusal: Refusal): void {
    const { atMs, subject, address, request, message } = refusal;
    const host = address.slice(0, address.lastIndexOf(":"));
    const key = JSON.stringify([subject, host, request, message]);
    const writtenAtMs = this.#writtenAtMs.get(key);
    if (writtenAtMs !== undefined && Math.abs(atMs - writtenAtMs) < AGAIN_MS) return;
    if (this.#writtenAtMs.size >= REMEMBERED_MAX) this.#writtenAtMs.clear();
    this.#writtenAtMs.set(key, atMs);
    this.#log.add(refusal);
  }
}
