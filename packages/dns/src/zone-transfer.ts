// SPDX-License-Identifier: Apache-2.0
//
// The answer to AXFR or IXFR as it comes in, message by message (RFC 5936 §2.2, RFC 1995 §4):
//
//   the zone      SOA n, every other record, SOA n
//   its changes   SOA n, { SOA a, what goes, SOA b, what comes } …, SOA n      from ours, each from where the last one led, up to n
//   neither       SOA n, where n is not newer than ours
//
// Which of them it is shows with the second record. Whatever does not fit is an error, after which nothing of it is of use; signatures
// and the bounds of bytes and time are the caller's. Records outside the zone are left out, as other servers do.

import { RRClass, RRType, Rcode, isMetaType, rcodeToText } from "./constants.ts";
import { fullRcode, type Message, type ResourceRecord } from "./message.ts";
import { equalNames, isSubdomain } from "./name.ts";
import { isRdata } from "./rdata.ts";
import type { ZoneRecord } from "./zone-record.ts";

/** Bytes from an SOA's serial to the end of its rdata (RFC 1035 §3.3.13). */
const SERIAL_BYTES_BEFORE_END = 20;
const OPCODE_QUERY = 0;
const TTL_MAX = 0x7fff_ffff;

/** What a zone's owner asks of those who keep copies; seconds. */
export interface SoaTimers {
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
}

/** One step from a serial to the next. */
export interface ZoneDelta {
  /** The SOA before, and after. */
  readonly before: ZoneRecord;
  readonly removed: readonly ZoneRecord[];
  readonly after: ZoneRecord;
  readonly added: readonly ZoneRecord[];
}

/** What a transfer brought. */
export type TransferOutcome =
  | { readonly kind: "current"; readonly serial: number }
  /** The SOA first; without the closing one. */
  | { readonly kind: "zone"; readonly records: readonly ZoneRecord[] }
  | { readonly kind: "changes"; readonly deltas: readonly ZoneDelta[] };

export interface TransferQuestion {
  readonly id: number;
  readonly origin: Uint8Array;
  /** The serial of the copy that is there; asks for changes since then. */
  readonly since?: number;
}

/** Whether serial `a` is greater than `b` (RFC 1982 §3.2, 32 bits). */
export function isSerialAfter(a: number, b: number): boolean {
  const distance = (a - b) >>> 0;
  return distance > 0 && distance < 0x8000_0000;
}

/** Numbers of an SOA's rdata that `isRdata()` has found good. */
export function readSoa(rdata: Uint8Array): SoaTimers {
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  const word = (index: number): number =>
    view.getUint32(rdata.length - SERIAL_BYTES_BEFORE_END + index * 4);
  return { serial: word(0), refresh: word(1), retry: word(2), expire: word(3) };
}

/** What comes next in a sequence of changes: what goes up to the next SOA, or what comes. */
type Side = "removed" | "added";

interface OpenDelta {
  readonly before: ZoneRecord;
  readonly removed: ZoneRecord[];
  after?: ZoneRecord;
  readonly added: ZoneRecord[];
}

export class TransferReader {
  readonly #question: TransferQuestion;
  #messages = 0;
  #first: ZoneRecord | undefined;
  #serial = 0;
  /** Known with the second record. */
  #form: "zone" | "changes" | undefined;
  readonly #records: ZoneRecord[] = [];
  readonly #deltas: OpenDelta[] = [];
  #side: Side = "added";
  #isClosed = false;
  #error: string | undefined;

  constructor(question: TransferQuestion) {
    this.#question = question;
  }

  /** Takes the next message; true while more have to come. Why the transfer is of no use is `error` then. */
  take(message: Message): boolean {
    if (this.isDone) this.#fail("more comes after its end");
    this.#error ??= this.#faultOf(message);
    this.#messages += 1;
    for (const record of message.answer) {
      if (this.#error !== undefined) return false;
      this.#take(record);
    }
    if (this.#error !== undefined) return false;
    return !this.isDone;
  }

  /** Why the transfer is of no use, as the end of a sentence. */
  get error(): string | undefined {
    return this.#error;
  }

  get isDone(): boolean {
    return this.#isClosed || this.#isCurrent();
  }

  /** What came; undefined before it is done, or where it is of no use. */
  get outcome(): TransferOutcome | undefined {
    if (this.#error !== undefined || !this.isDone) return undefined;
    if (this.#form === undefined) return { kind: "current", serial: this.#serial };
    if (this.#form === "zone") return { kind: "zone", records: this.#records };
    const deltas = this.#deltas.flatMap(({ before, removed, after, added }) =>
      after === undefined ? [] : [{ before, removed, after, added }],
    );
    return { kind: "changes", deltas };
  }

  /** RFC 1995 §4: a single SOA, which is not newer than ours. */
  #isCurrent(): boolean {
    const { since } = this.#question;
    return (
      since !== undefined &&
      this.#first !== undefined &&
      this.#form === undefined &&
      !isSerialAfter(this.#serial, since)
    );
  }

  #faultOf(message: Message): string | undefined {
    const { id, origin, since } = this.#question;
    const { flags, opcode, question } = message;
    if (message.id !== id || !flags.qr || opcode !== OPCODE_QUERY)
      return "it answers something else";
    const rcode = fullRcode(message);
    if (rcode !== Rcode.NOERROR) return `it answers ${rcodeToText(rcode)}`;
    if (flags.tc) return "a message is truncated";
    const [asked] = question;
    const type = since === undefined ? RRType.AXFR : RRType.IXFR;
    const isAsked = asked?.type === type && equalNames(asked.name, origin);
    // Later messages need not say it again (RFC 5936 §2.2.1).
    if (question.length > 1 || (asked === undefined ? this.#messages === 0 : !isAsked))
      return "it answers another question";
    return message.answer.length === 0 ? "a message has no record" : undefined;
  }

  #take({ owner, type, class: rrClass, ttl, rdata }: ResourceRecord): void {
    const { origin } = this.#question;
    if (this.#isClosed) return this.#fail("records come after its end");
    if (rrClass !== RRClass.IN || isMetaType(type) || !isRdata(type, rdata))
      return this.#fail(`a record of type ${type} is none that a zone can hold`);
    // RFC 2181 §8: what has the upper bit set counts as zero.
    const record = { owner, type, ttl: ttl > TTL_MAX ? 0 : ttl, rdata };
    if (type === RRType.SOA) {
      if (!equalNames(owner, origin)) return this.#fail("an SOA is not at its apex");
      return this.#takeSoa(record);
    }
    if (this.#first === undefined) return this.#fail("its first record is no SOA");
    if (this.#isCurrent()) return this.#fail("more comes after an SOA that is not newer");
    this.#form ??= "zone";
    if (!isSubdomain(owner, origin)) return undefined;
    if (this.#form === "zone") this.#records.push(record);
    else this.#deltas.at(-1)?.[this.#side].push(record);
    return undefined;
  }

  #takeSoa(soa: ZoneRecord): void {
    const { since } = this.#question;
    const { serial } = readSoa(soa.rdata);
    if (this.#first === undefined) {
      this.#first = soa;
      this.#serial = serial;
      this.#records.push(soa);
      return undefined;
    }
    // A zone of an SOA alone, which no zone is; or changes, if some were asked for.
    if (this.#form === undefined) {
      if (since === undefined || serial !== since)
        return this.#fail(`changes begin at serial ${serial}, expected ${since ?? "a whole zone"}`);
      this.#form = "changes";
      return this.#open(soa);
    }
    if (this.#form === "zone") return this.#close(serial);
    const delta = this.#deltas.at(-1);
    if (this.#side === "removed" && delta !== undefined) {
      if (!isSerialAfter(serial, readSoa(delta.before.rdata).serial))
        return this.#fail(`a change leads back to serial ${serial}`);
      if (isSerialAfter(serial, this.#serial))
        return this.#fail(`a change leads to serial ${serial}, beyond ${this.#serial}`);
      delta.after = soa;
      this.#side = "added";
      return undefined;
    }
    const reached = delta?.after === undefined ? since : readSoa(delta.after.rdata).serial;
    if (serial !== reached)
      return this.#fail(`changes go on at serial ${serial}, expected ${reached}`);
    return serial === this.#serial ? this.#close(serial) : this.#open(soa);
  }

  #open(before: ZoneRecord): void {
    this.#deltas.push({ before, removed: [], added: [] });
    this.#side = "removed";
  }

  #close(serial: number): void {
    if (serial !== this.#serial)
      return this.#fail(`it ends with serial ${serial}, expected ${this.#serial}`);
    this.#isClosed = true;
    return undefined;
  }

  #fail(reason: string): void {
    this.#error ??= reason;
  }
}
