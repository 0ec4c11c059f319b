// SPDX-License-Identifier: Apache-2.0

// Keeps copies of secondary zones: the leader of the controls asks their primaries when it is time or NOTIFY says so, and what came is
// tried, committed to the store and published like a change of documents. What a control needs to go on is in the store, so another
// takes over by asking each primary once.
//
//   due ─► SOA ─┬─ equal ─► later end of the copy
//               └─ newer ─► IXFR ─► (bad, or none) AXFR ─► looked at ─► tried, committed, served

import { reasonOf } from "@meridian/core";
import {
  RRType,
  isSerialAfter,
  tsigKey,
  verifyZonemd,
  type SoaTimers,
  type ZoneRecord,
} from "@meridian/dns";
import { readCatalog } from "@meridian/model";
import type { Leading } from "../cells/cell-keeper.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import { apexOf } from "../dnssec/zone-apex.ts";
import type { Logger } from "../embedded-options.ts";
import type { AlertBoard } from "../notifications/alert.ts";
import type { SecondaryZone } from "../served-model.ts";
import type { StateDocuments, StateWrite } from "../state/state-documents.ts";
import { PrimaryConnection, TransferFailure, type Primary } from "./primary-connection.ts";
import { afterAnswer, afterFailure, expirySeconds, isLaterEnough } from "./refresh-timing.ts";
import { SecondaryAlerts } from "./secondary-alerts.ts";
import {
  copyWrites,
  factsWrite,
  forgetWrites,
  storedCopy,
  storedFacts,
  storedOrigins,
  type StoredFacts,
} from "./stored-copies.ts";
import { ZONE_BYTES_MAX, ZoneCopy } from "./zone-copy.ts";

const TICK_MS = 250;
/** Zones whose primaries are asked at one time. */
const ASKED_MAX = 16;
/** A zone is asked for once in this time however often NOTIFY comes; and once more after it, as an edge passes NOTIFY on once a second. */
const NOTIFY_MS = 1100;
/** Once in this time a control that does not lead writes NOTIFY down. */
const WRITTEN_MS = 5000;

export interface SecondaryKeeperOptions {
  readonly state: StateDocuments;
  /** Tries and commits; rejects where it cannot be served or kept. */
  readonly apply: (
    writes: readonly StateWrite[],
    lease: NonNullable<Leading>["lease"],
  ) => Promise<unknown>;
  /** By origin; undefined while that is not known. */
  readonly zones: () => ReadonlyMap<string, SecondaryZone> | undefined;
  /** By reference. */
  readonly secrets: () => ReadonlyMap<string, string>;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  readonly board: AlertBoard;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly random?: () => number;
}

/** How a zone stands with its primaries, at the control that leads. */
interface Standing {
  /** When it is time for them to be asked. */
  nextMs: number;
  /** When NOTIFY has them asked; Infinity for not. */
  wantedMs: number;
  isNotified: boolean;
  startedMs: number;
  isAsking: boolean;
  failures: number;
  /** Index of the primary that answered last. */
  primary: number;
  /** When one answered last; 0 for never here. */
  answeredMs: number;
  error: string;
}

/** What is shown of a secondary zone. */
export interface SecondaryView {
  /** `NAMESPACE/ORIGIN`. */
  readonly name: string;
  readonly zone: string;
  readonly state: "ready" | "expired" | "waiting";
  readonly serial: number | undefined;
  /** Who sent what is served. */
  readonly primary: string | undefined;
  readonly takenMs: number | undefined;
  readonly expiresMs: number | undefined;
  /** When a primary answered last, and is asked next; known to the control that leads. */
  readonly refreshedMs: number | undefined;
  readonly nextMs: number | undefined;
  readonly failures: number;
  readonly error: string | undefined;
}

export class SecondaryKeeper {
  readonly #options: SecondaryKeeperOptions;
  readonly #standings = new Map<string, Standing>();
  readonly #closing = new AbortController();
  readonly #asking = new Set<Promise<void>>();
  readonly #written = new Map<string, number>();
  readonly #alerts: SecondaryAlerts;
  #seen: DocumentSet | undefined;
  #timer: NodeJS.Timeout | undefined;
  #forgetting: Promise<void> | undefined;

  constructor(options: SecondaryKeeperOptions) {
    this.#options = options;
    this.#alerts = new SecondaryAlerts(options.board);
  }

  start(): void {
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  /** Transfers that are under way are given up. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await Promise.all([...this.#asking, this.#forgetting]);
  }

  /** To be called a few times a second. */
  tick(): void {
    const { leading, zones, nowMs } = this.#options;
    const wanted = zones();
    if (wanted === undefined || this.#closing.signal.aborted) return;
    if (leading() === undefined) {
      this.#standings.clear();
      this.#alerts.clear();
      this.#seen = undefined;
      return;
    }
    for (const origin of this.#standings.keys())
      if (!wanted.has(origin)) this.#standings.delete(origin);
    this.#forget(wanted);
    this.#readNotified();
    const now = nowMs();
    const { documents } = this.#options.state;
    this.#alerts.look(
      () =>
        [...wanted].map(([origin, { namespace }]) => ({
          ...{ origin, namespace },
          facts: storedFacts(documents, origin),
        })),
      now,
    );
    for (const [origin, zone] of wanted) {
      if (this.#asking.size >= ASKED_MAX) return;
      const standing = this.#standing(origin);
      if (standing.isAsking || now < Math.min(standing.nextMs, standing.wantedMs)) continue;
      Object.assign(standing, {
        ...{ isAsking: true, startedMs: now, isNotified: false },
        wantedMs: standing.isNotified ? now + NOTIFY_MS : Infinity,
      });
      const asking = this.#refresh(origin, zone, standing).finally(() => {
        standing.isAsking = false;
        this.#asking.delete(asking);
      });
      this.#asking.add(asking);
    }
  }

  /** A primary says that a zone has changed: it is asked at once, though not more than once a second, by the control that leads. */
  notify(origin: string): void {
    const standing = this.#standings.get(origin);
    const now = this.#options.nowMs();
    if (standing === undefined) {
      if (this.#options.leading() === undefined) this.#writeDown(origin, now);
      return;
    }
    standing.isNotified = true;
    standing.wantedMs = Math.max(now, standing.startedMs + NOTIFY_MS);
    this.tick();
  }

  /** For the control that leads to read. */
  #writeDown(origin: string, now: number): void {
    const isZone = this.#options.zones()?.has(origin) === true;
    if (!isZone || now < (this.#written.get(origin) ?? 0) + WRITTEN_MS) return;
    this.#written.set(origin, now);
    const write = { kind: "ZoneNotified", name: origin, text: String(now) } as const;
    this.#options.state.write([write], "notify", { zone: origin }).catch((error: unknown) => {
      this.#options.logger.warn({ zone: origin }, `Cannot pass NOTIFY on: ${reasonOf(error)}`);
    });
  }

  /** What other controls have written down. */
  #readNotified(): void {
    const { documents } = this.#options.state;
    if (documents === this.#seen) return;
    const since = this.#seen?.revision;
    this.#seen = documents;
    if (since === undefined) return;
    for (const { key, revision } of documents.ofKind("ZoneNotified"))
      if (revision > since) this.notify(key.name);
  }

  /** All secondary zones. */
  views(): SecondaryView[] {
    const documents = this.#options.state.documents;
    return [...(this.#options.zones() ?? [])].map(([origin, { namespace }]) => {
      const facts = storedFacts(documents, origin);
      const standing = this.#standings.get(origin);
      const isExpired = facts !== undefined && facts.expiresSeconds * 1000 <= this.#options.nowMs();
      return {
        ...{ name: `${namespace}/${origin}`, zone: origin },
        state: facts === undefined ? "waiting" : isExpired ? "expired" : "ready",
        serial: facts?.serial,
        primary: facts?.primary,
        takenMs: facts?.takenMs,
        expiresMs: facts === undefined ? undefined : facts.expiresSeconds * 1000,
        refreshedMs:
          standing === undefined || standing.answeredMs === 0 ? undefined : standing.answeredMs,
        nextMs: standing?.nextMs,
        failures: standing?.failures ?? 0,
        error: standing === undefined || standing.error === "" ? undefined : standing.error,
      };
    });
  }

  #standing(origin: string): Standing {
    let standing = this.#standings.get(origin);
    if (standing === undefined) {
      const now = this.#options.nowMs();
      standing = {
        ...{ nextMs: now, wantedMs: Infinity, isNotified: false, startedMs: -Infinity },
        ...{ isAsking: false, failures: 0, primary: 0, answeredMs: 0, error: "" },
      };
      this.#standings.set(origin, standing);
    }
    return standing;
  }

  /** Copies of zones that are none of these any more go. */
  #forget(wanted: ReadonlyMap<string, SecondaryZone>): void {
    if (this.#forgetting !== undefined) return;
    const documents = this.#options.state.documents;
    const gone = storedOrigins(documents).filter((origin) => !wanted.has(origin));
    if (gone.length === 0) return;
    const writes = gone.flatMap((origin) => forgetWrites(documents, origin));
    this.#forgetting = this.#apply(writes)
      .catch((error: unknown) => {
        this.#options.logger.error({ zones: gone }, `Cannot forget copies: ${reasonOf(error)}`);
      })
      .finally(() => {
        this.#forgetting = undefined;
      });
  }

  async #apply(writes: readonly StateWrite[]): Promise<void> {
    const leading = this.#options.leading();
    if (leading === undefined) throw new TransferFailure("another control leads by now");
    await this.#options.apply(writes, leading.lease);
  }

  /** Asks primaries until one answers; never rejects. */
  async #refresh(origin: string, zone: SecondaryZone, standing: Standing): Promise<void> {
    const { nowMs, logger, random = Math.random } = this.#options;
    const { primaries } = zone.secondary;
    const errors: string[] = [];
    for (let turn = 0; turn < primaries.length; turn += 1) {
      const index = (standing.primary + turn) % primaries.length;
      const primary = this.#primaryOf(zone, index);
      try {
        if (typeof primary === "string") throw new TransferFailure(primary);
        const timers = await this.#ask(origin, zone, primary);
        if (standing.error !== "") logger.info({ zone: origin }, "A primary answers again");
        Object.assign(standing, { failures: 0, primary: index, error: "", answeredMs: nowMs() });
        standing.nextMs = afterAnswer(nowMs(), timers, random());
        return;
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        const { address = "" } = primaries[index] ?? {};
        errors.push(`${address}: ${reasonOf(error)}`);
      }
    }
    const facts = storedFacts(this.#options.state.documents, origin);
    const copy = facts && storedCopy(this.#options.state.documents, origin, apexOf(origin), facts);
    const error = errors.join("; ");
    if (error !== standing.error)
      logger.warn({ zone: origin, reason: error }, "Cannot refresh a secondary zone");
    standing.error = error;
    standing.failures += 1;
    standing.nextMs = afterFailure(nowMs(), copy?.soa, standing.failures, random());
  }

  #primaryOf({ secondary, keys }: SecondaryZone, index: number): Primary | string {
    const found = secondary.primaries[index];
    if (found === undefined) return "it is not there any more";
    const { address, port, tsigKey: keyName, tls } = found;
    const named = keys.find(({ name }) => name === keyName);
    const key =
      named === undefined
        ? undefined
        : tsigKey(named.name, named.algorithm, this.#options.secrets().get(named.secret));
    if (named !== undefined && key === undefined)
      return `the secret of key "${named.name}" is not here`;
    return {
      ...{ address, key },
      port: port ?? (tls === undefined ? 53 : 853),
      tls:
        tls === undefined
          ? undefined
          : { serverName: tls.serverName, ca: tls.ca, certificate: tls.certificate },
    };
  }

  /** Brings the copy up to what a primary has; resolves to the timers of its SOA. */
  async #ask(origin: string, zone: SecondaryZone, primary: Primary): Promise<SoaTimers> {
    const apex = apexOf(origin);
    const documents = this.#options.state.documents;
    const facts = storedFacts(documents, origin);
    const isUsable = facts !== undefined && facts.expiresSeconds * 1000 > this.#options.nowMs();
    // Of a copy that is too old nothing counts, its serial neither: a primary may have been made anew.
    if (!isUsable) return this.#takeWhole(origin, zone, primary, facts);
    const copy = storedCopy(documents, origin, apex, facts);
    const connection = await this.#open(primary, apex);
    try {
      const answeredMs = this.#options.nowMs();
      const soa = await connection.soa();
      if (soa.serial === facts.serial) {
        await this.#prolong(origin, facts, soa, answeredMs);
        return soa;
      }
      if (!isSerialAfter(soa.serial, facts.serial))
        throw new TransferFailure(`its serial ${soa.serial} is before ${facts.serial}`);
      const done = await this.#takeChanges(origin, zone, connection, { primary, facts, copy });
      if (done !== undefined) return done;
    } finally {
      connection.close();
    }
    return this.#takeWhole(origin, zone, primary, facts);
  }

  #open(primary: Primary, apex: Uint8Array): Promise<PrimaryConnection> {
    const { nowMs } = this.#options;
    return PrimaryConnection.open(primary, apex, { signal: this.#closing.signal, nowMs });
  }

  /** A later end of the copy, where it is enough later. */
  async #prolong(
    origin: string,
    facts: StoredFacts,
    soa: SoaTimers,
    answeredMs: number,
  ): Promise<void> {
    const expiresSeconds = expirySeconds(answeredMs, soa);
    if (!isLaterEnough(facts.expiresSeconds, expiresSeconds, soa)) return;
    await this.#apply([factsWrite(origin, { ...facts, expiresSeconds }, facts)]);
  }

  /** By IXFR; undefined where that did not work, and the whole zone is to be asked for. */
  async #takeChanges(
    origin: string,
    zone: SecondaryZone,
    connection: PrimaryConnection,
    before: { readonly primary: Primary; readonly facts: StoredFacts; readonly copy: ZoneCopy },
  ): Promise<SoaTimers | undefined> {
    const { copy, facts, primary } = before;
    const { soaRecord } = copy;
    if (soaRecord === undefined) return undefined;
    const passOver = (reason: string): undefined => {
      this.#options.logger.warn(
        { zone: origin, primary: primary.address, reason },
        "Passed over an incremental transfer: the whole zone is asked for",
      );
    };
    const atMs = this.#options.nowMs();
    const outcome = await connection.transfer(soaRecord).catch((error: unknown) => {
      if (this.#closing.signal.aborted) throw error;
      return passOver(reasonOf(error));
    });
    if (outcome === undefined) return undefined;
    if (outcome.kind === "current") return passOver(`it brings serial ${outcome.serial} again`);
    if (outcome.kind === "zone") {
      const { records } = outcome;
      return this.#keep(origin, zone, ZoneCopy.of(apexOf(origin), records), {
        ...before,
        records,
        atMs,
      });
    }
    const records = outcome.deltas.flatMap((delta) => [...delta.removed, ...delta.added]);
    const fault = copy.apply(outcome.deltas) ?? this.#faultOf(zone, origin, copy, records);
    if (fault !== undefined) return passOver(fault);
    return this.#keep(origin, zone, copy, { primary, facts, records: undefined, atMs });
  }

  async #takeWhole(
    origin: string,
    zone: SecondaryZone,
    primary: Primary,
    facts: StoredFacts | undefined,
  ): Promise<SoaTimers> {
    const apex = apexOf(origin);
    const connection = await this.#open(primary, apex);
    try {
      const atMs = this.#options.nowMs();
      const outcome = await connection.transfer();
      if (outcome.kind !== "zone") throw new TransferFailure("it brought no zone");
      const { records } = outcome;
      return await this.#keep(origin, zone, ZoneCopy.of(apex, records), {
        primary,
        facts,
        records,
        atMs,
      });
    } finally {
      connection.close();
    }
  }

  /** Looks at what came (`records`, where that was not done), and keeps it. */
  async #keep(
    origin: string,
    zone: SecondaryZone,
    copy: ZoneCopy,
    from: {
      readonly primary: Primary;
      readonly facts: StoredFacts | undefined;
      readonly records: readonly ZoneRecord[] | undefined;
      /** When it was asked for. */
      readonly atMs: number;
    },
  ): Promise<SoaTimers> {
    const { primary, facts, records, atMs } = from;
    const fault = records === undefined ? undefined : this.#faultOf(zone, origin, copy, records);
    const { soa, bytes } = copy;
    if (fault !== undefined || soa === undefined)
      throw new TransferFailure(fault ?? "the zone has no SOA");
    if (bytes > ZONE_BYTES_MAX)
      throw new TransferFailure(`the zone has ${bytes} bytes, expected at most ${ZONE_BYTES_MAX}`);
    const next = {
      ...{ serial: soa.serial, expiresSeconds: expirySeconds(atMs, soa) },
      ...{ expireSeconds: soa.expire, signedUntilSeconds: copy.signedUntilSeconds },
      ...{ takenMs: this.#options.nowMs(), primary: primary.address },
    };
    await this.#apply(copyWrites(origin, next, copy, facts));
    const { serial } = soa;
    const how = records === undefined ? "changes" : "the zone";
    this.#options.logger.info(
      { zone: origin, primary: primary.address, serial, how },
      "Transferred a secondary zone",
    );
    return soa;
  }

  /** Why a zone is not to be served, as the end of a sentence. */
  #faultOf(
    { secondary: { zonemd, catalog } }: SecondaryZone,
    origin: string,
    copy: ZoneCopy,
    records: readonly ZoneRecord[],
  ): string | undefined {
    const fault = copy.faultAmong(records);
    if (fault !== undefined) return `the zone cannot be served: ${fault}`;
    const listed = catalog ? readCatalog(apexOf(origin), copy.records()) : undefined;
    if (listed !== undefined && "error" in listed) return `the catalog is broken: ${listed.error}`;
    const hasDigest = copy.hasAtApex(RRType.ZONEMD);
    if (!hasDigest) return zonemd === "require" ? "the zone has no ZONEMD" : undefined;
    const verdict = verifyZonemd(apexOf(origin), [...copy.records()]);
    const isGood = verdict === "verified" || (verdict === "unsupported" && zonemd !== "require");
    return isGood ? undefined : `the digest of the zone (ZONEMD) is wrong: ${verdict}`;
  }
}
