// SPDX-License-Identifier: Apache-2.0

// What somebody has to see to of zones that come from other servers: a copy that ends soon as no primary answers, and signatures that end
// soon, as whoever signs the zone does not.

import type { Alert, AlertBoard } from "../notifications/alert.ts";
import type { CopyFacts } from "./stored-copies.ts";

/** Of `expire`: with less than this part of it left, something is wrong. While primaries answer, it is seven eighths at least, less one refresh. */
const LEFT_PART = 4;
const SIGNATURE_SECONDS_MIN = 86_400;
/** Looked at that often. */
const LOOK_MS = 5000;

/** A zone, and what is known of its copy. */
export interface CopyToWatch {
  readonly origin: string;
  readonly namespace: string;
  readonly facts: CopyFacts | undefined;
}

/** What is wrong with copies; one that never came is on no list, as it was never served. */
export function* copyAlerts(copies: Iterable<CopyToWatch>, nowMs: number): Generator<Alert> {
  const now = nowMs / 1000;
  for (const { origin, namespace, facts } of copies) {
    if (facts === undefined) continue;
    const { expiresSeconds, expireSeconds, signedUntilSeconds } = facts;
    const about = { subject: `zone/${origin}`, namespace };
    if (expiresSeconds - now < expireSeconds / LEFT_PART)
      yield {
        ...about,
        event: "expiring-zone",
        summary: `The copy of ${origin} ${said(expiresSeconds, now)}, as no primary answers`,
      };
    if (signedUntilSeconds > 0 && signedUntilSeconds - now < SIGNATURE_SECONDS_MIN)
      yield {
        ...about,
        event: "expiring-signature",
        summary: `Signatures of ${origin}, which another server signs, end at ${timeOf(signedUntilSeconds)}`,
      };
  }
}

/** Tells the board, and takes back what holds no longer. */
export class SecondaryAlerts {
  readonly #board: AlertBoard;
  #raised: ReadonlyMap<string, Alert> = new Map();
  #lookedMs = -Infinity;

  constructor(board: AlertBoard) {
    this.#board = board;
  }

  /** To be called often; `copies` are asked for now and then. */
  look(copies: () => Iterable<CopyToWatch>, nowMs: number): void {
    if (nowMs - this.#lookedMs < LOOK_MS) return;
    this.#lookedMs = nowMs;
    this.#tell(copyAlerts(copies(), nowMs));
  }

  /** Another control tells from now on. */
  clear(): void {
    this.#lookedMs = -Infinity;
    if (this.#raised.size > 0) this.#tell([]);
  }

  #tell(alerts: Iterable<Alert>): void {
    const raised = new Map([...alerts].map((each) => [`${each.event} ${each.subject}`, each]));
    for (const [key, each] of raised)
      if (this.#raised.get(key)?.summary !== each.summary) this.#board.raise(each);
    for (const [key, { event, subject }] of this.#raised)
      if (!raised.has(key)) this.#board.clear(event, subject);
    this.#raised = raised;
  }
}

function said(expiresSeconds: number, now: number): string {
  return `${expiresSeconds <= now ? "has ended" : "ends"} at ${timeOf(expiresSeconds)}`;
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
