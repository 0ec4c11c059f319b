// SPDX-License-Identifier: Apache-2.0

/**
 * ICMP echo for health probes (RFC 792; RFC 4443 section 4). One socket serves all targets of a family: requests are
 * told apart by their 16-bit sequence number and by 8 random bytes of payload, so that another program's reply, or
 * a late one to a reused number, is never taken for ours. While requests are outstanding, one thread of libuv's pool
 * waits for replies; with none outstanding nothing runs.
 */

import { randomBytes } from "node:crypto";
import { isIPv6 } from "node:net";

import type { Native } from "./native.ts";

const HEADER_BYTES = 8;
const COOKIE_BYTES = 8;
const PAYLOAD_BYTES = 16;
const OUTSTANDING_MAX = 32_768;
/** How long a pool thread waits at a time; a request sent meanwhile is served by the same wait. */
const WAIT_MS = 100;
const ECHO_REQUEST_V4 = 8;
const ECHO_REPLY_V4 = 0;
const ECHO_REQUEST_V6 = 128;
const ECHO_REPLY_V6 = 129;

/** The outcome of one echo: round trip in milliseconds, no reply in time, or why it could not be sent. */
export type EchoResult =
  | { readonly kind: "reply"; readonly rttMs: number }
  | { readonly kind: "timeout" }
  | { readonly kind: "failed"; readonly reason: string };

interface Outstanding {
  readonly cookie: Buffer;
  readonly sentAt: number;
  readonly finish: (result: EchoResult) => void;
  readonly timer: NodeJS.Timeout;
}

/** Sends echo requests and matches replies. `open` throws with code EACCES or EPERM where neither socket is allowed. */
export class IcmpPinger {
  readonly #native: Native;
  readonly #family: 4 | 6;
  readonly #fd: number;
  readonly #raw: boolean;
  readonly #identifier: number;
  readonly #outstanding = new Map<number, Outstanding>();
  #sequence = 0;
  #receiving = false;
  #closed = false;

  private constructor(native: Native, family: 4 | 6) {
    const socket = native.openIcmp(family);
    this.#native = native;
    this.#family = family;
    this.#fd = socket.fd;
    this.#raw = socket.raw;
    this.#identifier = randomBytes(2).readUInt16BE(0);
  }

  static open(native: Native, family: 4 | 6): IcmpPinger {
    return new IcmpPinger(native, family);
  }

  /** Sends one echo request to a numeric address of this pinger's family and waits up to `timeoutMs`. Never rejects. */
  echo(address: string, timeoutMs: number): Promise<EchoResult> {
    if (this.#closed) return Promise.resolve({ kind: "failed", reason: "the pinger is closed" });
    if (isIPv6(address) !== (this.#family === 6)) {
      return Promise.resolve({
        kind: "failed",
        reason: `"${address}" is not of family ${this.#family}`,
      });
    }
    if (this.#outstanding.size >= OUTSTANDING_MAX) {
      return Promise.resolve({
        kind: "failed",
        reason: `${OUTSTANDING_MAX} requests are outstanding`,
      });
    }
    const sequence = this.#nextSequence();
    const cookie = randomBytes(COOKIE_BYTES);
    return new Promise((resolve) => {
      const finish = (result: EchoResult): void => {
        clearTimeout(timer);
        this.#outstanding.delete(sequence);
        resolve(result);
      };
      const timer = setTimeout(() => finish({ kind: "timeout" }), timeoutMs);
      this.#outstanding.set(sequence, { cookie, sentAt: performance.now(), finish, timer });
      try {
        this.#native.sendIcmp(this.#fd, address, this.#buildRequest(sequence, cookie));
        void this.#receive();
      } catch (error) {
        finish({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
      }
    });
  }

  /** Fails what is outstanding and closes the socket once no thread waits on it. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const request of this.#outstanding.values()) {
      request.finish({ kind: "failed", reason: "the pinger is closed" });
    }
    if (!this.#receiving) this.#native.closeSocket(this.#fd);
  }

  #nextSequence(): number {
    do {
      this.#sequence = (this.#sequence + 1) & 0xffff;
    } while (this.#outstanding.has(this.#sequence));
    return this.#sequence;
  }

  #buildRequest(sequence: number, cookie: Buffer): ArrayBuffer {
    const message = new ArrayBuffer(HEADER_BYTES + PAYLOAD_BYTES);
    const bytes = new Uint8Array(message);
    const view = new DataView(message);
    view.setUint8(0, this.#family === 4 ? ECHO_REQUEST_V4 : ECHO_REQUEST_V6);
    view.setUint16(4, this.#identifier);
    view.setUint16(6, sequence);
    bytes.set(cookie, HEADER_BYTES);
    // The kernel computes the checksum of ICMPv6, and of ping sockets; raw IPv4 sockets send what they are given.
    if (this.#family === 4) view.setUint16(2, internetChecksum(bytes));
    return message;
  }

  /** Runs while requests are outstanding. */
  async #receive(): Promise<void> {
    if (this.#receiving) return;
    this.#receiving = true;
    try {
      while (this.#outstanding.size > 0) {
        for (const message of await this.#native.receiveIcmp(this.#fd, WAIT_MS))
          this.#accept(message);
      }
    } finally {
      this.#receiving = false;
      if (this.#closed) this.#native.closeSocket(this.#fd);
    }
  }

  #accept(message: ArrayBuffer): void {
    const bytes = Buffer.from(message);
    const start = this.#raw && this.#family === 4 ? ((bytes[0] ?? 0) & 15) * 4 : 0;
    if (bytes.length < start + HEADER_BYTES + COOKIE_BYTES) return;
    if (bytes[start] !== (this.#family === 4 ? ECHO_REPLY_V4 : ECHO_REPLY_V6)) return;
    const request = this.#outstanding.get(bytes.readUInt16BE(start + 6));
    const cookieStart = start + HEADER_BYTES;
    if (request?.cookie.equals(bytes.subarray(cookieStart, cookieStart + COOKIE_BYTES)) !== true)
      return;
    request.finish({ kind: "reply", rttMs: performance.now() - request.sentAt });
  }
}

/** The ones' complement sum of RFC 1071 over an even number of bytes whose checksum field is 0. */
function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
