// SPDX-License-Identifier: Apache-2.0

// Server cookies (RFC 7873) in the form that every server of an anycast set makes alike (RFC 9018 §4):
//
//   client cookie 8 bytes │ version 1, reserved 3, time in seconds 4, SipHash-2-4(client cookie ‥ time ‥ client address) 8
//
// A cookie that was made for an address proves that its owner reads what is sent there: such a client is not limited. The first
// secret makes cookies, all of them are taken, so that a set of servers moves from one to the next without a cookie being refused:
// add the new one as second everywhere, then make it the first, then drop the old one.

import { SipHash } from "./siphash.ts";

export const CLIENT_COOKIE_BYTES = 8;
const SERVER_COOKIE_BYTES = 16;
/** Bytes of the option that is sent, with its header. */
export const COOKIE_OPTION_BYTES: number = 4 + CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES;
/** Longest server cookie of any server, ours or not (RFC 7873 §4). */
const FOREIGN_BYTES_MAX = 32;
const FOREIGN_BYTES_MIN = 8;
const VERSION = 1;
/** How old a cookie may be, and how far in the future (RFC 9018 §4.3). */
const AGE_SECONDS_MAX = 3600;
const AHEAD_SECONDS_MAX = 300;
/** From this age on a client is sent a new one. */
const RENEW_SECONDS = 1800;
/** Most secrets that are taken at a time. */
export const COOKIE_SECRETS_MAX = 4;

/** True for a length that a COOKIE option may have: a client cookie, alone or with a server cookie (RFC 7873 §5.2.2). */
export function isCookieLength(length: number): boolean {
  return (
    length === CLIENT_COOKIE_BYTES ||
    (length >= CLIENT_COOKIE_BYTES + FOREIGN_BYTES_MIN &&
      length <= CLIENT_COOKIE_BYTES + FOREIGN_BYTES_MAX)
  );
}

/** Makes and checks the cookies of one worker; allocates nothing once it is made. */
export class ServerCookies {
  #secrets: readonly Uint8Array[];
  readonly #hash = new SipHash();
  /** What is hashed: client cookie, the first half of a server cookie, client address. */
  readonly #message = new Uint8Array(CLIENT_COOKIE_BYTES + 8 + 16);
  /** `check` found a cookie that may go on: made with the first secret, and not long ago. */
  #isFresh = false;

  /** `secrets` are of 16 bytes each. Without any, cookies are zeros and none is good: for asking a logged query again. */
  constructor(secrets: readonly Uint8Array[]) {
    this.#secrets = secrets;
  }

  /** Goes on with other secrets. */
  rotate(secrets: readonly Uint8Array[]): void {
    this.#secrets = secrets;
  }

  /** True where the option's data at `at`, `length` bytes, holds a cookie that was made here for this address and is not too old. */
  check(
    input: Uint8Array,
    at: number,
    length: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
    nowSeconds: number,
  ): boolean {
    this.#isFresh = false;
    const server = at + CLIENT_COOKIE_BYTES;
    if (length !== CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES || input[server] !== VERSION)
      return false;
    const time = u32(input, server + 4);
    // Serial arithmetic, as the time wraps in 2106.
    const age = (nowSeconds - time) | 0;
    if (age > AGE_SECONDS_MAX || age < -AHEAD_SECONDS_MAX) return false;
    const bytes = this.#prepare(input, at, server, source, sourceStart, family);
    const hash = this.#hash;
    for (let index = 0; index < this.#secrets.length; index++) {
      hash.run(this.#secrets[index]!, this.#message, bytes);
      const difference =
        (hash.low ^ little32(input, server + 8)) | (hash.high ^ little32(input, server + 12));
      if (difference !== 0) continue;
      this.#isFresh = index === 0 && age < RENEW_SECONDS;
      return true;
    }
    return false;
  }

  /**
   * Writes the option's data, 24 bytes, to `output[to..)`: the client's cookie and the server's, which is the one that `check` found
   * good just before unless it is time for a new one.
   */
  write(
    output: Uint8Array,
    to: number,
    input: Uint8Array,
    at: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
    nowSeconds: number,
  ): void {
    const kept = this.#isFresh ? CLIENT_COOKIE_BYTES + SERVER_COOKIE_BYTES : CLIENT_COOKIE_BYTES;
    for (let index = 0; index < kept; index++) output[to + index] = input[at + index]!;
    if (this.#isFresh) return;
    const server = to + CLIENT_COOKIE_BYTES;
    output.fill(0, server, server + SERVER_COOKIE_BYTES);
    const [secret] = this.#secrets;
    if (secret === undefined) return;
    output[server] = VERSION;
    putU32(output, server + 4, nowSeconds);
    const bytes = this.#prepare(output, to, server, source, sourceStart, family);
    this.#hash.run(secret, this.#message, bytes);
    putLittle32(output, server + 8, this.#hash.low);
    putLittle32(output, server + 12, this.#hash.high);
  }

  #prepare(
    from: Uint8Array,
    client: number,
    server: number,
    source: Uint8Array,
    sourceStart: number,
    family: number,
  ): number {
    const message = this.#message;
    for (let index = 0; index < 8; index++) {
      message[index] = from[client + index]!;
      message[CLIENT_COOKIE_BYTES + index] = from[server + index]!;
    }
    const addressBytes = family === 6 ? 16 : 4;
    for (let index = 0; index < addressBytes; index++)
      message[16 + index] = source[sourceStart + index]!;
    return 16 + addressBytes;
  }
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function little32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function putLittle32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}
