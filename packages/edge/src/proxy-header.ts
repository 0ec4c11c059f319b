// SPDX-License-Identifier: Apache-2.0

// The header that a proxy writes before what a client sent (PROXY protocol, version 2): before each packet over UDP, before the first
// byte of a connection, TLS or not.
//
//   12 bytes of signature │ version and command 1 │ family and transport 1 │ length 2 │ addresses and ports, then TLVs: `length` bytes
//
// It is looked for only in what comes from a listed proxy, and must be there then; from all others it is the malformed message that it
// looks like. TLVs are skipped.

const SIGNATURE = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
/** Bytes before the addresses. */
export const PROXY_FIXED_BYTES = 16;
/** Longest that addresses and TLVs may be: what proxies send has some tens of bytes. */
const REST_BYTES_MAX = 1024;
/** Most bytes of a header. */
export const PROXY_BYTES_MAX: number = PROXY_FIXED_BYTES + REST_BYTES_MAX;
const VERSION = 0x20;
const COMMAND_LOCAL = 0;
const COMMAND_PROXY = 1;
const FAMILY_INET = 1;
const FAMILY_INET6 = 2;
const INET_BYTES = 12;
const INET6_BYTES = 36;

/** What the first bytes of a message are. Not a header, or one that is cut off. */
export const NOT_PROXIED = -1;
export const PROXY_INCOMPLETE = -2;

/** The header read last; one object is made per worker and filled again. */
export class ProxyHeader {
  /** Where the client's address begins in the bytes that were read; family 0 where the proxy speaks for itself. */
  sourceStart: number = 0;
  family: 0 | 4 | 6 = 0;

  /** Length of the header at `bytes[start..end)`, or what is wrong. Reads nothing beyond `end`. */
  read(bytes: Uint8Array, start: number, end: number): number {
    const present = Math.min(end - start, SIGNATURE.length);
    for (let index = 0; index < present; index++)
      if (bytes[start + index] !== SIGNATURE[index]) return NOT_PROXIED;
    if (end - start < PROXY_FIXED_BYTES) return PROXY_INCOMPLETE;
    const at = start + SIGNATURE.length;
    const command = byteAt(bytes, at);
    const length = (byteAt(bytes, at + 2) << 8) | byteAt(bytes, at + 3);
    if ((command & 0xf0) !== VERSION || length > REST_BYTES_MAX) return NOT_PROXIED;
    const bytesRead = PROXY_FIXED_BYTES + length;
    if (end - start < bytesRead) return PROXY_INCOMPLETE;
    this.sourceStart = start + PROXY_FIXED_BYTES;
    this.family = 0;
    if ((command & 15) === COMMAND_LOCAL) return bytesRead;
    if ((command & 15) !== COMMAND_PROXY) return NOT_PROXIED;
    const family = byteAt(bytes, at + 1) >>> 4;
    if (family === FAMILY_INET && length >= INET_BYTES) this.family = 4;
    else if (family === FAMILY_INET6 && length >= INET6_BYTES) this.family = 6;
    // What it says of a Unix socket or of nobody is no client.
    else return NOT_PROXIED;
    return bytesRead;
  }
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
