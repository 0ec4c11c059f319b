// SPDX-License-Identifier: Apache-2.0

// Looks once a second at what holds and tells the receivers of the Notification documents. What each was told is in the state folder, so
// that a restart neither repeats it nor forgets to say that it is over.

import { readFileSync } from "node:fs";
import { writeFile, rename } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { parseDuration, reasonOf } from "@meridian/core";
import {
  notificationEvents,
  parseStoreDocument,
  receiverKindOf,
  type NotificationDocument,
  type NotificationEvent,
} from "@meridian/model";
import type { DocumentSet } from "../documents/document-set.ts";
import { fieldsOf, member } from "../documents/document-key.ts";
import { plainDocument } from "../documents/document-text.ts";
import type { Embedded } from "../embedded.ts";
import type { Logger } from "../embedded-options.ts";
import type { TransitionHistory } from "@meridian/health";
import { alertKey, RaisedAlerts, type Alert, type AlertBoard, type SeenAlert } from "./alert.ts";
import { deliver } from "./delivery.ts";
import { NotificationQueue } from "./notification-queue.ts";
import { Secrets } from "../secrets/secrets.ts";
import { servedAlerts, type Served } from "./served-alerts.ts";

const TICK_MS = 1000;
/** Verdicts are looked at anew after so long even where none was told to have changed. */
const LOOK_MS = 10_000;
/** Other controls are asked for their edges so often. */
const FLEET_MS = 5000;
/** Transitions that are looked through for the reasons of verdicts. */
const REASONS_MAX = 10_000;
const REPEAT_MS = 4 * 3_600_000;
const ALERTMANAGER_REPEAT_MS = 60_000;

/** What can be told of edges and certificates. */
export type Fleet = Pick<Served, "edges" | "expiries">;

export interface NotifierOptions {
  readonly embedded: Embedded;
  readonly documents: () => DocumentSet;
  /** What waits for somebody's decision. */
  readonly alerts?: () => readonly Alert[];
  readonly transitions: TransitionHistory;
  /** The edges and certificates of all controls; asked every few seconds. */
  readonly fleet: () => Promise<Fleet>;
  /** Why a revision was taken back from edges; undefined where it was not. */
  readonly withdrawn?: (revision: number) => string | undefined;
  readonly stateFolder: string;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of several controls one tells; it alone unless given. */
  readonly isLeader?: () => boolean;
}

/** A Notification as `get notifications` shows it. */
export interface NotificationView {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly receiver: string;
  /** `paused`, `failing` (the last attempt failed), `waiting` (something is still to be told) or `told`. */
  readonly state: string;
  /** Alerts that the receiver knows to hold. */
  readonly holds: number;
  readonly waiting: number;
  readonly sent: number;
  readonly failed: number;
  readonly lastSentMs: number | undefined;
  readonly lastError: string | undefined;
}

interface Receiver {
  document: NotificationDocument;
  readonly queue: NotificationQueue;
}

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #secrets: Secrets;
  readonly #raised = new RaisedAlerts();
  readonly #receivers = new Map<string, Receiver>();
  readonly #ended = new AbortController();
  readonly #deliveries = new Set<Promise<void>>();
  readonly #stored: ReadonlyMap<string, readonly SeenAlert[]>;
  #seen: ReadonlyMap<string, SeenAlert> = new Map();
  #seenAtMs = 0;
  #seenState = "";
  #fleet: Fleet = { edges: [], expiries: [] };
  #fleetAtMs = -Infinity;
  #documents: DocumentSet | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#secrets = new Secrets(join(options.stateFolder, "secrets"), options.environment);
    this.#stored = readTold(this.#toldPath);
  }

  /** Where the parts of control say what holds. */
  get board(): AlertBoard {
    return this.#raised;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  /** Ends deliveries that are under way; what they would have told is told after the next start. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#ended.abort();
    await Promise.all(this.#deliveries);
    await this.#writing;
  }

  /** Looks once. */
  tick(): void {
    this.#follow(this.#options.documents());
    this.#askFleet();
    const { isLeader } = this.#options;
    const isReady = this.#options.embedded.isReady && isLeader?.() !== false;
    if (this.#receivers.size === 0 || !isReady || this.#ended.signal.aborted) return;
    const nowMs = this.#options.nowMs();
    const alerts = this.#look(nowMs);
    for (const receiver of this.#receivers.values()) {
      const { document, queue } = receiver;
      if (document.spec.paused) continue;
      queue.update(wantedBy(document, alerts), nowMs);
      const settings = settingsOf(document);
      const batch = queue.due(nowMs, settings);
      if (batch === undefined) continue;
      const delivery = deliver(document, batch, {
        secrets: this.#secrets,
        host: hostname(),
        nowMs,
        repeatAfterMs: settings.repeatAfterMs,
        signal: this.#ended.signal,
      }).then(
        () => this.#delivered(receiver),
        (error: unknown) => this.#refused(receiver, reasonOf(error)),
      );
      this.#deliveries.add(delivery);
      void delivery.finally(() => this.#deliveries.delete(delivery));
    }
  }

  /** Every Notification with what became of it. */
  views(): NotificationView[] {
    this.#follow(this.#options.documents());
    return [...this.#receivers].map(([name, { document, queue }]) => ({
      name,
      receiver: receiverKindOf(document.spec),
      state: stateOf(document, queue),
      holds: queue.told().length,
      waiting: queue.waiting,
      sent: queue.sent,
      failed: queue.failed,
      lastSentMs: queue.lastSentMs,
      lastError: queue.lastError,
    }));
  }

  /** How many alerts of each event hold now, told or not. */
  counts(): ReadonlyMap<NotificationEvent, number> {
    const counts = new Map<NotificationEvent, number>(notificationEvents.map((each) => [each, 0]));
    for (const { event } of this.#look(this.#options.nowMs()))
      counts.set(event, (counts.get(event) ?? 0) + 1);
    return counts;
  }

  get #toldPath(): string {
    return join(this.#options.stateFolder, "notifications.json");
  }

  #askFleet(): void {
    const nowMs = this.#options.nowMs();
    if (Math.abs(nowMs - this.#fleetAtMs) < FLEET_MS) return;
    this.#fleetAtMs = nowMs;
    this.#options.fleet().then(
      (fleet) => {
        this.#fleet = fleet;
      },
      (error: unknown) =>
        this.#options.logger.warn({ reason: reasonOf(error) }, "Cannot ask how the edges are"),
    );
  }

  /** What holds. Of 100,000 endpoints that takes milliseconds, so it is done when something has changed. */
  #look(nowMs: number): readonly SeenAlert[] {
    const { embedded, transitions } = this.#options;
    const { unknown, healthy, unhealthy } = transitions.counts;
    const withdrawn = this.#options.withdrawn?.(embedded.revision);
    const refused = [
      ...(withdrawn === undefined
        ? []
        : [`revision ${embedded.revision} was taken back from edges: ${withdrawn}`]),
      ...embedded.fileErrors,
      ...embedded.problems
        .filter(({ severity }) => severity === "error")
        .map(({ message }) => message),
    ];
    const deciding = this.#options.alerts?.() ?? [];
    const state = [
      ...deciding.map(({ subject }) => subject),
      embedded.revision,
      embedded.sequence,
      ...[unknown, healthy, unhealthy],
      refused.length,
      embedded.unkept?.revision ?? "",
      this.#raised.version,
    ].join(" ");
    if (state === this.#seenState && nowMs - this.#seenAtMs < LOOK_MS)
      return [...this.#seen.values()];
    this.#seenState = state;
    this.#seenAtMs = nowMs;
    const served = servedAlerts(
      {
        model: embedded.model,
        verdicts: embedded.verdicts.verdicts(),
        reasons: new Map(transitions.list("", REASONS_MAX).map(({ key, reason }) => [key, reason])),
        latches: embedded.latches(),
        shifts: embedded.shifts(),
        refused,
        unkept: embedded.unkept,
        ...this.#fleet,
      },
      nowMs,
    );
    const seen = new Map<string, SeenAlert>();
    for (const alert of [...served, ...deciding, ...this.#raised.all()]) {
      const key = alertKey(alert);
      seen.set(key, { ...alert, sinceMs: this.#seen.get(key)?.sinceMs ?? nowMs });
    }
    this.#seen = seen;
    return [...seen.values()];
  }

  /** Documents are values: the same ones need no look. */
  #follow(documents: DocumentSet): void {
    if (documents === this.#documents) return;
    this.#documents = documents;
    const present = new Set<string>();
    for (const { key, text } of documents.ofKind("Notification")) {
      const parsed = parseStoreDocument("Notification", plainDocument(JSON.parse(text)));
      if (!("document" in parsed) || parsed.document.kind !== "Notification") continue;
      const name = `${key.namespace}/${key.name}`;
      present.add(name);
      const known = this.#receivers.get(name);
      const { document } = parsed;
      if (known === undefined)
        this.#receivers.set(name, {
          document,
          queue: new NotificationQueue(this.#stored.get(name)),
        });
      else known.document = document;
    }
    for (const name of this.#receivers.keys()) if (!present.has(name)) this.#receivers.delete(name);
  }

  #delivered({ queue }: Receiver): void {
    queue.delivered(this.#options.nowMs());
    this.#writing = this.#writing.then(() => this.#write());
  }

  #refused({ document, queue }: Receiver, reason: string): void {
    queue.refused(reason, this.#options.nowMs());
    if (this.#ended.signal.aborted) return;
    const { namespace, name } = document.metadata;
    this.#options.logger.warn({ notification: `${namespace}/${name}`, reason }, "Cannot notify");
  }

  async #write(): Promise<void> {
    const told = Object.fromEntries(
      [...this.#receivers].map(([name, { queue }]) => [name, queue.told()]),
    );
    const path = this.#toldPath;
    try {
      // A crash may lose it; then something is told twice.
      await writeFile(`${path}.new`, JSON.stringify(told), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } catch (error) {
      this.#options.logger.error({ reason: reasonOf(error) }, "Cannot keep what was notified");
    }
  }
}

function wantedBy(
  { metadata, spec }: NotificationDocument,
  alerts: readonly SeenAlert[],
): SeenAlert[] {
  const events: ReadonlySet<string> = new Set(spec.events);
  return alerts.filter(
    ({ event, namespace }) =>
      events.has(event) && (spec.scope === "all" || namespace === metadata.namespace),
  );
}

function settingsOf({ spec }: NotificationDocument): {
  readonly groupWaitMs: number;
  readonly repeatAfterMs: number;
} {
  const repeatMs = spec.alertmanager === undefined ? REPEAT_MS : ALERTMANAGER_REPEAT_MS;
  return {
    groupWaitMs: parseDuration(spec.groupWait) ?? 0,
    repeatAfterMs:
      spec.repeatAfter === undefined ? repeatMs : (parseDuration(spec.repeatAfter) ?? repeatMs),
  };
}

function stateOf({ spec }: NotificationDocument, queue: NotificationQueue): string {
  if (spec.paused) return "paused";
  if (queue.lastError !== undefined) return "failing";
  return queue.waiting > 0 ? "waiting" : "told";
}

/** What was told before; nothing where there is no such file, or one that cannot be read. */
function readTold(path: string): Map<string, readonly SeenAlert[]> {
  try {
    const raw: unknown = JSON.parse(readFileSync(path, "utf8"));
    return new Map(
      Object.entries(fieldsOf(raw)).map(([name, alerts]) => [
        name,
        Array.isArray(alerts) ? alerts.flatMap((each) => seenAlert(each)) : [],
      ]),
    );
  } catch {
    return new Map();
  }
}

function seenAlert(raw: unknown): SeenAlert[] {
  const [subject, namespace, summary] = ["subject", "namespace", "summary"].map((name) =>
    member(raw, name),
  );
  const event = notificationEvents.find((each) => each === member(raw, "event"));
  const sinceMs = member(raw, "sinceMs");
  return event !== undefined &&
    typeof subject === "string" &&
    typeof namespace === "string" &&
    typeof summary === "string" &&
    typeof sinceMs === "number"
    ? [{ event, subject, namespace, summary, sinceMs }]
    : [];
}
