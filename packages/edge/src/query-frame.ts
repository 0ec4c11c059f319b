// SPDX-License-Identifier: Apache-2.0

// What is around the records of a response: header and question before them, the OPT record behind them; and responses that are no more
// than a header, or were made elsewhere.

import { Rcode } from "@meridian/dns";
import type { WorkerCounters } from "./counters.ts";
import { UDP_BYTES_MAX, type OptWriter } from "./opt-writer.ts";
import { HEADER_BYTES } from "./query-message.ts";
import type { QueryState } from "./query-state.ts";

const UDP_BYTES_WITHOUT_EDNS = 512;

export class QueryFrame {
  readonly #query: QueryState;
  readonly #opt: OptWriter;
  readonly #counters: WorkerCounters;

  constructor(query: QueryState, opt: OptWriter, counters: WorkerCounters) {
    this.#query = query;
    this.#opt = opt;
    this.#counters = counters;
  }

  /** The size that the response may have: 512 without EDNS, else what the client offers up to 1232 (design §9). */
  bytesMax(): number {
    const { outputMax, isTcp, message } = this.#query;
    const { edns } = message;
    if (isTcp) return Math.min(outputMax, 0xffff);
    const offered = edns.isPresent ? Math.min(edns.udpSize, UDP_BYTES_MAX) : UDP_BYTES_WITHOUT_EDNS;
    return Math.min(outputMax, offered);
  }

  /** Copies header and question, and keeps room for the OPT record. False where not even they fit. */
  begin(bytesMax: number): boolean {
    const { message, response, input, inputView, output, outputStart } = this.#query;
    const { edns, start, questionEnd } = message;
    const bytes = questionEnd - start;
    const reserve = edns.isPresent ? this.#opt.bytesMax() : 0;
    if (bytes + reserve > bytesMax) return false;
    response.begin(output, outputStart, outputStart + bytes, outputStart + bytesMax - reserve);
    const { outputView } = response;
    let index = 0;
    // Four bytes at a time: 9 ns less for a question of 41 bytes.
    for (; index + 4 <= bytes; index += 4)
      outputView.setInt32(outputStart + index, inputView.getInt32(start + index, true), true);
    for (; index < bytes; index++) output[outputStart + index] = input[start + index]!;
    return true;
  }

  /** Writes the OPT record and the header; returns the length of the response. */
  finish(rcode: number): number {
    const { message, response, isAuthoritative } = this.#query;
    const { outputView, start } = response;
    const hasOpt = message.edns.isPresent;
    if (hasOpt) this.#opt.write(rcode);
    const isAnswer =
      rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN || rcode === Rcode.YXDOMAIN;
    const flags =
      0x8000 |
      message.copiedFlags |
      (isAuthoritative && isAnswer ? 0x0400 : 0) |
      (response.isTruncated ? 0x0200 : 0) |
      (rcode & 0xf);
    outputView.setInt16(start + 2, flags);
    outputView.setInt32(start + 6, (response.counts[0]! << 16) | response.counts[1]!);
    outputView.setInt16(start + 10, response.counts[2]! + (hasOpt ? 1 : 0));
    return response.at - start;
  }

  /** For what cannot be understood: never longer than what came. */
  headerOnly(rcode: number): number {
    const { message, input, output, outputStart } = this.#query;
    output[outputStart] = input[message.start]!;
    output[outputStart + 1] = input[message.start + 1]!;
    const flags = 0x8000 | (message.opcode << 11) | message.copiedFlags | rcode;
    output[outputStart + 2] = flags >>> 8;
    output[outputStart + 3] = flags;
    for (let at = outputStart + 4; at < outputStart + HEADER_BYTES; at++) output[at] = 0;
    this.#counters.rcode(rcode);
    return HEADER_BYTES;
  }
}
