// SPDX-License-Identifier: Apache-2.0

// NOTIFY as it comes in for secondary zones (RFC 1996): from a primary, by its address or key, that a zone has changed. It is acknowledged
// here and passed on to control, which asks the primary; nothing that the message says of the zone counts. Who is not listed is told
// REFUSED. All of it is bounded by the second, and a zone is passed on once in that time.

import {
  Opcode,
  RRClass,
  RRType,
  Rcode,
  decodeMessage,
  encodeMessage,
  formatIpv4,
  formatIpv6,
  formatName,
  noFlags,
  readTsig,
  type Message,
  type TsigKey,
} from "@meridian/dns";
import {
  containsPrefix,
  parsePrefix,
  readSecondarySettings,
  wordsOf,
  type AddressPrefix,
  type LoadedZone,
} from "@meridian/snapshot";
import { FixedCounter } from "../counter-layout.ts";
import type { QueryState } from "../query-state.ts";
import { checkSignature } from "./check-signature.ts";
import type { TransferNotices } from "./transfer-notices.ts";

/** Messages of one second that are looked at; there may be a thousand zones with one primary. */
const LOOKED_AT_MAX = 1000;
const HEADER_BYTES = 12;
const QUESTION_FIXED_BYTES = 4;
const BITS_A_BYTE = 8;

/** A primary says that this zone has changed. */
export interface ZoneNotified {
  readonly kind: "zone-notified";
  /** Lower case, without the last dot. */
  readonly zone: string;
}

export class NotifyReceiver {
  readonly #report: (notified: ZoneNotified) => void;
  readonly #notices: TransferNotices;
  /** Passed on in this second. */
  readonly #passed = new Set<string>();
  #second = 0;
  #count = 0;

  readonly #countOne: (counter: number) => void;

  constructor(
    report: (notified: ZoneNotified) => void,
    notices: TransferNotices,
    count: (counter: number) => void,
  ) {
    this.#report = report;
    this.#countOne = count;
    this.#notices = notices;
  }

  /** The answer to a message; undefined for none. `keysOf` are those of a zone. */
  answer(
    query: QueryState,
    packet: Uint8Array,
    nowSeconds: number,
    keysOf: (zone: LoadedZone) => readonly TsigKey[],
  ): Uint8Array | undefined {
    if (!this.#mayLook(nowSeconds)) return undefined;
    const message = decodeMessage(packet);
    if ("error" in message) return failed(packet, Rcode.FORMERR);
    const [question] = message.question;
    if (message.question.length !== 1 || question === undefined || question.type !== RRType.SOA)
      return failed(packet, Rcode.FORMERR);
    const { name } = query.served;
    name.set(question.name, 0, question.name.length, 0);
    const zone = question.class === RRClass.IN ? query.zones.find(name, 0) : undefined;
    if (zone?.isSecondary !== true || zone.originLabels !== name.labelCount)
      return answered(message, Rcode.NOTAUTH);
    const text = formatName(zone.origin);
    const client = clientOf(query);
    const isSigned = readTsig(packet) !== undefined;
    const checked = isSigned
      ? checkSignature(packet, questionEnd(question.name), keysOf(zone), nowSeconds)
      : undefined;
    if (checked?.kind === "malformed") return failed(packet, Rcode.FORMERR);
    if (checked?.kind === "refused") {
      this.#notices.tell(
        nowSeconds,
        text,
        client.text,
        `its NOTIFY is signed wrongly: ${checked.reason}`,
      );
      return checked.answer;
    }
    const key = checked?.signer.key;
    const isListed = isFrom(zone, client.prefix, key);
    if (isListed) {
      this.#countOne(FixedCounter.notifyReceived);
      this.#pass(text);
    } else this.#notices.tell(nowSeconds, text, client.text, "its NOTIFY is refused");
    const answer = answered(message, isListed ? Rcode.NOERROR : Rcode.REFUSED);
    return checked?.signer.session.sign(answer, nowSeconds) ?? answer;
  }

  #mayLook(nowSeconds: number): boolean {
    if (nowSeconds !== this.#second) {
      this.#second = nowSeconds;
      this.#count = 0;
      this.#passed.clear();
    }
    this.#count += 1;
    return this.#count <= LOOKED_AT_MAX;
  }

  #pass(origin: string): void {
    const lower = origin.toLowerCase();
    const zone = lower === "." ? lower : lower.slice(0, -1);
    if (this.#passed.has(zone)) return;
    this.#passed.add(zone);
    this.#report({ kind: "zone-notified", zone });
  }
}

function clientOf({ source, sourceStart, family }: QueryState): {
  readonly prefix: AddressPrefix;
  readonly text: string;
} {
  const bytes = source.slice(sourceStart, sourceStart + (family === 4 ? 4 : 16));
  return {
    prefix: {
      family: family === 4 ? 4 : 6,
      length: bytes.length * BITS_A_BYTE,
      words: wordsOf(bytes),
    },
    text: family === 4 ? formatIpv4(bytes) : formatIpv6(bytes),
  };
}

/** Whether who signed, or sent, is one whose NOTIFY is heard. */
function isFrom(zone: LoadedZone, client: AddressPrefix, key: TsigKey | undefined): boolean {
  const signer = key === undefined ? undefined : plain(formatName(key.name));
  return (readSecondarySettings(zone.section)?.notify ?? []).some(
    ({ clients, key: wanted }) =>
      (wanted === undefined || plain(wanted) === signer) &&
      clients.some((text) => {
        const prefix = parsePrefix(text);
        return prefix !== undefined && containsPrefix(prefix, client);
      }),
  );
}

function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

/** The question again (RFC 1996 §3.7), authoritative where it is taken. */
function answered({ id, question }: Message, rcode: number): Uint8Array {
  return encodeMessage({
    ...{ id, opcode: Opcode.NOTIFY, rcode, question },
    flags: { ...noFlags, qr: true, aa: rcode === Rcode.NOERROR },
    ...{ answer: [], authority: [], additional: [] },
  });
}

/** For what cannot be understood: the header alone. */
function failed(packet: Uint8Array, rcode: number): Uint8Array {
  const answer = packet.slice(0, HEADER_BYTES);
  answer[2] = 0x80 | (Opcode.NOTIFY << 3);
  answer[3] = rcode;
  return answer.fill(0, 4);
}

function questionEnd(name: Uint8Array): number {
  return HEADER_BYTES + name.length + QUESTION_FIXED_BYTES;
}
