// SPDX-License-Identifier: Apache-2.0

// Dynamic updates (RFC 2136) as a worker takes them: it looks at their form, their signature and their rate, and hands what is left to the
// main thread, which asks control. The answer is sent when it comes; a worker waits for nothing.
//
//   packet ─► form ─► zone takes updates ─► signature ─► rate ─► main thread ─► control
//                                                                                  │
//   client ◄─ signed answer ◄──────────────── answer() ◄───────────────────────────┘

import {
  DnsLimits,
  ExtendedError,
  Opcode,
  RRType,
  Rcode,
  decodeMessage,
  edeOption,
  encodeMessage,
  formatIpv4,
  formatIpv6,
  isUpdateRefusal,
  noFlags,
  readTsig,
  readUpdate,
  tsigBytes,
  type Message,
  type TsigKey,
} from "@meridian/dns";
import type { UpdateAnswer } from "@meridian/snapshot";
import type { LaterAnswer } from "../packet-handler.ts";
import type { QueryState } from "../query-state.ts";
import { chooseView } from "../query-view.ts";
import { checkSignature } from "../transfers/check-signature.ts";
import type { TransferSigner } from "../transfers/transfer-messages.ts";
import type { Transfers } from "../transfers/transfers.ts";

/** Updates of a worker that control has not answered; more are told to come again. */
const WAITING_MAX = 64;
/** Updates a second of a worker, and as many at once. */
const RATE_MAX = 200;
const HEADER_BYTES = 12;
const UDP_BYTES_MAX = 1232;

/** What a worker asks the main thread to hand on. */
export interface UpdateNotice {
  readonly kind: "update";
  /** Of this worker. */
  readonly id: number;
  /** As it came, with its signature. */
  readonly packet: Uint8Array;
  readonly client: string;
  /** Name of the view that the zone belongs to. */
  readonly view: string | undefined;
}

/** What `Edge.tell` brings a worker. */
export interface UpdatedMessage {
  readonly kind: "updated";
  readonly id: number;
  readonly answer: UpdateAnswer;
}

interface Waiting {
  readonly message: Message;
  readonly signer: TransferSigner;
  send: ((message: Uint8Array) => void) | undefined;
}

export class UpdateRequests {
  readonly #transfers: Transfers;
  readonly #post: (notice: UpdateNotice) => void;
  readonly #nowMs: () => number;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #later: LaterAnswer | undefined;
  #tokens = RATE_MAX;
  #tokensAtMs = 0;

  constructor(
    transfers: Transfers,
    post: (notice: UpdateNotice) => void,
    nowMs: () => number = Date.now,
  ) {
    this.#transfers = transfers;
    this.#post = post;
    this.#nowMs = nowMs;
  }

  /**
   * The answer to an update; undefined where it comes later (`takeLater()`), or never. `viewKey` is a view's where the packet names it: by
   * that its zones were found, and nobody is told which these are before the signature is found right.
   */
  take(query: QueryState, packet: Uint8Array, viewKey?: TsigKey): Uint8Array | undefined {
    const message = decodeMessage(packet);
    if ("error" in message) return headerOnly(packet, Rcode.FORMERR);
    const request = readUpdate(message);
    if (isUpdateRefusal(request)) return answerTo(message, { ...plain, rcode: request.rcode });
    const { served, isTcp } = query;
    const nameEnd = served.name.set(packet, HEADER_BYTES, packet.length, HEADER_BYTES);
    const nowSeconds = (): number => Math.floor(this.#nowMs() / 1000);
    if (viewKey !== undefined && nameEnd >= 0) {
      const shown = checkSignature(packet, nameEnd + 4, [viewKey], nowSeconds());
      if (shown.kind === "malformed") return headerOnly(packet, Rcode.FORMERR);
      if (shown.kind === "refused" && !this.#isSignedByZone(query, packet, nameEnd + 4)) {
        this.#transfers.refused(query, shown.reason);
        return shown.answer;
      }
    }
    const zone = query.zones.find(served.name, 0);
    if (nameEnd < 0 || zone === undefined || zone.originLabels !== served.name.labelCount)
      return answerTo(message, refuse(Rcode.NOTAUTH, ExtendedError.NOT_AUTHORITATIVE, ""));
    if (!this.#transfers.takesUpdates(zone))
      return answerTo(message, refuse(Rcode.REFUSED, ExtendedError.PROHIBITED, NO_UPDATES));
    if (readTsig(packet) === undefined)
      return answerTo(message, refuse(Rcode.REFUSED, ExtendedError.PROHIBITED, UNSIGNED));
    const keys = this.#transfers.keysOf(zone);
    const checked = checkSignature(packet, nameEnd + 4, keys, nowSeconds());
    if (checked.kind === "malformed") return headerOnly(packet, Rcode.FORMERR);
    if (checked.kind === "refused") {
      this.#transfers.refused(query, `its update is signed wrongly: ${checked.reason}`);
      return checked.answer;
    }
    const waiting = { message, signer: { ...checked.signer, nowSeconds }, send: undefined };
    if (this.#waiting.size >= WAITING_MAX || !this.#mayPass())
      return signed(waiting, refuse(Rcode.SERVFAIL, ExtendedError.NOT_READY, TOO_MANY), isTcp);
    this.#handOn(query, packet, waiting, zone.view);
    return undefined;
  }

  /**
   * Whether a key that is called as a view's is one of the zone that its client sees by where it is: the two may have been named alike by
   * people who know nothing of each other. Shows the query the zones of that client.
   */
  #isSignedByZone(query: QueryState, packet: Uint8Array, questionEnd: number): boolean {
    chooseView(query, -1);
    const { served } = query;
    const zone = query.zones.find(served.name, 0);
    if (zone === undefined || zone.originLabels !== served.name.labelCount) return false;
    const nowSeconds = Math.floor(this.#nowMs() / 1000);
    const keys = this.#transfers.keysOf(zone);
    return checkSignature(packet, questionEnd, keys, nowSeconds).kind === "good";
  }

  /** How the answer to what `take()` was given last is sent, once. */
  takeLater(): LaterAnswer | undefined {
    const later = this.#later;
    this.#later = undefined;
    return later;
  }

  /** Control has answered. */
  answer({ id, answer }: UpdatedMessage): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    waiting.send?.(signed(waiting, answer, false));
  }

  #handOn(query: QueryState, packet: Uint8Array, waiting: Waiting, view: string | undefined): void {
    const { source, sourceStart, family } = query;
    const id = (this.#lastId += 1);
    this.#waiting.set(id, waiting);
    this.#later = {
      whenAnswered: (send) => {
        waiting.send = send;
      },
    };
    const bytes = source.slice(sourceStart, sourceStart + (family === 4 ? 4 : 16));
    const client = family === 4 ? formatIpv4(bytes) : formatIpv6(bytes);
    this.#post({ kind: "update", id, packet, client, view });
  }

  #mayPass(): boolean {
    const nowMs = this.#nowMs();
    const gained = (Math.max(0, nowMs - this.#tokensAtMs) / 1000) * RATE_MAX;
    this.#tokens = Math.min(RATE_MAX, this.#tokens + gained);
    this.#tokensAtMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

const NO_UPDATES = "the zone takes no dynamic updates";
const UNSIGNED = "an update has to be signed";
const TOO_MANY = "too many updates wait: send it again";

const plain: UpdateAnswer = { rcode: Rcode.NOERROR, ede: ExtendedError.OTHER, text: "" };

function refuse(rcode: number, ede: number, text: string): UpdateAnswer {
  return { rcode, ede, text };
}

function signed({ message, signer }: Waiting, answer: UpdateAnswer, isTcp: boolean): Uint8Array {
  const bytes = answerTo(message, answer);
  // Cut to what a client without EDNS takes; there is no text then anyway.
  const isTooLong = !isTcp && bytes.length + tsigBytes(signer.key) > UDP_BYTES_MAX;
  const sent = isTooLong ? answerTo(message, { ...answer, text: "" }) : bytes;
  return signer.session.sign(sent, signer.nowSeconds());
}

/** The zone again, the rcode, and to who knows EDNS the reason (RFC 2136 §3.8, RFC 8914). */
function answerTo({ id, question, edns }: Message, answer: UpdateAnswer): Uint8Array {
  const { rcode, ede, text } = answer;
  const hasReason = rcode !== Rcode.NOERROR && (ede !== ExtendedError.OTHER || text !== "");
  const options = hasReason ? [edeOption(ede, text)] : [];
  const [zone] = question;
  return encodeMessage({
    ...{ id, opcode: Opcode.UPDATE, rcode, flags: { ...noFlags, qr: true } },
    question: zone?.type === RRType.SOA && question.length === 1 ? question : [],
    ...{ answer: [], authority: [], additional: [] },
    ...(edns === undefined
      ? {}
      : { edns: { udpSize: UDP_BYTES_MAX, version: 0, do: false, extendedRcode: 0, options } }),
  });
}

function headerOnly(packet: Uint8Array, rcode: number): Uint8Array {
  const answer = new Uint8Array(DnsLimits.headerBytes);
  answer.set(packet.subarray(0, 2));
  answer[2] = 0x80 | (Opcode.UPDATE << 3);
  answer[3] = rcode;
  return answer;
}
