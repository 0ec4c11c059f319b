// SPDX-License-Identifier: Apache-2.0
//
// Records as a run of bytes, to be kept and sent inside Meridian: each as on the wire without compression, without class.
//
//   owner name, u16 type, u32 ttl, u16 rdata bytes, rdata        (RFC 1035 §4.1.3 but for the class, which is always IN)

import { nameLength } from "./name.ts";
import type { ZoneRecord } from "./zone-record.ts";

const FIXED_BYTES = 8;

/** Bytes that a record takes. */
export function recordBytes({ owner, rdata }: Pick<ZoneRecord, "owner" | "rdata">): number {
  return owner.length + FIXED_BYTES + rdata.length;
}

/** The records, one after the other. */
export function encodeRecords(records: readonly ZoneRecord[]): Uint8Array {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + recordBytes(record), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { owner, type, ttl, rdata } of records) {
    bytes.set(owner, at);
    at += owner.length;
    view.setUint16(at, type);
    view.setUint32(at + 2, ttl);
    view.setUint16(at + 6, rdata.length);
    bytes.set(rdata, at + FIXED_BYTES);
    at += FIXED_BYTES + rdata.length;
  }
  return bytes;
}

/** The records of `encodeRecords()`, as views of the bytes; undefined where these are something else. */
export function decodeRecords(bytes: Uint8Array): ZoneRecord[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: ZoneRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const ownerBytes = nameLength(bytes, at);
    const fixed = at + ownerBytes;
    if (ownerBytes < 0 || fixed + FIXED_BYTES > bytes.length) return undefined;
    const start = fixed + FIXED_BYTES;
    const end = start + view.getUint16(fixed + 6);
    if (end > bytes.length) return undefined;
    records.push({
      owner: bytes.subarray(at, fixed),
      type: view.getUint16(fixed),
      ttl: view.getUint32(fixed + 2),
      rdata: bytes.subarray(start, end),
    });
    at = end;
  }
  return records;
}
