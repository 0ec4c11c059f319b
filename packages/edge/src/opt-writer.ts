// SPDX-License-Identifier: Apache-2.0

// The OPT record of a response (RFC 6891): room for it is kept before records are written, and it is the last thing that is.

import { Rcode } from "@meridian/dns";
import { FixedCounter } from "./counter-layout.ts";
import type { WorkerCounters } from "./counters.ts";
import { COOKIE_OPTION_BYTES, type ServerCookies } from "./cookie.ts";
import { ECS_HEADER_BYTES } from "./ecs.ts";
import {
  EDE_BYTES,
  EdnsOption,
  KEEPALIVE_BYTES,
  NSID_BYTES_MAX,
  OPT_BYTES,
  PADDED_BYTES,
} from "./edns.ts";
import { NO_EDE, type QueryState } from "./query-state.ts";

/** Largest UDP response: what crosses ordinary paths unfragmented (RFC 9715). */
export const UDP_BYTES_MAX = 1232;
const TYPE_OPT = 41;
const KEEPALIVE_SECONDS = 10;

/** What OPT records say of the server. */
export interface OptOptions {
  readonly nsid?: string;
  readonly keepaliveSeconds?: number;
  readonly cookies?: ServerCookies;
  readonly counters: WorkerCounters;
}

export class OptWriter {
  readonly #query: QueryState;
  readonly #counters: WorkerCounters;
  readonly #cookies: ServerCookies | undefined;
  readonly #nsid: Uint8Array;
  readonly #keepaliveDeciseconds: number;

  constructor(
    query: QueryState,
    { nsid = "", keepaliveSeconds = KEEPALIVE_SECONDS, cookies, counters }: OptOptions,
  ) {
    this.#query = query;
    this.#counters = counters;
    this.#cookies = cookies;
    this.#nsid = Buffer.from(nsid).subarray(0, NSID_BYTES_MAX);
    this.#keepaliveDeciseconds = Math.min(0xffff, keepaliveSeconds * 10);
  }

  /** The most that the record of this response will take. */
  bytesMax(): number {
    const { edns } = this.#query.message;
    let bytes = OPT_BYTES + EDE_BYTES;
    if (edns.wantsNsid) bytes += 4 + this.#nsid.length;
    if (edns.wantsKeepalive) bytes += KEEPALIVE_BYTES;
    if (edns.ecs.isPresent) bytes += ECS_HEADER_BYTES + edns.ecs.addressBytes;
    if (edns.cookieBytes > 0) bytes += COOKIE_OPTION_BYTES;
    if (edns.wantsPadding) bytes += this.#query.isTcp ? 4 + PADDED_BYTES : 0;
    return bytes;
  }

  /** Writes the record where the response ends now. */
  write(rcode: number): void {
    const { message, response } = this.#query;
    const { output, outputView, at } = response;
    output[at] = 0;
    outputView.setInt32(at + 1, (TYPE_OPT << 16) | UDP_BYTES_MAX);
    // Of the flags only DO is known, and copied (RFC 6891 §6.1.4, RFC 3225 §3).
    outputView.setInt32(at + 5, ((rcode >>> 4) << 24) | (message.edns.isDo ? 0x8000 : 0));
    const lengthAt = at + OPT_BYTES - 2;
    outputView.setInt16(lengthAt, 0);
    response.at = at + OPT_BYTES;
    // What is malformed gets no more bytes than it sent.
    if (rcode !== Rcode.FORMERR) this.#writeOptions();
    outputView.setInt16(lengthAt, response.at - lengthAt - 2);
  }

  #writeOptions(): void {
    const { message, response, input, ede, scope, usesEcs, isTcp } = this.#query;
    const { edns } = message;
    if (edns.wantsNsid && this.#nsid.length > 0) {
      response.u16(EdnsOption.nsid);
      response.u16(this.#nsid.length);
      response.copy(this.#nsid, 0, this.#nsid.length);
    }
    if (edns.ecs.isPresent) {
      // Echoed as sent; the scope says for whom the answer holds (RFC 7871 §7.2.1).
      response.u16(EdnsOption.clientSubnet);
      response.u16(4 + edns.ecs.addressBytes);
      response.u16(edns.ecs.ianaFamily);
      response.byte(edns.ecs.sourcePrefix);
      response.byte(usesEcs ? scope : 0);
      this.#query.echoAt = response.at;
      response.copy(input, edns.ecs.addressStart, edns.ecs.addressBytes);
    }
    if (edns.wantsKeepalive && isTcp) {
      response.u16(EdnsOption.tcpKeepalive);
      response.u16(2);
      response.u16(this.#keepaliveDeciseconds);
    }
    if (ede !== NO_EDE) {
      response.u16(EdnsOption.extendedError);
      response.u16(2);
      response.u16(ede);
    }
    if (edns.cookieBytes > 0) this.#writeCookie();
    if (edns.wantsPadding && isTcp) this.#writePadding();
  }

  #writeCookie(): void {
    const query = this.#query;
    const { message, response, input, source, sourceStart, family, nowSeconds } = query;
    const { cookieStart } = message.edns;
    const cookies = this.#cookies;
    if (cookies === undefined) return;
    if (query.checkCookie()) this.#counters.add(FixedCounter.cookieGood);
    response.u16(EdnsOption.cookie);
    response.u16(COOKIE_OPTION_BYTES - 4);
    query.cookieAt = response.at;
    const { output, at } = response;
    cookies.write(output, at, input, cookieStart, source, sourceStart, family, nowSeconds);
    response.at += COOKIE_OPTION_BYTES - 4;
  }

  /** The last option: up to a whole number of blocks, from which little can be read (RFC 7830, RFC 8467 §4.1). */
  #writePadding(): void {
    const { response } = this.#query;
    const used = response.at + 4 - response.start;
    const bytes = (PADDED_BYTES - (used % PADDED_BYTES)) % PADDED_BYTES;
    response.u16(EdnsOption.padding);
    response.u16(bytes);
    response.output.fill(0, response.at, response.at + bytes);
    response.at += bytes;
  }
}
