// SPDX-License-Identifier: Apache-2.0

/** A record of class IN in a zone; names in wire form, uncompressed. */
export interface ZoneRecord {
  readonly owner: Uint8Array;
  readonly type: number;
  /** Seconds, 0..2^31−1. */
  readonly ttl: number;
  readonly rdata: Uint8Array;
  /** Where the record was written, for messages. */
  readonly file?: string;
  readonly line?: number;
}
