// SPDX-License-Identifier: Apache-2.0

// EDNS(0) on both sides of a query (RFC 6891): what the client's OPT record asks for, and the OPT record of the response. One
// `EdnsQuery` is made per worker and filled again for each query.

import { isCookieLength } from "./cookie.ts";
import { EcsQuery } from "./ecs.ts";

/** Option codes that the query path knows; all others are ignored (RFC 6891 §6.1.2). */
export const EdnsOption = {
  nsid: 3,
  clientSubnet: 8,
  cookie: 10,
  tcpKeepalive: 11,
  padding: 12,
  extendedError: 15,
} as const;

/** Bytes of an OPT record without options. */
export const OPT_BYTES = 11;
/** Bytes of an extended error option without text. */
export const EDE_BYTES = 6;
/** Bytes of a keepalive option with its timeout. */
export const KEEPALIVE_BYTES = 6;
/** Responses to clients that pad over a connection are padded to multiples of this (RFC 8467 §4.1). */
export const PADDED_BYTES = 468;
/** Longest NSID that is sent, so that a minimal response always has room for it. */
export const NSID_BYTES_MAX = 64;

const DO_BIT = 0x80;
/** Compact answers are understood (RFC 9824 §5). */
const CO_BIT = 0x40;

/** The OPT record of one query. */
export class EdnsQuery {
  isPresent: boolean = false;
  version: number = 0;
  /** The client's buffer in bytes, at least 512. */
  udpSize: number = 512;
  isDo: boolean = false;
  isCompactOk: boolean = false;
  wantsNsid: boolean = false;
  wantsKeepalive: boolean = false;
  wantsPadding: boolean = false;
  /** Where the data of the first COOKIE option begins in the query, and its length; 0 for none. */
  cookieStart: number = 0;
  cookieBytes: number = 0;
  readonly ecs: EcsQuery = new EcsQuery();

  reset(): void {
    this.isPresent = false;
    this.version = 0;
    this.udpSize = 512;
    this.isDo = false;
    this.wantsNsid = false;
    this.wantsKeepalive = false;
    this.wantsPadding = false;
    this.cookieBytes = 0;
    this.ecs.isPresent = false;
  }

  /**
   * Takes the OPT record whose class begins at `at`; its rdata ends at `end`. Options are read by `readOptions`, once the version is
   * known to be ours.
   */
  readFixed(bytes: Uint8Array, at: number): void {
    this.isPresent = true;
    this.udpSize = Math.max(512, (bytes[at]! << 8) | bytes[at + 1]!);
    this.version = bytes[at + 3]!;
    this.isDo = (bytes[at + 4]! & DO_BIT) !== 0;
    this.isCompactOk = (bytes[at + 4]! & CO_BIT) !== 0;
  }

  /** Reads the options in `bytes[at..end)`. False where they, a client subnet or a cookie are malformed. */
  readOptions(bytes: Uint8Array, at: number, end: number): boolean {
    let position = at;
    while (position < end) {
      if (position + 4 > end) return false;
      const code = (bytes[position]! << 8) | bytes[position + 1]!;
      const length = (bytes[position + 2]! << 8) | bytes[position + 3]!;
      const data = position + 4;
      position = data + length;
      if (position > end) return false;
      if (code === EdnsOption.nsid) this.wantsNsid = true;
      else if (code === EdnsOption.tcpKeepalive) this.wantsKeepalive = true;
      else if (code === EdnsOption.padding) this.wantsPadding = true;
      else if (code === EdnsOption.clientSubnet && !this.ecs.read(bytes, data, length))
        return false;
      else if (code === EdnsOption.cookie && this.cookieBytes === 0) {
        // Of several, only the first counts (RFC 7873 §5.2).
        if (!isCookieLength(length)) return false;
        this.cookieStart = data;
        this.cookieBytes = length;
      }
    }
    return true;
  }
}
