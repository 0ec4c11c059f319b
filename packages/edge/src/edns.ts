// SPDX-License-Identifier: Apache-2.0

// EDNS(0) on both sides of a query (RFC 6891): what the client's OPT record asks for, and the OPT record of the response. One
// `EdnsQuery` is made per worker and filled again for each query.

import { EcsQuery } from "./ecs.ts";

/** Option codes that the query path knows; all others are ignored (RFC 6891 §6.1.2). */
export const EdnsOption = {
  nsid: 3,
  clientSubnet: 8,
  tcpKeepalive: 11,
  extendedError: 15,
} as const;

/** Bytes of an OPT record without options. */
export const OPT_BYTES = 11;
/** Bytes of an extended error option without text. */
export const EDE_BYTES = 6;
/** Bytes of a keepalive option with its timeout. */
export const KEEPALIVE_BYTES = 6;
/** Longest NSID that is sent, so that a minimal response always has room for it. */
export const NSID_BYTES_MAX = 64;

const DO_BIT = 0x80;

/** The OPT record of one query. */
export class EdnsQuery {
  isPresent: boolean = false;
  version: number = 0;
  /** The client's buffer in bytes, at least 512. */
  udpSize: number = 512;
  isDo: boolean = false;
  wantsNsid: boolean = false;
  wantsKeepalive: boolean = false;
  readonly ecs: EcsQuery = new EcsQuery();

  reset(): void {
    this.isPresent = false;
    this.version = 0;
    this.udpSize = 512;
    this.isDo = false;
    this.wantsNsid = false;
    this.wantsKeepalive = false;
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
  }

  /** Reads the options in `bytes[at..end)`. False where they or a client subnet are malformed. */
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
      else if (code === EdnsOption.clientSubnet && !this.ecs.read(bytes, data, length))
        return false;
    }
    return true;
  }
}
