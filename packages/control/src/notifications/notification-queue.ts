// SPDX-License-Identifier: Apache-2.0

// What one receiver knows, and when it is told more. It compares what holds with what was told, so that whatever happens while a receiver
// is away costs no memory, what came and went between two messages is not told at all, and nothing is told twice.
//
//   holds ≠ told ──► wait groupWait ──► message ──► delivered: told = holds
//                                          └──────► failed: again after 1 s, 2 s, … 5 min, with what holds by then

import { alertKey, type SeenAlert } from "./alert.ts";

/** The pause after the first failure, and the longest. */
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 5 * 60_000;
/** Alerts that a receiver is held to know; above that, those that came last are not told. */
const TOLD_MAX = 10_000;

/** One message: what began since the last one, what ended, and with a reminder what still holds. */
export interface Batch {
  readonly firing: readonly SeenAlert[];
  readonly resolved: readonly SeenAlert[];
  readonly isReminder: boolean;
}

export interface QueueSettings {
  readonly groupWaitMs: number;
  readonly repeatAfterMs: number;
}

/** Times are Unix milliseconds. */
export class NotificationQueue {
  #told: ReadonlyMap<string, SeenAlert>;
  #holds: ReadonlyMap<string, SeenAlert> = new Map();
  #differsSinceMs: number | undefined;
  /** When the receiver was last told everything that held. */
  #lastFullMs: number | undefined;
  #nextTryMs = 0;
  #failures = 0;
  /** What a delivery under way makes known. */
  #underWay:
    | { readonly holds: ReadonlyMap<string, SeenAlert>; readonly isFull: boolean }
    | undefined;
  sent = 0;
  failed = 0;
  lastError: string | undefined;
  lastSentMs: number | undefined;

  /** `told` is what the receiver knows from before a restart. */
  constructor(told: readonly SeenAlert[] = []) {
    this.#told = byKey(told);
  }

  /** What holds now. */
  update(alerts: readonly SeenAlert[], nowMs: number): void {
    this.#holds = byKey(alerts.slice(0, TOLD_MAX));
    if (!this.#differs()) this.#differsSinceMs = undefined;
    else this.#differsSinceMs ??= nowMs;
  }

  /** The message that is to be sent now, if any; nothing more comes until `delivered` or `refused` says what became of it. */
  due(nowMs: number, { groupWaitMs, repeatAfterMs }: QueueSettings): Batch | undefined {
    if (this.#underWay !== undefined || nowMs < this.#nextTryMs) return undefined;
    const isNew = this.#differsSinceMs !== undefined && nowMs - this.#differsSinceMs >= groupWaitMs;
    const isReminder = this.#holds.size > 0 && nowMs - (this.#lastFullMs ?? nowMs) >= repeatAfterMs;
    this.#lastFullMs ??= nowMs;
    if (!isNew && !isReminder) return undefined;
    this.#underWay = { holds: this.#holds, isFull: isReminder || this.#told.size === 0 };
    const firing = [...this.#holds].filter(([key]) => isReminder || !this.#told.has(key));
    const resolved = [...this.#told].filter(([key]) => !this.#holds.has(key));
    return { firing: values(firing), resolved: values(resolved), isReminder };
  }

  /** The message was taken. */
  delivered(nowMs: number): void {
    this.#told = this.#underWay?.holds ?? this.#told;
    if (this.#underWay?.isFull === true) this.#lastFullMs = nowMs;
    this.#underWay = undefined;
    this.lastSentMs = nowMs;
    this.#failures = 0;
    this.#nextTryMs = 0;
    this.lastError = undefined;
    this.sent += 1;
    this.#differsSinceMs = this.#differs() ? nowMs : undefined;
  }

  /** The message was not taken; it is tried again later. */
  refused(reason: string, nowMs: number): void {
    this.#underWay = undefined;
    this.lastError = reason;
    this.failed += 1;
    this.#nextTryMs = nowMs + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 32);
  }

  /** What the receiver knows to hold. */
  told(): readonly SeenAlert[] {
    return [...this.#told.values()];
  }

  /** How many changes are still to be told. */
  get waiting(): number {
    const begun = [...this.#holds.keys()].filter((key) => !this.#told.has(key)).length;
    return begun + [...this.#told.keys()].filter((key) => !this.#holds.has(key)).length;
  }

  #differs(): boolean {
    return (
      this.#holds.size !== this.#told.size || this.#holds.keys().some((key) => !this.#told.has(key))
    );
  }
}

function byKey(alerts: readonly SeenAlert[]): Map<string, SeenAlert> {
  return new Map(alerts.map((alert) => [alertKey(alert), alert]));
}

function values(entries: readonly (readonly [string, SeenAlert])[]): SeenAlert[] {
  return entries.map(([, alert]) => alert);
}
