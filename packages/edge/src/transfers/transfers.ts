// SPDX-License-Identifier: Apache-2.0

// Zones as a whole, for who may have them (RFC 5936): whoever fits a rule of the zone, by address, by key or by both. All others are
// refused. A transfer is a stream of messages over the snapshot in which it began, so what comes out is one revision whatever is
// published meanwhile; the transport takes message after message, between other work.

import {
  ExtendedError,
  RRType,
  Rcode,
  ZonemdHash,
  formatIpv4,
  formatIpv6,
  formatName,
  tsigKey,
  type TsigKey,
} from "@meridian/dns";
import {
  readTransferSettings,
  SigningMaterials,
  type LoadedZone,
  type Section,
  type SigningMaterial,
  type TransferAs,
  type ViewTable,
  type WalkedRecord,
  type World,
} from "@meridian/snapshot";
import type { ClientCertificate } from "../client-certificate.ts";
import type { Channel, MessageStream } from "../packet-handler.ts";
import type { QueryState } from "../query-state.ts";
import { Section as MessageSection } from "../response-writer.ts";
import { Notifier, type NotifiedZone } from "./notifier.ts";
import { NotifyReceiver, type ZoneNotified } from "./notify-receiver.ts";
import { PreparedZones, type PreparedZone, type WantedZone } from "./prepared-zones.ts";
import { TransferMessages, type TransferSigner } from "./transfer-messages.ts";
import { TransferNotices, type TransferNotice } from "./transfer-notices.ts";
import { recordsOf } from "./whole-zone.ts";
import { isAllowed, ruleOf, type Rule } from "./transfer-rules.ts";
import { ZoneChanges, zoneId, type ZoneChange } from "./zone-changes.ts";
import { SERIAL_BYTES_BEFORE_END, contentsOf, startOf } from "./zone-contents.ts";
import { zoneSigning, type ZoneSigning } from "./zone-signing.ts";

/** Transfers of a worker at one time; each holds the snapshot in which it began. */
const STREAMS_MAX = 64;

/** Records of changes that are always better than the zone. */
const CHANGED_MIN = 100;
/** For how long a catalog is not told of while one of the zones that go out is not ready: longer than keys take to arrive. */
const CATALOG_HOLD_MS = 5000;
const AUTHORITY_COUNT_AT = 8;
const POINTER = 0xc0;

interface ZoneRules {
  readonly keys: readonly TsigKey[];
  readonly keyNames: ReadonlyMap<TsigKey, string>;
  readonly allow: readonly Rule[];
  readonly notify: NotifiedZone["targets"];
  readonly as: TransferAs;
  readonly takesUpdates: boolean;
  readonly encryptedOnly: boolean;
  readonly isSigned: boolean;
  readonly isCatalog: boolean;
  readonly digests: readonly ZonemdHash[];
}

const NO_RULES: ZoneRules = {
  keys: [],
  keyNames: new Map(),
  allow: [],
  notify: [],
  as: "omit",
  takesUpdates: false,
  encryptedOnly: false,
  isSigned: false,
  isCatalog: false,
  digests: [],
};

export class Transfers {
  readonly #notices: TransferNotices;
  readonly #notifier: Notifier;
  #secrets: ReadonlyMap<string, string> = new Map();
  /** By zone section. */
  #rules = new WeakMap<Section, ZoneRules>();
  #viewKeys = new WeakMap<ViewTable, readonly (TsigKey | undefined)[]>();
  #channel: Channel = "clear";
  #certificate: ClientCertificate | undefined;
  #stream: MessageStream | undefined;
  #streams = 0;
  readonly #changes = new ZoneChanges();
  readonly #receiver: NotifyReceiver;
  readonly #prepared = new PreparedZones((zone) => this.#ready(zone));
  #materials = new SigningMaterials([]);
  /** By material, and then by what zones are called: several may be signed with one. */
  readonly #signings = new WeakMap<SigningMaterial, Map<string, ZoneSigning>>();
  /** Another one when what routed names are answered from has changed. */
  #routing = 0;
  /** Of which secondaries are told: undefined in a worker that sends no zones. */
  #world: World | undefined;
  /** As they were told of last. */
  #catalogs: readonly NotifiedZone[] = [];
  #holdUntilMs: number | undefined;

  /** `count` is told which `FixedCounter` goes up. */
  constructor(
    report: (notice: TransferNotice | ZoneNotified) => void = () => undefined,
    count: (counter: number) => void = () => undefined,
  ) {
    this.#notices = new TransferNotices(report);
    this.#receiver = new NotifyReceiver(report, this.#notices, count);
    this.#notifier = new Notifier(this.#notices, count);
  }

  /** The secrets that zones name. */
  setSecrets(secrets: ReadonlyMap<string, string>): void {
    this.#secrets = secrets;
    this.#rules = new WeakMap();
    this.#viewKeys = new WeakMap();
    this.#notify();
  }

  /** How the requests come that follow, and what certificate their client has shown. */
  setChannel(channel: Channel, certificate?: ClientCertificate): void {
    this.#channel = channel;
    // Of older TLS it is not known who has seen it; zones do not go out there anyway.
    this.#certificate = channel === "xot" ? certificate : undefined;
  }

  /** RFC 9103 §7.1: no zone goes out inside TLS 1.2, or where the two sides did not agree on what they speak. */
  #mayCarry({ encryptedOnly }: ZoneRules): boolean {
    return this.#channel === "xot" || (this.#channel === "clear" && !encryptedOnly);
  }

  /** What zones are signed with from now on. */
  sign(materials: readonly SigningMaterial[]): void {
    this.#materials = new SigningMaterials(materials);
    this.#prepare();
  }

  /** Keys of a zone whose secrets are here. */
  keysOf(zone: LoadedZone): readonly TsigKey[] {
    return this.#rulesOf(zone).keys;
  }

  /** The answer to NOTIFY; undefined for none. */
  notified(query: QueryState, packet: Uint8Array, nowSeconds: number): Uint8Array | undefined {
    return this.#receiver.answer(query, packet, nowSeconds, (zone) => this.keysOf(zone));
  }

  /** Whether updates of a zone are handed on. */
  takesUpdates(zone: LoadedZone): boolean {
    return this.#rulesOf(zone).takesUpdates;
  }

  /** What a zone calls a key, if it is one of its own: another zone may have one of that name with another secret. */
  keyName(zone: LoadedZone, key: TsigKey): string | undefined {
    for (const [own, name] of this.#rulesOf(zone).keyNames) if (isSameKey(own, key)) return name;
    return undefined;
  }

  /** The keys of views, in the order of `ViewTable.keys`; undefined for one whose secret is not here. */
  viewKeys(views: ViewTable): readonly (TsigKey | undefined)[] {
    const known = this.#viewKeys.get(views);
    if (known !== undefined) return known;
    const keys = views.keys.map(({ name, algorithm, secret }) =>
      tsigKey(name, algorithm, this.#secrets.get(secret)),
    );
    this.#viewKeys.set(views, keys);
    return keys;
  }

  /** Whether `answer()` began one. */
  get hasStream(): boolean {
    return this.#stream !== undefined;
  }

  /** What `answer()` began, once. */
  takeStream(): MessageStream | undefined {
    const stream = this.#stream;
    this.#stream = undefined;
    return stream;
  }

  /** Answers AXFR and IXFR: an rcode; where it is NOERROR over TCP, `takeStream()` has the answer. */
  answer(query: QueryState, signer: TransferSigner | undefined): number {
    const { served, message, isTcp } = query;
    const zone = query.zones.find(served.name, 0);
    if (zone === undefined || zone.originLabels !== served.name.labelCount)
      return refuse(query, ExtendedError.NOT_AUTHORITATIVE);
    const rules = this.#rulesOf(zone);
    const { name } = zone;
    const signedBy = query.signedBy?.(zone);
    if (!isAllowed(query, rules.allow, signedBy, this.#certificate)) {
      this.#tell(query, name, "refused");
      return refuse(query, ExtendedError.PROHIBITED);
    }
    if (isTcp && !this.#mayCarry(rules)) {
      this.#tell(query, name, "refused: zones go out over TLS 1.3");
      return refuse(query, ExtendedError.PROHIBITED);
    }
    if (zone.isSecondary && query.nowSeconds >= zone.expiresSeconds) {
      query.ede = ExtendedError.INVALID_DATA;
      return Rcode.SERVFAIL;
    }
    if (!isTcp)
      return message.type === RRType.IXFR
        ? currentSoa(query, zone)
        : refuse(query, ExtendedError.NOT_SUPPORTED);
    const prepared = this.#prepared.get(zoneId(zone));
    const start = this.#isPrepared(zone) ? prepared?.start : startOf(zone);
    if (start === undefined) {
      this.#tell(query, name, "refused: the zone is not ready");
      return refuse(query, ExtendedError.NOT_READY);
    }
    if (this.#streams >= STREAMS_MAX) return refuse(query, ExtendedError.NOT_READY);
    const question = {
      id: query.inputView.getUint16(message.start),
      copiedFlags: message.copiedFlags,
      origin: zone.origin,
      type: message.type,
    };
    const since = message.type === RRType.IXFR ? serialIn(query) : undefined;
    // Changes that are longer than the zone are of no use.
    const most = (prepared?.owners.size ?? zone.ownerCount) * 2 + CHANGED_MIN;
    const changes =
      since === undefined ? undefined : this.#changesSince(zone, since, start.serial, most);
    const contents =
      prepared === undefined ? contentsOf(served.world, zone, rules.as) : recordsOf(prepared);
    const records =
      changes === undefined
        ? wholeZone(start.record, contents)
        : changedRecords(start.record, changes);
    const what = changes === undefined ? "the zone" : `${changes.length} changes`;
    this.#tell(query, name, `sends ${what}, serial ${start.serial}`);
    this.#stream = this.#counted(new TransferMessages(question, records, signer));
    return Rcode.NOERROR;
  }

  /** From now on `after` is served in place of `before`, by the worker that sends zones. */
  served(before: World | undefined, after: World): void {
    if (before !== undefined) {
      this.#changes.note(before, after, (zone) => this.#isPrepared(zone));
      if (before.routing !== after.routing) this.#routing += 1;
    }
    this.#world = after;
    this.#prepare();
    this.#notify();
  }

  /** Whether a zone has to be made before it can be sent. */
  #isPrepared(zone: LoadedZone): boolean {
    const { isSigned, digests } = this.#rulesOf(zone);
    return isSigned || digests.length > 0 || this.#materials.of(zone) !== undefined;
  }

  /** Has zones made that are signed or digested. */
  #prepare(): void {
    const wanted = new Map<string, WantedZone>();
    const world = this.#world;
    if (world === undefined) return;
    for (const zone of world.zones.zones) {
      const rules = this.#rulesOf(zone);
      if (rules.allow.length + rules.notify.length === 0 || !this.#isPrepared(zone)) continue;
      const origin = zoneId(zone);
      const signing = this.#signingOf(zone, rules);
      if (rules.isSigned && signing === undefined) continue;
      const { as, digests } = rules;
      const routing = as === "omit" ? "" : String(this.#routing);
      const print = [zone.section.checksum, as, digests.join("+"), routing, signing?.id].join(" ");
      const more = signing === undefined ? {} : { signing };
      wanted.set(origin, { world, zone, as, digests, print, ...more });
    }
    this.#prepared.follow(wanted);
  }

  #signingOf(zone: LoadedZone, { digests }: ZoneRules): ZoneSigning | undefined {
    const material = this.#materials.of(zone);
    if (material === undefined) return undefined;
    const hasDigests = digests.length > 0;
    const signings = this.#signings.get(material) ?? new Map<string, ZoneSigning>();
    const known = signings.get(zoneId(zone));
    if (known?.hasDigests === hasDigests) return known;
    const signing = zoneSigning(zone, material, hasDigests);
    if (signing !== undefined) this.#signings.set(material, signings.set(zoneId(zone), signing));
    return signing;
  }

  #ready({ origin, before, after, changes }: PreparedZone): void {
    const isSameSerial = before?.start.serial === after.start.serial;
    if (before === undefined || changes === undefined) this.#changes.forget(origin);
    else if (!isSameSerial)
      this.#changes.keep(origin, {
        ...{ from: before.start.serial, to: after.start.serial },
        ...{ before: before.start.record, after: after.start.record },
        ...changes,
      });
    // Another content under one serial: what was sent of it before leads nowhere.
    else if (changes.removed.length + changes.added.length > 0) this.#changes.forget(origin);
    this.#notify();
  }

  /**
   * Tells secondaries of the serials that they have not been told of. A catalog follows the zones that it lists: who is refused a zone that he
   * found in it asks again a minute later (BIND).
   */
  #notify(): void {
    const zones: NotifiedZone[] = [];
    const catalogs: NotifiedZone[] = [];
    let areReady = true;
    for (const zone of this.#world?.zones.zones ?? []) {
      const { notify, isCatalog } = this.#rulesOf(zone);
      if (notify.length === 0) continue;
      const start = this.#isPrepared(zone)
        ? this.#prepared.get(zoneId(zone))?.start
        : startOf(zone);
      if (start === undefined) {
        areReady = false;
        continue;
      }
      const { record, serial } = start;
      const notified = {
        origin: zone.origin,
        id: zoneId(zone),
        soa: record,
        serial,
        targets: notify,
      };
      (isCatalog ? catalogs : zones).push(notified);
    }
    if (!this.#holdsCatalogs(areReady)) this.#catalogs = catalogs;
    this.#notifier.follow([...zones, ...this.#catalogs]);
  }

  /** Whether catalogs wait for zones that are being made, which they do for a moment: one may have no keys at all. */
  #holdsCatalogs(areReady: boolean): boolean {
    if (areReady) {
      this.#holdUntilMs = undefined;
      return false;
    }
    const nowMs = performance.now();
    if (this.#holdUntilMs === undefined) {
      this.#holdUntilMs = nowMs + CATALOG_HOLD_MS;
      setTimeout(() => this.#notify(), CATALOG_HOLD_MS + 1).unref();
    }
    return nowMs < this.#holdUntilMs;
  }

  /** Empty where there is nothing newer than the client has; undefined where it has to get the zone as a whole. */
  #changesSince(
    zone: LoadedZone,
    since: number,
    serial: number,
    most: number,
  ): readonly ZoneChange[] | undefined {
    const isNewer = ((serial - since) >>> 0) - 1 < 0x7fff_ffff && serial !== since;
    if (!isNewer) return [];
    const changes = this.#changes.between(zone, since, serial);
    const count = changes?.reduce(
      (sum, { removed, added }) => sum + removed.length + added.length,
      0,
    );
    return count !== undefined && count <= most ? changes : undefined;
  }

  /** A signature was not taken. */
  refused(query: QueryState, reason: string): void {
    const { served } = query;
    const name = formatName(served.name.bytes.slice(0, served.name.length));
    this.#tell(query, name, reason, "Refused a signed request");
  }

  #tell(
    { source, sourceStart, family, nowSeconds }: QueryState,
    zone: string,
    outcome: string,
    what?: TransferNotice["what"],
  ): void {
    const bytes = source.slice(sourceStart, sourceStart + (family === 4 ? 4 : 16));
    const client = family === 4 ? formatIpv4(bytes) : formatIpv6(bytes);
    this.#notices.tell(nowSeconds, zone, client, outcome, what);
  }

  #counted(messages: TransferMessages): MessageStream {
    this.#streams += 1;
    let isOpen = true;
    const close = (): void => {
      if (isOpen) this.#streams -= 1;
      isOpen = false;
    };
    return {
      next: () => {
        const message = isOpen ? messages.next() : undefined;
        if (message === undefined) close();
        return message;
      },
      close,
    };
  }

  #rulesOf({ section }: LoadedZone): ZoneRules {
    const known = this.#rules.get(section);
    if (known !== undefined) return known;
    const settings = readTransferSettings(section);
    const keyNames = new Map<TsigKey, string>();
    for (const { name, algorithm, secret } of settings?.keys ?? []) {
      const key = tsigKey(name, algorithm, this.#secrets.get(secret));
      if (key !== undefined) keyNames.set(key, name);
    }
    const rules =
      settings === undefined
        ? NO_RULES
        : {
            keys: [...keyNames.keys()],
            keyNames,
            allow: [
              ...settings.allow.map((rule) => ruleOf(rule, undefined)),
              ...(settings.certified ?? []).map((rule) => ruleOf(rule, rule.certificate)),
            ],
            notify: (settings.notify ?? []).flatMap(({ address, port, key }) => {
              if (key === undefined) return [{ address, port }];
              // One whose secret is not here yet is told when it is.
              const signer = [...keyNames].find(([, name]) => name === key)?.[0];
              return signer === undefined ? [] : [{ address, port, key: signer }];
            }),
            as: settings.transferAs,
            takesUpdates: settings.takesUpdates === true,
            encryptedOnly: settings.encryptedOnly === true,
            isSigned: settings.isSigned === true,
            isCatalog: settings.isCatalog === true,
            digests: (settings.digests ?? []).map((digest) => ZonemdHash[digest]),
          };
    this.#rules.set(section, rules);
    return rules;
  }
}

/** RFC 1995 §4: over UDP the SOA alone, which says to ask over TCP. */
function currentSoa(query: QueryState, zone: LoadedZone): number {
  const start = startOf(zone);
  if (start === undefined) return refuse(query, ExtendedError.NOT_READY);
  const origin = query.served.name.messageOffsets[0] ?? 0;
  query.zoneIndex = zone.index;
  query.isAuthoritative = true;
  query.response.set(
    MessageSection.answer,
    origin,
    RRType.SOA,
    start.record.ttl,
    zone.soaBytes,
    zone.soaOffset,
    1,
    origin,
    zone.origin.length,
  );
  return Rcode.NOERROR;
}

function refuse(query: QueryState, ede: number): number {
  query.ede = ede;
  return Rcode.REFUSED;
}

function isSameKey(one: TsigKey, other: TsigKey): boolean {
  return (
    one.algorithm === other.algorithm &&
    Buffer.compare(one.name, other.name) === 0 &&
    Buffer.compare(one.secret, other.secret) === 0
  );
}

/** The serial that the client has, of an IXFR (RFC 1995 §3); undefined where it does not say. */
function serialIn({ input, inputView, message }: QueryState): number | undefined {
  if (inputView.getUint16(message.start + AUTHORITY_COUNT_AT) !== 1) return undefined;
  let at = message.questionEnd;
  // Of a well-formed name, which may end in a pointer.
  while ((input[at] ?? 0) > 0 && (input[at] ?? 0) < POINTER) at += (input[at] ?? 0) + 1;
  at += (input[at] ?? 0) >= POINTER ? 2 : 1;
  const length = inputView.getUint16(at + 8);
  const isSoa = inputView.getUint16(at) === RRType.SOA && length >= SERIAL_BYTES_BEFORE_END + 2;
  return isSoa ? inputView.getUint32(at + 10 + length - SERIAL_BYTES_BEFORE_END) : undefined;
}

/** RFC 1995 §4: the newest SOA, then of each change the old SOA, what goes, the new SOA, what comes; and the newest SOA again. */
function* changedRecords(
  soa: WalkedRecord,
  changes: readonly ZoneChange[],
): Generator<WalkedRecord, undefined> {
  yield soa;
  if (changes.length === 0) return undefined;
  for (const { before, removed, after, added } of changes) {
    yield before;
    yield* removed;
    yield after;
    yield* added;
  }
  yield soa;
  return undefined;
}

/** RFC 5936 §2.2: the SOA comes first and last. */
function* wholeZone(
  soa: WalkedRecord,
  contents: Iterable<WalkedRecord>,
): Generator<WalkedRecord, undefined> {
  yield soa;
  yield* contents;
  yield soa;
  return undefined;
}
