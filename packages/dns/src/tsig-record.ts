// SPDX-License-Identifier: Apache-2.0
//
// The TSIG record as it stands in a message (RFC 8945 §4.2), found without decoding the rest: what a signature covers are
// the bytes as received.

import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { DnsLimits, RRClass, RRType } from "./constants.ts";
import { isName, lowerName } from "./name.ts";

const QUESTION_FIXED_BYTES = 4;
const RECORD_FIXED_BYTES = 10;
const TWO_POW_32 = 0x1_0000_0000;

/** One signature. Names are lower case, uncompressed. */
export interface TsigRecord {
  /** Where the record begins in its message. */
  readonly start: number;
  /** Of the key. */
  readonly name: Uint8Array;
  /** As a name. */
  readonly algorithm: Uint8Array;
  /** Seconds since 1970, 48 bits. */
  readonly timeSigned: number;
  /** Seconds by which clocks may differ. */
  readonly fudge: number;
  readonly mac: Uint8Array;
  readonly originalId: number;
  readonly error: number;
  readonly other: Uint8Array;
}

/**
 * The signature of a message; undefined where it has none, "malformed" where it has one that is not the last record, not alone or not
 * well-formed, or where the message is none.
 */
export function readTsig(message: Uint8Array): TsigRecord | "malformed" | undefined {
  if (message.length < DnsLimits.headerBytes) return "malformed";
  const count = (at: number): number => (message[at]! << 8) | message[at + 1]!;
  let at: number = DnsLimits.headerBytes;
  for (let question = count(4); question > 0; question--) {
    at = skipName(message, at) + QUESTION_FIXED_BYTES;
    if (at < DnsLimits.headerBytes + QUESTION_FIXED_BYTES || at > message.length)
      return "malformed";
  }
  const records = count(6) + count(8) + count(10);
  for (let record = 1; record <= records; record++) {
    const start = at;
    const fixed = skipName(message, at);
    if (fixed < 0 || fixed + RECORD_FIXED_BYTES > message.length) return "malformed";
    at = fixed + RECORD_FIXED_BYTES + count(fixed + 8);
    if (at > message.length) return "malformed";
    if (count(fixed) !== RRType.TSIG) continue;
    const isLast = record === records && at === message.length && count(10) > 0;
    return (isLast ? readRecord(message, start, fixed) : undefined) ?? "malformed";
  }
  return at === message.length ? undefined : "malformed";
}

function readRecord(message: Uint8Array, start: number, fixed: number): TsigRecord | undefined {
  const name = expandName(message, start);
  const reader = new ByteReader(message.subarray(fixed + 2));
  const rrClass = reader.u16();
  const ttl = reader.u32();
  reader.u16();
  const algorithm = lowerName(reader.name());
  const timeSigned = reader.u16() * TWO_POW_32 + reader.u32();
  const fudge = reader.u16();
  const mac = Uint8Array.from(reader.bytes(reader.u16()));
  const originalId = reader.u16();
  const error = reader.u16();
  const other = Uint8Array.from(reader.bytes(reader.u16()));
  const isWhole = !reader.failed && reader.remaining === 0;
  if (name === undefined || !isWhole || rrClass !== RRClass.ANY || ttl !== 0) return undefined;
  return { start, name, algorithm, timeSigned, fudge, mac, originalId, error, other };
}

/** The record as it is appended to a message. */
export function writeTsig(record: Omit<TsigRecord, "start">): Uint8Array {
  const writer = new ByteWriter(DnsLimits.messageBytesMax);
  writer.bytes(record.name);
  writer.u16(RRType.TSIG);
  writer.u16(RRClass.ANY);
  writer.u32(0);
  const lengthAt = writer.length;
  writer.u16(0);
  writer.bytes(record.algorithm);
  writeTime(writer, record.timeSigned);
  writer.u16(record.fudge);
  writer.u16(record.mac.length);
  writer.bytes(record.mac);
  writer.u16(record.originalId);
  writer.u16(record.error);
  writer.u16(record.other.length);
  writer.bytes(record.other);
  writer.patchU16(lengthAt, writer.length - lengthAt - 2);
  return writer.finish();
}

/** Seconds since 1970 in 48 bits. */
export function writeTime(writer: ByteWriter, seconds: number): void {
  writer.u16(Math.floor(seconds / TWO_POW_32));
  writer.u32(seconds % TWO_POW_32);
}

/** Offset behind the name at `at`, which may end in a pointer; -1 where it is cut off. */
function skipName(bytes: Uint8Array, at: number): number {
  let position = at;
  while (position >= 0 && position < bytes.length) {
    const length = bytes[position]!;
    if (length === 0) return position + 1;
    if (length >= 0xc0) return position + 2 <= bytes.length ? position + 2 : -1;
    if (length > DnsLimits.labelBytesMax) return -1;
    position += length + 1;
  }
  return -1;
}

/** The name at `at`, lower case and without pointers; undefined where it is none. */
function expandName(bytes: Uint8Array, at: number): Uint8Array | undefined {
  const writer = new ByteWriter(DnsLimits.nameBytesMax);
  let position = at;
  let pointerLimit = at;
  for (;;) {
    const length = bytes[position];
    if (length === undefined) return undefined;
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | (bytes[position + 1] ?? 0);
      // Backwards only, so that pointers come to an end.
      if (target >= pointerLimit) return undefined;
      pointerLimit = target;
      position = target;
      continue;
    }
    writer.bytes(bytes.subarray(position, position + 1 + length));
    if (length === 0) break;
    position += length + 1;
  }
  const name = lowerName(writer.finish());
  return !writer.overflowed && isName(name) ? name : undefined;
}
