// SPDX-License-Identifier: Apache-2.0

// Tells secondaries that a zone has another serial (NOTIFY, RFC 1996), from the thread that would send them the zone: whoever is told
// finds the new serial here. Each edge tells; a secondary asks once however many do. What is sent over UDP is sent again, later and later,
// until it is answered or given up: then the secondary finds out when it asks by itself. A newer serial takes the place of one that
// was not answered.
//
//   follow() ─► waiting, by secondary ─► at most ACTIVE_MAX exchanges with each ─► answered: told; else a line in the log

import { randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import {
  Opcode,
  RRClass,
  RRType,
  Rcode,
  TsigSession,
  decodeMessage,
  encodeMessage,
  equalNames,
  formatName,
  noFlags,
  rcodeToText,
  readTsig,
  type TsigKey,
} from "@meridian/dns";
import type { WalkedRecord } from "@meridian/snapshot";
import { FixedCounter } from "../counter-layout.ts";
import type { TransferNotices } from "./transfer-notices.ts";

/** A secondary to tell of a zone. */
export interface NotifyTarget {
  readonly address: string;
  readonly port: number;
  /** Signs what it is sent. */
  readonly key?: TsigKey;
}

/** A zone as it is served now, and who is to know. */
export interface NotifiedZone {
  readonly origin: Uint8Array;
  /** `zoneId`. */
  readonly id: string;
  readonly soa: WalkedRecord;
  readonly serial: number;
  readonly targets: readonly NotifyTarget[];
}

/** At one time, to one secondary. */
const ACTIVE_MAX = 8;
/** Sent that often: for 1.5, 3, 6, 12 and 24 seconds. */
const SENDS_MAX = 5;
const FIRST_WAIT_MS = 1500;
/** A change is told of after this, when other threads that answer have it as well, and together with what follows at once. */
const SETTLE_MS = 100;

interface Exchange {
  readonly zone: NotifiedZone;
  readonly target: NotifyTarget;
  readonly id: number;
  socket: Socket | undefined;
  timer: NodeJS.Timeout | undefined;
  sends: number;
}

interface Secondary {
  readonly active: Map<string, Exchange>;
  /** By zone: the newest serial alone. */
  readonly waiting: Map<string, Waiting>;
}

interface Waiting {
  readonly zone: NotifiedZone;
  readonly target: NotifyTarget;
}

export class Notifier {
  readonly #notices: TransferNotices;
  readonly #firstWaitMs: number;
  readonly #count: (counter: number) => void;
  /** Serials by zone and secondary: told, or given up. */
  readonly #known = new Map<string, number>();
  readonly #secondaries = new Map<string, Secondary>();
  #settling: NodeJS.Timeout | undefined;

  /** `count` is told which `FixedCounter` goes up. */
  constructor(
    notices: TransferNotices,
    count: (counter: number) => void = () => undefined,
    firstWaitMs: number = FIRST_WAIT_MS,
  ) {
    this.#notices = notices;
    this.#count = count;
    this.#firstWaitMs = firstWaitMs;
  }

  /** From now on these zones are served; those that are not among them are forgotten. */
  follow(zones: Iterable<NotifiedZone>): void {
    const known = new Set<string>();
    for (const zone of zones)
      for (const target of zone.targets) {
        const key = keyOf(zone, target);
        known.add(key);
        if (this.#known.get(key) === zone.serial) continue;
        this.#known.set(key, zone.serial);
        this.#add(key, zone, target);
      }
    for (const key of this.#known.keys()) if (!known.has(key)) this.#forget(key);
  }

  #add(key: string, zone: NotifiedZone, target: NotifyTarget): void {
    const name = secondaryOf(target);
    const secondary: Secondary = this.#secondaries.get(name) ?? {
      active: new Map<string, Exchange>(),
      waiting: new Map<string, Waiting>(),
    };
    this.#secondaries.set(name, secondary);
    const active = secondary.active.get(key);
    if (active !== undefined) this.#end(secondary, key, active);
    secondary.waiting.set(key, { zone, target });
    if (this.#settling === undefined)
      this.#settling = setTimeout(() => this.#start(), SETTLE_MS).unref();
  }

  #start(): void {
    this.#settling = undefined;
    for (const [name, secondary] of this.#secondaries) this.#startNext(name, secondary);
  }

  #forget(key: string): void {
    this.#known.delete(key);
    for (const [name, secondary] of this.#secondaries) {
      secondary.waiting.delete(key);
      const active = secondary.active.get(key);
      if (active !== undefined) this.#end(secondary, key, active);
      this.#startNext(name, secondary);
    }
  }

  #startNext(name: string, secondary: Secondary): void {
    const { active, waiting } = secondary;
    for (const [key, { zone, target }] of waiting) {
      if (active.size >= ACTIVE_MAX) return;
      waiting.delete(key);
      const id = randomInt(0x1_0000);
      const exchange = { zone, target, id, socket: undefined, timer: undefined, sends: 0 };
      active.set(key, exchange);
      this.#send(key, exchange);
    }
    if (active.size === 0) this.#secondaries.delete(name);
  }

  #send(key: string, exchange: Exchange): void {
    const { target } = exchange;
    exchange.socket?.close();
    const message = messageOf(exchange);
    const session = target.key === undefined ? undefined : new TsigSession(target.key);
    const bytes = session?.sign(message, nowSeconds()) ?? message;
    const socket = createSocket(isIPv6(target.address) ? "udp6" : "udp4");
    exchange.socket = socket;
    exchange.sends += 1;
    this.#count(FixedCounter.notifySent);
    // A refusal by the host is no answer: its server may be about to start.
    socket.on("error", () => undefined);
    // Connected: nobody else is heard.
    socket.on("connect", () => socket.send(bytes));
    socket.on("message", (answer) => {
      const rcode = rcodeOf(answer, exchange, session);
      if (rcode === undefined) return;
      const { serial } = exchange.zone;
      this.#finish(
        key,
        exchange,
        rcode === Rcode.NOERROR,
        rcode === Rcode.NOERROR
          ? `was told of serial ${serial}`
          : `refused to be told of serial ${serial}: ${rcodeToText(rcode)}`,
      );
    });
    socket.connect(target.port, target.address);
    socket.unref();
    exchange.timer = setTimeout(
      () => this.#resend(key, exchange),
      this.#firstWaitMs * 2 ** (exchange.sends - 1),
    );
    exchange.timer.unref();
  }

  #resend(key: string, exchange: Exchange): void {
    if (exchange.sends < SENDS_MAX) this.#send(key, exchange);
    else
      this.#finish(
        key,
        exchange,
        false,
        `does not answer, and was not told of ${exchange.zone.serial}`,
      );
  }

  #finish(key: string, exchange: Exchange, isTold: boolean, outcome: string): void {
    const name = secondaryOf(exchange.target);
    const secondary = this.#secondaries.get(name);
    if (secondary?.active.get(key) !== exchange) return;
    this.#end(secondary, key, exchange);
    this.#count(isTold ? FixedCounter.notifyAcknowledged : FixedCounter.notifyFailed);
    this.#notices.tell(nowSeconds(), formatName(exchange.zone.origin), name, outcome);
    this.#startNext(name, secondary);
  }

  #end({ active }: Secondary, key: string, exchange: Exchange): void {
    active.delete(key);
    clearTimeout(exchange.timer);
    exchange.socket?.close();
    exchange.socket = undefined;
  }
}

/** RFC 1996 §3.7: the SOA in the answer is a hint, which some use to see that there is nothing new. */
function messageOf({ zone, id }: Exchange): Uint8Array {
  const { origin, soa } = zone;
  return encodeMessage({
    ...{ id, opcode: Opcode.NOTIFY, rcode: Rcode.NOERROR, flags: { ...noFlags, aa: true } },
    question: [{ name: origin, type: RRType.SOA, class: RRClass.IN }],
    answer: [{ ...soa, class: RRClass.IN }],
    authority: [],
    additional: [],
  });
}

/** The rcode of what answers; undefined for all else. */
function rcodeOf(
  bytes: Uint8Array,
  { id, zone }: Exchange,
  session: TsigSession | undefined,
): number | undefined {
  const message = decodeMessage(bytes);
  if ("error" in message) return undefined;
  const { flags, opcode, rcode, question } = message;
  if (message.id !== id || !flags.qr || opcode !== Opcode.NOTIFY) return undefined;
  const [asked] = question;
  if (asked !== undefined && !equalNames(asked.name, zone.origin)) return undefined;
  // Who knows no key of that name cannot sign that it refuses.
  if (session === undefined || rcode !== Rcode.NOERROR) return rcode;
  const record = readTsig(bytes);
  const isSigned = record !== undefined && record !== "malformed";
  return isSigned && session.verify(bytes, record, nowSeconds()) === Rcode.NOERROR
    ? rcode
    : undefined;
}

function keyOf({ id }: NotifiedZone, target: NotifyTarget): string {
  return `${secondaryOf(target)} ${id}`;
}

function secondaryOf({ address, port }: NotifyTarget): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
