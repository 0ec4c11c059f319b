// SPDX-License-Identifier: Apache-2.0

// What there is to tell. An alert is a state and no event: it holds from when it is raised until it is cleared, so that what is told can be
// found again after a restart by comparing what holds with what was told, and telling twice is no harm.

import type { NotificationEvent } from "@meridian/model";

/** Something that holds now and that somebody may want to know. */
export interface Alert {
  readonly event: NotificationEvent;
  /** What it is about, as in `endpoint/default/web/a`, `pool/default/web` or `edge/eu-1`. */
  readonly subject: string;
  /** Empty for what belongs to no namespace. */
  readonly namespace: string;
  /** One sentence without a full stop. */
  readonly summary: string;
}

/** An alert and when it was first seen, Unix milliseconds. */
export interface SeenAlert extends Alert {
  readonly sinceMs: number;
}

/** Where parts of control say what holds: the one way in for what cannot be seen from what is served. */
export interface AlertBoard {
  /** It holds from now on; again, with other words, changes the words. */
  raise(alert: Alert): void;
  /** It holds no longer; nothing happens where it did not. */
  clear(event: NotificationEvent, subject: string): void;
}

/** Alerts raised by hand that may hold at once; more are dropped. */
const RAISED_MAX = 10_000;

export class RaisedAlerts implements AlertBoard {
  readonly #raised = new Map<string, Alert>();
  /** Grows with each change. */
  version = 0;

  raise(alert: Alert): void {
    const key = alertKey(alert);
    if (this.#raised.size >= RAISED_MAX && !this.#raised.has(key)) return;
    this.#raised.set(key, alert);
    this.version += 1;
  }

  clear(event: NotificationEvent, subject: string): void {
    if (this.#raised.delete(alertKey({ event, subject }))) this.version += 1;
  }

  all(): Iterable<Alert> {
    return this.#raised.values();
  }
}

/** By what an alert is known: what is raised twice under one key is one alert. */
export function alertKey({ event, subject }: Pick<Alert, "event" | "subject">): string {
  return `${event} ${subject}`;
}
