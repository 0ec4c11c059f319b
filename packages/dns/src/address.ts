// SPDX-License-Identifier: Apache-2.0
//
// IP addresses between text and bytes. IPv6 is written in the form of RFC 5952: lower case, the
// longest run of two or more zero groups as `::`, an IPv4-mapped address with its last 32 bits dotted.

import { utf8Bytes } from "./text-bytes.ts";

const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const COLON = 0x3a;

/** The four bytes of a dotted quad, or undefined. Leading zeros (`01`) are refused: their base is ambiguous. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const bytes = utf8Bytes(text);
  const out = new Uint8Array(4);
  return readIpv4(bytes, 0, bytes.length, out, 0) ? out : undefined;
}

/** The sixteen bytes of an IPv6 address without zone index (RFC 4291 §2.2), or undefined. */
export function parseIpv6(text: string): Uint8Array | undefined {
  const bytes = utf8Bytes(text);
  const out = new Uint8Array(16);
  return readIpv6(bytes, 0, bytes.length, out, 0) ? out : undefined;
}

/** Reads a dotted quad that fills `text[start..end)` into `out[at..at+4)`; false if it is none. */
export function readIpv4(
  text: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): boolean {
  let position = start;
  for (let part = 0; part < 4; part++) {
    const first = position;
    let value = 0;
    while (position < end && text[position]! >= ZERO && text[position]! <= NINE) {
      value = value * 10 + text[position]! - ZERO;
      position++;
      if (value > 255) {
        return false;
      }
    }
    const digits = position - first;
    if (digits === 0 || (digits > 1 && text[first] === ZERO)) {
      return false;
    }
    out[at + part] = value;
    if (part < 3) {
      if (position >= end || text[position] !== DOT) {
        return false;
      }
      position++;
    }
  }
  return position === end;
}

/** Reads an IPv6 address that fills `text[start..end)` into `out[at..at+16)`; false if it is none. */
export function readIpv6(
  text: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): boolean {
  let position = start;
  let written = 0;
  let gapAt = -1;
  if (end - start >= 2 && text[start] === COLON && text[start + 1] === COLON) {
    gapAt = 0;
    position += 2;
  }
  while (position < end) {
    if (written >= 16) {
      return false;
    }
    const first = position;
    let value = 0;
    let digit = position < end ? hexDigit(text[position]!) : -1;
    while (digit >= 0 && position - first < 5) {
      value = value * 16 + digit;
      position++;
      digit = position < end ? hexDigit(text[position]!) : -1;
    }
    if (position < end && text[position] === DOT) {
      if (written > 12 || !readIpv4(text, first, end, out, at + written)) {
        return false;
      }
      written += 4;
      position = end;
      break;
    }
    const digits = position - first;
    if (digits === 0 || digits > 4) {
      return false;
    }
    out[at + written] = value >>> 8;
    out[at + written + 1] = value & 0xff;
    written += 2;
    if (position === end) {
      break;
    }
    if (text[position] !== COLON || position + 1 === end) {
      return false;
    }
    position++;
    if (text[position] === COLON) {
      if (gapAt >= 0) {
        return false;
      }
      gapAt = written;
      position++;
    }
  }
  return spreadGap(out, at, written, gapAt);
}

/** Dotted quad of the four bytes at `at`. */
export function formatIpv4(bytes: Uint8Array, at: number = 0): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** RFC 5952 text of the sixteen bytes at `at`. */
export function formatIpv6(bytes: Uint8Array, at: number = 0): string {
  if (isMapped(bytes, at)) {
    return `::ffff:${formatIpv4(bytes, at + 12)}`;
  }
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push((bytes[at + i]! << 8) | bytes[at + i + 1]!);
  }
  const [gapStart, gapLength] = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (gapLength < 2) {
    return hex.join(":");
  }
  return `${hex.slice(0, gapStart).join(":")}::${hex.slice(gapStart + gapLength).join(":")}`;
}

/** Moves what was read after `::` to the end and zeroes the gap; false if the length is wrong. */
function spreadGap(out: Uint8Array, at: number, written: number, gapAt: number): boolean {
  if (gapAt < 0) {
    return written === 16;
  }
  if (written > 14) {
    return false;
  }
  const tail = written - gapAt;
  out.copyWithin(at + 16 - tail, at + gapAt, at + written);
  out.fill(0, at + gapAt, at + 16 - tail);
  return true;
}

function longestZeroRun(groups: readonly number[]): [start: number, length: number] {
  let best: [number, number] = [0, 0];
  let start = 0;
  for (let i = 0; i <= groups.length; i++) {
    if (groups[i] === 0) {
      continue;
    }
    if (i - start > best[1]) {
      best = [start, i - start];
    }
    start = i + 1;
  }
  return best;
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) {
    if (bytes[at + i] !== 0) {
      return false;
    }
  }
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= NINE) {
    return byte - ZERO;
  }
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
