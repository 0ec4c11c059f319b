// SPDX-License-Identifier: Apache-2.0

// Runs drills: looks at each every second where this control leads, asks alarms now and then, and takes the step that there is.

import { randomUUID } from "node:crypto";
import { parseDuration, reasonOf } from "@meridian/core";
import { parseStoreDocument, type DrillAlarm, type DrillDocument } from "@meridian/model";
import type { Leading } from "../cells/cell-keeper.ts";
import { closedBy } from "../approvals/change-window.ts";
import { plainDocument, serverMetadataOf } from "../documents/document-text.ts";
import type { Embedded } from "../embedded.ts";
import type { Logger } from "../embedded-options.ts";
import type { Alert } from "../notifications/alert.ts";
import { askNumber } from "../prometheus/ask-prometheus.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { Secrets } from "../secrets/secrets.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";
import { rankedShifts } from "../shift-precedence.ts";
import { capacityLacks } from "../traffic/capacity-check.ts";
import { weighedProfiles } from "../traffic/weighed-profiles.ts";
import type { SwitchedOff } from "../shift-effects.ts";
import { TenantLooks } from "../tenant-looks.ts";
import { parseDrillRecord } from "./drill-record.ts";
import {
  abandoned,
  hindrance,
  stepDrill,
  type AlarmState,
  type DrillRecord,
  type DrillRun,
  type DrillSight,
} from "./drill-step.ts";

const TICK_MS = 1000;
/** Alarms are asked so often while they matter. */
const ALARMS_MS = 5000;
/** A shift outlives its run by this, so that the drill ends it and not its expiry. */
const SHIFT_MARGIN_MS = 60_000;
const SHIFT_MS_MAX = 72 * 3_600_000;

export interface DrillKeeperOptions {
  readonly state: StateDocuments;
  readonly embedded: Embedded;
  /** Routing controls that are Off. */
  readonly off: () => readonly SwitchedOff[];
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  readonly secrets: Secrets;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

/** A drill as it is shown. */
export interface DrillView {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  readonly target: string;
  readonly state: "idle" | "running" | "ending" | "paused";
  readonly nextAtMs: number;
  readonly waits: string | undefined;
  readonly current: DrillRun | undefined;
  readonly last: DrillRun | undefined;
  readonly past: readonly DrillRun[];
}

interface KnownDrill {
  readonly document: DrillDocument;
  readonly uid: string;
}

/** What is kept of a drill, and since which revision; 0 where nothing is. */
interface Kept {
  readonly record: DrillRecord | undefined;
  readonly revision: number;
}

interface Alarms {
  readonly atMs: number;
  readonly blocking: readonly AlarmState[];
  readonly outcome: readonly AlarmState[];
}

export class DrillKeeper {
  readonly #options: DrillKeeperOptions;
  readonly #alarms = new Map<string, Alarms>();
  readonly #ended = new AbortController();
  readonly #looks: TenantLooks;
  /** The last of those that weigh and shift one after the other. */
  #weighing: Promise<unknown> = Promise.resolve();

  constructor(options: DrillKeeperOptions) {
    this.#options = options;
    this.#looks = new TenantLooks({
      what: "drills",
      everyMs: TICK_MS,
      tenants: () => this.#tenants(),
      look: (namespace) => this.#lookAt(namespace),
      logger: options.logger,
    });
  }

  start(): void {
    this.#looks.start();
  }

  /** Idempotent; what runs is gone on with by who leads next. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#looks.close();
  }

  /** Looks once at every drill; calls while that is under way share it. */
  look(): Promise<void> {
    return this.#looks.look();
  }

  views(): DrillView[] {
    return this.#drills().map(({ document, uid }) => {
      const name = nameOf(document);
      const { record } = this.#kept(name);
      const own = record?.uid === uid ? record : undefined;
      const { current, past = [], sinceMs = this.#options.nowMs(), waits } = own ?? {};
      const { target, every, paused } = document.spec;
      const state =
        current === undefined
          ? paused
            ? "paused"
            : "idle"
          : current.stage === "ending"
            ? "ending"
            : "running";
      const nextAtMs = sinceMs + (parseDuration(every) ?? 0);
      return { name, target, state, nextAtMs, waits, current, last: past[0], past };
    });
  }

  /** Has one begin now; the leader does it. Throws where something is in its way that can be seen here. */
  async run(name: string, by: string): Promise<DrillView> {
    return this.#change(name, `run drill ${name}`, by, async (known, record) => {
      await this.#refuseRun(name, known, record);
      return { ...record, wanted: { by, atMs: this.#options.nowMs() } };
    });
  }

  /** Throws where something is in the way of `run()`. */
  async mayRun(name: string): Promise<void> {
    const { known, record } = await this.#found(name);
    await this.#refuseRun(name, known, record);
  }

  async #refuseRun(name: string, known: KnownDrill, record: DrillRecord): Promise<void> {
    if (record.current !== undefined)
      throw conflict(`Cannot run drill ${name}: it is running already`);
    const alarms = await this.#alarmsOf(known);
    const why = hindrance(await this.#sight(known, record, true, alarms), true);
    if (why !== undefined) throw conflict(`Cannot run drill ${name}: ${why}`);
  }

  /** Has what runs end; the leader does it. */
  async cancel(name: string, by: string, reason: string): Promise<DrillView> {
    return this.#change(name, `cancel drill ${name}`, by, (_known, record) => {
      const { wanted: _wanted, ...kept } = record;
      if (record.current === undefined && record.wanted === undefined)
        throw conflict(`Cannot cancel drill ${name}: it is not running`);
      return Promise.resolve(
        record.current === undefined ? kept : { ...kept, canceled: { by, reason } },
      );
    });
  }

  /** Drills whose last run says that something is wrong. */
  alerts(): Alert[] {
    return this.views().flatMap(({ name, target, current, last }): Alert[] => {
      const isBad = last?.outcome === "failed" || last?.outcome === "capacity check failed";
      if (current !== undefined || !isBad) return [];
      return [
        {
          ...{
            event: "drill-failed",
            subject: `drill/${name}`,
            namespace: name.split("/")[0] ?? "",
          },
          summary: `The drill ${name} of ${target}: ${last.outcome}: ${last.reason ?? ""}`,
        },
      ];
    });
  }

  /** Those with drills, and with what is kept of some; nobody where another control leads. */
  #tenants(): readonly string[] {
    if (this.#options.leading() === undefined || !this.#options.embedded.isReady) return [];
    const drills = this.#drills();
    const uids = new Set(drills.map(({ uid }) => uid));
    for (const uid of this.#alarms.keys()) if (!uids.has(uid)) this.#alarms.delete(uid);
    const names = [...this.#options.state.all("DrillRecord")].map(({ name }) => name);
    return [
      ...drills.map(({ document }) => document.metadata.namespace),
      ...names.map((name) => name.split("/")[0] ?? ""),
    ];
  }

  async #lookAt(namespace: string): Promise<void> {
    const known = new Map(
      this.#drills()
        .filter(({ document }) => document.metadata.namespace === namespace)
        .map((each) => [nameOf(each.document), each]),
    );
    for (const [name, each] of known) await this.#step(name, each);
    for (const { name } of this.#options.state.all("DrillRecord"))
      if (name.startsWith(`${namespace}/`) && !known.has(name)) await this.#step(name, undefined);
  }

  /** Of one drill after the other; what fails is tried again with the next look. */
  async #step(name: string, known: KnownDrill | undefined): Promise<void> {
    try {
      const kept = this.#kept(name);
      if (known === undefined || (kept.record !== undefined && kept.record.uid !== known.uid))
        await this.#abandon(name, kept);
      else await this.#advance(name, known, kept);
    } catch (error) {
      if (!this.#ended.signal.aborted)
        this.#options.logger.warn(
          { drill: name, reason: reasonOf(error) },
          "Cannot go on with a drill",
        );
    }
  }

  async #advance(name: string, known: KnownDrill, { record, revision }: Kept): Promise<void> {
    if (record === undefined) {
      const sinceMs = this.#options.nowMs();
      await this.#keep(name, { uid: known.uid, sinceMs, past: [] }, revision);
      return;
    }
    const isDue = this.#isDue(known, record);
    // Side by side: a Prometheus that hangs holds nobody else up.
    const alarms = await this.#alarmsIf(isDue, known);
    const step = async (): Promise<void> => {
      if (this.#ended.signal.aborted) return;
      const sight = await this.#sight(known, record, isDue, alarms);
      const { record: next, deed } = stepDrill(known.document, record, sight);
      if (next !== record && !(await this.#keep(name, next, revision))) return;
      const { current } = next;
      if (current === undefined) return;
      if (deed === "shift") await this.#shift(known.document, current);
      if (deed === "unshift") await this.#options.embedded.removeShifts(current.id, true);
    };
    // What one weighs has the shifts of all that were weighed before it.
    const turn = this.#weighing.then(step);
    this.#weighing = turn.catch(() => undefined);
    await turn;
  }

  async #abandon(name: string, { record, revision }: Kept): Promise<void> {
    if (record === undefined) return;
    const next = abandoned(record, this.#options.nowMs());
    if (next !== record) {
      // The next look goes on.
      await this.#keep(name, next, revision);
      return;
    }
    const { current } = record;
    if (current !== undefined) await this.#options.embedded.removeShifts(current.id, true);
    await this.#keep(name, undefined, revision);
  }

  async #shift({ metadata, spec }: DrillDocument, { id, by }: DrillRun): Promise<void> {
    const { embedded, nowMs } = this.#options;
    if (embedded.shifts().some((each) => each.id === id)) return;
    const lengthMs = (parseDuration(spec.lasts) ?? 0) + SHIFT_MARGIN_MS;
    await embedded.addShift(
      {
        ...{ target: spec.target, percent: spec.percent, precedence: "drill" },
        reason: `drill ${metadata.namespace}/${metadata.name}`,
        actor: by,
        expiresAtMs: nowMs() + Math.min(SHIFT_MS_MAX, lengthMs),
      },
      id,
    );
  }

  #isDue({ document: { spec } }: KnownDrill, { current, wanted, sinceMs }: DrillRecord): boolean {
    if (current !== undefined || wanted !== undefined) return true;
    return !spec.paused && this.#options.nowMs() >= sinceMs + (parseDuration(spec.every) ?? 0);
  }

  /** Alarms and capacity are looked at only where they matter. */
  async #sight(
    known: KnownDrill,
    record: DrillRecord,
    isDue: boolean,
    { blocking, outcome }: Pick<Alarms, "blocking" | "outcome">,
  ): Promise<DrillSight> {
    const { embedded, nowMs } = this.#options;
    const { spec } = known.document;
    const { current } = record;
    const now = nowMs();
    const ranked = rankedShifts(embedded.shifts(), now);
    const above = ranked.find(
      ({ shift, percent }) =>
        percent > 0 &&
        shift.target === spec.target &&
        (shift.precedence ?? "manual") !== "drill" &&
        shift.id !== current?.id,
    );
    const isShifted =
      current !== undefined && embedded.shifts().some(({ id }) => id === current.id);
    return {
      ...{ nowMs: now, blocking, outcome, isShifted, newId: randomUUID().slice(0, 8) },
      closed: spec.windows === undefined ? undefined : closedBy(spec.windows, now),
      above: above?.shift.id,
      lacks: isDue && current === undefined ? await this.#lacks(known.document, now) : [],
    };
  }

  async #lacks({ spec }: DrillDocument, atMs: number): Promise<string[]> {
    const { embedded, off, state } = this.#options;
    const weighed = await weighedProfiles(embedded, state.documents, atMs);
    const { model, world } = embedded;
    if (model === undefined || world === undefined || weighed === undefined) return [];
    const served = { model, world, overlay: embedded.overlay, off: off(), ...weighed };
    const shifts = embedded.shifts();
    const { target, percent } = spec;
    const drill = {
      ...{ id: "", target, percent, reason: "", actor: "", precedence: "drill" as const },
      ...{ createdAtMs: atMs, expiresAtMs: atMs + 1 },
    };
    return capacityLacks(served, { shifts, atMs }, { shifts: [...shifts, drill], atMs });
  }

  async #alarmsIf(
    isDue: boolean,
    known: KnownDrill,
  ): Promise<Pick<Alarms, "blocking" | "outcome">> {
    return isDue ? this.#alarmsOf(known) : { blocking: [], outcome: [] };
  }

  async #alarmsOf({ document, uid }: KnownDrill): Promise<Alarms> {
    const known = this.#alarms.get(uid);
    const atMs = this.#options.nowMs();
    if (known !== undefined && Math.abs(atMs - known.atMs) < ALARMS_MS) return known;
    const { spec, metadata } = document;
    const ask = (alarms: Readonly<Record<string, DrillAlarm>>): Promise<AlarmState[]> =>
      Promise.all(
        Object.entries(alarms).map(([name, alarm]) => this.#ask(name, alarm, metadata.namespace)),
      );
    const [blocking, outcome] = await Promise.all([
      ask(spec.blockingAlarms),
      ask(spec.outcomeAlarms),
    ]);
    const asked = { atMs, blocking, outcome };
    this.#alarms.set(uid, asked);
    return asked;
  }

  async #ask(
    name: string,
    { source, query, min = -Infinity, max = Infinity }: DrillAlarm,
    namespace: string,
  ): Promise<AlarmState> {
    const { secrets } = this.#options;
    const answer = await askNumber(source, query, {
      ...{ secrets, namespace, signal: this.#ended.signal },
    });
    if (answer.kind !== "value") return { name, isRed: true, reason: answer.reason };
    const { value } = answer;
    const wanted = [
      ...(min === -Infinity ? [] : [`at least ${min}`]),
      ...(max === Infinity ? [] : [`at most ${max}`]),
    ];
    const reason = `it is ${value}, expected ${wanted.join(" and ")}`;
    return { name, isRed: value < min || value > max, reason };
  }

  async #change(
    name: string,
    verb: string,
    by: string,
    change: (known: KnownDrill, record: DrillRecord) => Promise<DrillRecord>,
  ): Promise<DrillView> {
    const { known, record, revision } = await this.#found(name);
    const changed = await change(known, record);
    const about = { who: { subject: by } };
    if (!(await this.#options.state.write([writeOf(name, changed, revision)], verb, about)))
      throw conflict(`Cannot ${verb}: it was changed meanwhile; try again`);
    const view = this.views().find((each) => each.name === name);
    if (view === undefined)
      throw new RequestRefusal("DOCUMENT_NOT_FOUND", `There is no Drill/${name}`);
    return view;
  }

  /** A drill as the store has it now, with what is kept of it. */
  async #found(name: string): Promise<{
    readonly known: KnownDrill;
    readonly record: DrillRecord;
    readonly revision: number;
  }> {
    const { state, nowMs } = this.#options;
    await state.refresh();
    const known = this.#drills().find(({ document }) => nameOf(document) === name);
    if (known === undefined)
      throw new RequestRefusal("DOCUMENT_NOT_FOUND", `There is no Drill/${name}`);
    const { record, revision } = this.#kept(name);
    const { uid } = known;
    // Its shift would be left to its expiry.
    if (record?.current !== undefined && record.uid !== uid)
      throw conflict(
        `Cannot change drill ${name}: a run of the one that was there before is ending`,
      );
    const own = record?.uid === uid ? record : { uid, sinceMs: nowMs(), past: [] };
    return { known, record: own, revision };
  }

  /** False where somebody else has changed what was kept since `revision`, or leads by now. */
  #keep(name: string, record: DrillRecord | undefined, revision: number): Promise<boolean> {
    const { state, leading } = this.#options;
    const leader = leading();
    if (leader === undefined) return Promise.resolve(false);
    const about = record?.current === undefined ? {} : { run: record.current };
    return state.write([writeOf(name, record, revision)], "drill", about, leader.lease);
  }

  #kept(name: string): Kept {
    const { text, revision = 0 } = this.#options.state.get("DrillRecord", name) ?? {};
    return { record: text === undefined ? undefined : parseDrillRecord(text), revision };
  }

  #drills(): KnownDrill[] {
    return [...this.#options.state.documents.ofKind("Drill")].flatMap(({ text }) => {
      const parsed = parseStoreDocument("Drill", plainDocument(JSON.parse(text)));
      if (!("document" in parsed) || parsed.document.kind !== "Drill") return [];
      return [{ document: parsed.document, uid: serverMetadataOf(text).uid }];
    });
  }
}

function writeOf(name: string, record: DrillRecord | undefined, ifRevision: number): StateWrite {
  const text = record === undefined ? undefined : JSON.stringify(record);
  return { kind: "DrillRecord", name, text, ifRevision };
}

function nameOf({ metadata }: DrillDocument): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function conflict(message: string): RequestRefusal {
  return new RequestRefusal("DOCUMENT_CONFLICT", message);
}
