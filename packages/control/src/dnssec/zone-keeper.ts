// SPDX-License-Identifier: Apache-2.0

// Keeps the keys of signed zones: the leader of the controls makes and moves them in the store, each by compare-and-set; every control makes
// of what the store says the material that its edges sign with. What is done at a time follows from the keys, the clock and the parent
// alone (roll-over.ts); nothing of it is kept here, so that another control goes on where this one stopped.

import type { KeyObject } from "node:crypto";
import { MeridianError, reasonOf } from "@meridian/core";
import { encodeSigningMaterial } from "@meridian/snapshot";
import type { Leading } from "../cells/cell-keeper.ts";
import type { DocumentSet } from "../documents/document-set.ts";
import type { Logger } from "../embedded-options.ts";
import type { SealedText } from "../http/sealed-text.ts";
import type { AlertBoard } from "../notifications/alert.ts";
import type { PresignedFacts, SignedZone } from "../served-model.ts";
import { resealed, sealedKinds } from "../state/resealed.ts";
import { foreignKey, sealOf, type KeyPlace } from "../state/sealing-key.ts";
import type { StateDocuments } from "../state/state-documents.ts";
import { apexPrint, signApexSets, signatureTimes } from "./apex-sets.ts";
import { alertsOf, presignedAlert } from "./key-alerts.ts";
import { keyTimingOf, secondsOf } from "./key-timing.ts";
import { ParentWatch } from "./parent-watch.ts";
import { step, type KeyState } from "./roll-over.ts";
import { published, rolesOf, signsAnswers, type KeyRole } from "./rolled-key.ts";
import {
  makeKey,
  openKey,
  readStoredZone,
  type StoredKey,
  type StoredSigning,
  type StoredZone,
} from "./stored-keys.ts";
import { apexOf, keptZoneOf } from "./zone-apex.ts";

const TICK_MS = 1000;
/** Another writer was first: it is looked at anew so often. */
const TRIES_MAX = 5;

export interface ZoneKeeperOptions {
  readonly state: StateDocuments;
  /** The keys that seal what must not lie in the store in clear. */
  readonly keyPlace: KeyPlace;
  /** What is served; undefined while that is not known. */
  readonly served: () => ServedZones | undefined;
  /** undefined where another control leads. */
  readonly leading: () => Leading;
  /** What edges sign with is another, by origin. */
  readonly onMaterials: (materials: ReadonlyMap<string, string>) => void;
  readonly board: AlertBoard;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

export interface ServedZones {
  /** Those that are to be signed, by what zones are called: `ORIGIN`, or `ORIGIN@VIEW`. */
  readonly signed: ReadonlyMap<string, SignedZone>;
  /** Those that are signed elsewhere, the same way. */
  readonly presigned: ReadonlyMap<string, PresignedFacts>;
  /** Whether a zone is served at all. */
  has(origin: string): boolean;
}

/** A zone with its place in the store. */
export interface FoundZone {
  readonly zone: StoredZone;
  readonly revision: number;
}

export class ZoneKeeper {
  readonly #options: ZoneKeeperOptions;
  readonly #parents: ParentWatch;
  #sealed: SealedText | undefined;
  /** What was last found to be sealed with the key of now. */
  #current: { readonly documents: DocumentSet; readonly seal: SealedText } | undefined;
  #documents: DocumentSet | undefined;
  #zones: ReadonlyMap<string, FoundZone> = new Map();
  #materials: ReadonlyMap<string, string> = new Map();
  #alerted: ReadonlySet<string> = new Set();
  #stepping: Promise<void> | undefined;
  #failure = "";
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: ZoneKeeperOptions) {
    this.#options = options;
    this.#parents = new ParentWatch(() => this.tick());
  }

  /** Looks from now on, each second. */
  start(): void {
    this.tick();
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  /** What is under way comes to its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.whenStepped();
  }

  /** Resolves when no step is under way. */
  async whenStepped(): Promise<void> {
    await this.#stepping;
  }

  /** What edges sign with, by origin; another object when it changes. */
  get materials(): ReadonlyMap<string, string> {
    return this.#materials;
  }

  /** Zones that are signed elsewhere, and when the first of their signatures ends. */
  get presigned(): ServedZones["presigned"] {
    return this.#options.served()?.presigned ?? new Map();
  }

  /** Zones that have keys, by origin. */
  get zones(): ReadonlyMap<string, FoundZone> {
    this.#follow();
    return this.#zones;
  }

  /** Whether the parent of a zone was understood when it was last asked here; undefined where it was not asked. */
  isParentHeard(origin: string): boolean | undefined {
    return this.#parents.isHeard(origin);
  }

  /** To be called once a second, and when the store has changed. Never throws. */
  tick(): void {
    try {
      this.#renewSeal();
      this.#follow();
    } catch (error) {
      this.#failed(error);
      return;
    }
    const isBusy = this.#stepping !== undefined || this.#isClosed;
    if (isBusy || this.#options.leading() === undefined) return;
    this.#stepping = this.#stepAll()
      .then(() => {
        this.#failure = "";
      })
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#stepping = undefined;
      });
  }

  /** Has keys of these roles rolled as soon as they may be. Throws DNSSEC_UNKNOWN_ZONE or DNSSEC_UNKNOWN_ROLE. */
  async roll(origin: string, role: KeyRole | undefined): Promise<readonly KeyRole[]> {
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const { zone, revision } = this.found(origin);
      const roles = rolesOf(zone.signing.timing);
      if (role !== undefined && !roles.includes(role))
        throw new MeridianError(
          "DNSSEC_UNKNOWN_ROLE",
          "user",
          `Cannot roll a key of zone "${origin}": the role is "${role}", expected ${roles.join(" or ")}`,
        );
      const wanted = role === undefined ? roles : [role];
      const rolls = [...new Set([...zone.rolls, ...wanted])];
      const text = JSON.stringify({ ...zone, rolls, sequence: zone.sequence + 1 });
      const write = { kind: "ZoneKeys", name: origin, text, ifRevision: revision } as const;
      if (await this.#options.state.write([write], "roll", { zone: origin, roles: wanted })) {
        this.tick();
        return wanted;
      }
    }
    throw new MeridianError(
      "STORE_CONFLICT",
      "system",
      `Cannot roll keys of zone "${origin}": they are being changed; try again`,
    );
  }

  /** The keys of a zone. Throws DNSSEC_UNKNOWN_ZONE. */
  found(origin: string): FoundZone {
    const found = this.zones.get(origin);
    if (found !== undefined && found.zone.keys.length > 0) return found;
    throw new MeridianError(
      "DNSSEC_UNKNOWN_ZONE",
      "user",
      `Cannot use the keys of zone "${origin}": it has none, expected a zone with spec.dnssec that is served`,
    );
  }

  /** A private key in clear. Throws SEALING_KEY_INVALID. */
  privateKey(origin: string, key: StoredKey): KeyObject {
    const opened = openKey(origin, key, this.#seal());
    if (opened === undefined) throw foreignKey(this.#options.keyPlace);
    return opened;
  }

  /** Takes what the store says. */
  #follow(): void {
    const { documents } = this.#options.state;
    if (documents === this.#documents) return;
    const zones = new Map<string, FoundZone>();
    let isSame = true;
    for (const { key, text, revision } of documents.ofKind("ZoneKeys")) {
      const before = this.#zones.get(key.name);
      isSame &&= before?.revision === revision;
      const zone = before?.revision === revision ? before.zone : readStoredZone(text);
      if (zone !== undefined) zones.set(key.name, { zone, revision });
    }
    this.#documents = documents;
    if (isSame && zones.size === this.#zones.size) return;
    this.#zones = zones;
    const materials = new Map<string, string>();
    for (const [origin, { zone }] of zones)
      if (zone.keys.length > 0) materials.set(origin, this.#materialOf(origin, zone));
    this.#materials = materials;
    this.#options.onMaterials(materials);
  }

  #materialOf(origin: string, zone: StoredZone): string {
    const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
    const { denial, signatureValiditySeconds, refreshSeconds } = zone.signing;
    const { view } = keptZoneOf(origin);
    return encodeSigningMaterial({
      ...{ zone: apexOf(origin), sequence: zone.sequence },
      ...(view === undefined ? {} : { view }),
      ...{ denial, signatureValiditySeconds, refreshSeconds },
      apex: zone.apex.map((set) => ({
        ...{ type: set.type, ttl: set.ttl },
        rdatas: set.rdatas.map(bytes),
        rrsigs: set.rrsigs.map(bytes),
      })),
      keys: zone.keys
        .filter(({ role }) => role !== "ksk")
        .map((key) => ({
          ...{ keyTag: key.keyTag, algorithm: key.algorithm, signs: signsAnswers(key) },
          publicKey: bytes(key.publicKey),
          privateKey: new Uint8Array(
            this.privateKey(origin, key).export({ format: "der", type: "pkcs8" }),
          ),
        })),
    });
  }

  async #stepAll(): Promise<void> {
    const served = this.#options.served();
    if (served === undefined) return;
    await this.#reseal();
    for (const origin of new Set([...served.signed.keys(), ...this.#zones.keys()])) {
      // A zone that is gone for a while finds its keys as they were.
      if (!served.has(origin) || this.#isClosed) continue;
      await this.#stepZone(origin, served.signed.get(origin));
    }
    this.#tellAlerts(served);
  }

  async #stepZone(origin: string, signed: SignedZone | undefined): Promise<void> {
    const found = this.#zones.get(origin);
    if (found === undefined && signed === undefined) return;
    const nowMs = this.#options.nowMs();
    const before = found?.zone;
    const base = before ?? newZone(signed);
    if (base === undefined || (signed === undefined && base.keys.length === 0)) return;
    const signing = signed === undefined ? base.signing : signingOf(signed);
    const parent = this.#parents.take(origin);
    const orders = { isWanted: signed !== undefined, rolls: base.rolls };
    const { needs, ...state } = step(base, signing.timing, nowMs, parent, orders);
    let { keys } = state;
    for (const needed of needs)
      keys = published(keys, await makeKey(origin, needed, keys, this.#seal()), nowMs);
    const waiting = new Set(rolesOf(signing.timing));
    for (const { role } of needs) waiting.delete(role);
    const zone = this.#signed(origin, {
      ...{ sequence: base.sequence, namespace: signed?.namespace ?? base.namespace, signing },
      ...{ ...state, keys, rolls: base.rolls.filter((role) => waiting.has(role)) },
      ...{ apex: base.apex, apexPrint: base.apexPrint, apexEndsMs: base.apexEndsMs },
    });
    this.#parents.ask(origin, zone, nowMs);
    if (JSON.stringify(zone) === JSON.stringify(before)) return;
    const text = JSON.stringify({ ...zone, sequence: zone.sequence + 1 });
    const write = {
      kind: "ZoneKeys",
      name: origin,
      text,
      ifRevision: found?.revision ?? 0,
    } as const;
    const about = { zone: origin, keys: keys.map(({ role, keyTag }) => `${role} ${keyTag}`) };
    const { lease } = this.#options.leading() ?? {};
    // Where another was first, it is looked at anew in a second.
    if (await this.#options.state.write([write], "dnssec", about, lease)) {
      this.#options.logger.info(about, "Changed the keys of a zone");
      this.#follow();
    }
  }

  /** With its sets at the apex signed, where they are others now or their signatures end soon. */
  #signed(origin: string, zone: StoredZone): StoredZone {
    const { keys, removalMs, signing } = zone;
    const { signatureValiditySeconds, refreshSeconds, timing } = signing;
    const nowMs = this.#options.nowMs();
    if (keys.length === 0) return { ...zone, apex: [], apexPrint: "", apexEndsMs: 0 };
    const isRemoval = removalMs !== undefined;
    const ttl = timing.dnskeyTtlMs / 1000;
    const request = { zone: apexOf(origin), keys, isRemoval, ttl };
    const print = apexPrint(request);
    if (print === zone.apexPrint && zone.apexEndsMs - nowMs > refreshSeconds * 1000) return zone;
    const times = signatureTimes(nowMs, signatureValiditySeconds);
    const apex = signApexSets(request, (key) => this.privateKey(origin, key), times);
    return { ...zone, apex, apexPrint: print, apexEndsMs: times.expiration * 1000 };
  }

  #tellAlerts(served: ServedZones): void {
    const { board } = this.#options;
    const nowMs = this.#options.nowMs();
    const raised = new Set<string>();
    for (const [origin, { zone }] of this.#zones) {
      if (!served.has(origin)) continue;
      const subject = `zone/${origin}`;
      const { namespace } = zone;
      for (const { event, summary } of alertsOf(origin, zone, nowMs)) {
        raised.add(`${event} ${subject}`);
        board.raise({ event, subject, namespace, summary });
      }
    }
    for (const [zone, { namespace, signedUntilSeconds }] of served.presigned) {
      const alert = presignedAlert(zone, signedUntilSeconds, nowMs);
      const subject = `zone/${zone}`;
      if (alert === undefined) continue;
      raised.add(`${alert.event} ${subject}`);
      board.raise({ ...alert, subject, namespace });
    }
    for (const key of this.#alerted) {
      const [event, subject = ""] = key.split(" ");
      if (raised.has(key)) continue;
      if (event === "parent-ds" || event === "expiring-signature") board.clear(event, subject);
    }
    this.#alerted = raised;
  }

  #failed(error: unknown): void {
    const reason = reasonOf(error);
    if (reason !== this.#failure)
      this.#options.logger.error({ reason }, "Cannot keep the keys of signed zones");
    this.#failure = reason;
  }

  /** What older keys have sealed is sealed with the one of now, so that they can go. */
  async #reseal(): Promise<void> {
    const { state, leading, logger } = this.#options;
    const { documents } = state;
    const seal = this.#seal();
    if (!seal.hasOlder) return;
    if (this.#current?.documents === documents && this.#current.seal === seal) return;
    const writes = sealedKinds.flatMap((kind) => resealed(kind, documents, seal));
    if (writes.length === 0) {
      this.#current = { documents, seal };
      logger.info({}, "Everything is sealed with the first key: the others are not needed");
    } else if (await state.write(writes, "reseal", { count: writes.length }, leading()?.lease))
      logger.info({ count: writes.length }, "Sealed anew with the first key");
  }

  /** As the keys are now: another may be the first. A file is made where nothing was ever sealed with one. */
  #seal(): SealedText {
    const { state, keyPlace } = this.#options;
    const isFirst = sealedKinds.every((kind) => state.documents.ofKind(kind).next().done === true);
    this.#sealed ??= sealOf(keyPlace, isFirst);
    return this.#sealed;
  }

  /** Has the keys read again, and makes another seal where they are others. */
  #renewSeal(): void {
    const { keyPlace } = this.#options;
    if (this.#sealed === undefined) return;
    const seal = sealOf(keyPlace, false);
    if (!seal.equals(this.#sealed)) this.#sealed = seal;
  }
}

function newZone(signed: SignedZone | undefined): StoredZone | undefined {
  if (signed === undefined) return undefined;
  const { namespace } = signed;
  const state: KeyState<StoredKey> = { keys: [] };
  const nothing = { sequence: 0, rolls: [], apex: [], apexPrint: "", apexEndsMs: 0 };
  return { ...nothing, ...state, namespace, signing: signingOf(signed) };
}

/** As the zone says now. */
function signingOf({ dnssec }: SignedZone): StoredSigning {
  return {
    denial: dnssec.denial,
    signatureValiditySeconds: secondsOf(dnssec.signatureValidity),
    refreshSeconds: secondsOf(dnssec.refresh),
    timing: keyTimingOf(dnssec),
    parentServers: dnssec.parentServers,
  };
}
