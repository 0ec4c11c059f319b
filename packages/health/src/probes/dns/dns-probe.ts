// SPDX-License-Identifier: Apache-2.0

// One question over UDP from a port of its own; an answer counts only when it comes from the server asked, with the id and the question
// sent (RFC 5452 section 9.1).

import type { Random } from "@meridian/core";
import {
  decodeMessage,
  encodeMessage,
  equalNames,
  formatRecord,
  fullRcode,
  makeQuery,
  parseName,
  rcodeToText,
  typeFromText,
  type Message,
} from "@meridian/dns";
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import type { DnsCheck, ProbeTarget } from "../../check.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import { socketReason } from "../socket-reason.ts";

/** Asks a DNS server one question. */
export class DnsProbe implements Probe {
  readonly #target: ProbeTarget;
  readonly #check: DnsCheck;
  readonly #random: Random;
  readonly #name: Uint8Array | undefined;
  readonly #type: number | undefined;
  #socket: Socket | undefined;

  constructor(target: ProbeTarget, check: DnsCheck, random: Random) {
    const name = parseName(check.queryName);
    this.#target = target;
    this.#check = check;
    this.#random = random;
    this.#name = name instanceof Uint8Array ? name : undefined;
    this.#type = typeFromText(check.queryType);
  }

  run(done: (result: ProbeResult) => void): void {
    const name = this.#name;
    const type = this.#type;
    if (name === undefined || type === undefined) {
      done({ outcome: "fail", reason: "query name or type is not valid" });
      return;
    }
    const { address, port } = this.#target;
    const query = makeQuery(name, type, { id: this.#random.next32() & 0xffff });
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    this.#socket = socket;
    const finish = (result: ProbeResult): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      socket.close();
      done(result);
    };
    socket.on("error", (error) => {
      finish({ outcome: "fail", reason: socketReason(error) });
    });
    socket.on("message", (bytes) => {
      const answer = decodeMessage(bytes);
      if (!("error" in answer) && isAnswerTo(query, answer)) finish(this.#judge(answer));
    });
    // A connected socket takes datagrams from the server only, and hears that its port is closed.
    socket.connect(port, address, () => {
      if (this.#socket === socket) socket.send(encodeMessage(query));
    });
  }

  cancel(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  close(): void {
    this.cancel();
  }

  #judge(answer: Message): ProbeResult {
    const rcode = rcodeToText(fullRcode(answer));
    if (!this.#check.rcodes.includes(rcode)) {
      const wanted = this.#check.rcodes.join(",");
      return { outcome: "fail", reason: `rcode ${rcode}, wanted ${wanted}` };
    }
    const wanted = this.#check.answerContains;
    const found =
      wanted === undefined || answer.answer.some((record) => formatRecord(record).includes(wanted));
    if (!found) return { outcome: "fail", reason: `rcode ${rcode}, answer lacks the wanted text` };
    return { outcome: "pass", reason: `rcode ${rcode}` };
  }
}

function isAnswerTo(query: Message, answer: Message): boolean {
  const asked = query.question[0];
  const echoed = answer.question[0];
  if (!answer.flags.qr || answer.id !== query.id || asked === undefined) return false;
  // Servers that refuse or cannot parse may leave the question out.
  if (echoed === undefined) return answer.rcode !== 0;
  return echoed.type === asked.type && equalNames(echoed.name, asked.name);
}
