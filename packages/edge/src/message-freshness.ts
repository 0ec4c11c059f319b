// SPDX-License-Identifier: Apache-2.0

const HEADER_BYTES = 12;
const TYPE_SOA = 6;
/** Bytes of an SOA record's last field, which bounds how long a negative answer holds (RFC 2308 §5). */
const MINIMUM_BYTES = 4;

/**
 * Seconds that a response of ours may be kept (RFC 8484 §5.1): the least TTL of its answer section; of its SOA record, where it has
 * no answer; else 0. What is not whole is not kept.
 */
export function leastTtl(message: Uint8Array): number {
  const answers = u16(message, 6);
  const records = answers === 0 ? u16(message, 8) : answers;
  const isTruncated = ((message[2] ?? 0) & 2) !== 0;
  if (records === 0 || isTruncated) return 0;
  let at = HEADER_BYTES;
  for (let question = u16(message, 4); question > 0; question--) at = nameEnd(message, at) + 4;
  let least = answers === 0 ? 0 : 0xffff_ffff;
  for (let record = 0; record < records; record++) {
    at = nameEnd(message, at);
    const end = at + 10 + u16(message, at + 8);
    const ttl = u32(message, at + 4);
    if (end > message.length) return 0;
    if (answers > 0) least = Math.min(least, ttl);
    else if (u16(message, at) === TYPE_SOA) return Math.min(ttl, u32(message, end - MINIMUM_BYTES));
    at = end;
  }
  return least;
}

function nameEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length) {
    const length = bytes[at] ?? 0;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += length + 1;
  }
  return at;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2);
}
