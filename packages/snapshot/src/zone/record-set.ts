// SPDX-License-Identifier: Apache-2.0

// The records of one name and type, as a names section has them: in canonical order, none twice (RFC 2181 §5), under the least of their TTLs.

import { ByteList } from "@meridian/core";
import type { RecordSet } from "./names-editor.ts";
import { encodeRecord } from "./record-encoding.ts";
import { RR_HEADER_BYTES } from "./zone-format.ts";

/** A record of an owner and type that are known. */
export interface EditedRecord {
  /** Seconds. */
  readonly ttl: number;
  /** In wire form, names uncompressed. */
  readonly rdata: Uint8Array;
}

/** The same as the writer of whole zones makes of them; undefined for none. */
export function encodeRecordSet(
  type: number,
  records: readonly EditedRecord[],
  origin: Uint8Array,
): RecordSet | undefined {
  const encoded = records
    .map(({ ttl, rdata }) => {
      const list = new ByteList();
      encodeRecord(list, type, rdata, origin);
      return { ttl, bytes: list.bytes.slice(0, list.length) };
    })
    .sort((a, b) => compare(a.bytes, b.bytes));
  const distinct = encoded.filter(
    ({ bytes }, index) => index === 0 || compare(encoded[index - 1]!.bytes, bytes) !== 0,
  );
  if (distinct.length === 0) return undefined;
  return {
    typeAndCount: type | (distinct.length << 16),
    ttl: Math.min(...distinct.map(({ ttl }) => ttl)),
    bytes: Buffer.concat(distinct.map(({ bytes }) => bytes)),
  };
}

export function typeOf({ typeAndCount }: RecordSet): number {
  return typeAndCount & 0xffff;
}

export function isSameSet(a: RecordSet | undefined, b: RecordSet | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.typeAndCount >>> 0 === b.typeAndCount >>> 0 &&
    a.ttl === b.ttl &&
    Buffer.compare(a.bytes, b.bytes) === 0
  );
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a.subarray(RR_HEADER_BYTES), b.subarray(RR_HEADER_BYTES));
}
