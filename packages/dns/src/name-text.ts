// SPDX-License-Identifier: Apache-2.0
//
// Names between presentation form (RFC 1035 §5.1) and wire form. `\.` and other `\X` stand for the
// character itself, `\DDD` for the byte with that decimal value. A name without a trailing dot is
// relative to the origin; `@` is the origin. Bytes above 127 pass as they are (UTF-8 if the source
// was a string): IDNA conversion is the writer's business.

import { DnsLimits } from "./constants.ts";
import { rootName } from "./name.ts";
import { utf8Bytes } from "./text-bytes.ts";
import { textError, type NameError } from "./text-error.ts";

const DOT = 0x2e;
const BACKSLASH = 0x5c;
const AT = 0x40;
const ZERO = 0x30;
const NINE = 0x39;

const decoder = new TextDecoder();
const none: Uint8Array = new Uint8Array(0);

/**
 * Wire form of a name in presentation form. A relative name without `origin` is taken as relative
 * to the root, so `parseName("www.example.org")` is `www.example.org.`
 */
export function parseName(text: string, origin: Uint8Array = rootName): Uint8Array | NameError {
  const bytes = utf8Bytes(text);
  return parseNameBytes(bytes, 0, bytes.length, origin);
}

/** As parseName, for the bytes from `start` up to `end` of a larger text. */
export function parseNameBytes(
  text: Uint8Array,
  start: number,
  end: number,
  origin: Uint8Array,
): Uint8Array | NameError {
  if (end === start + 1 && text[start] === AT) {
    return origin;
  }
  if (end === start + 1 && text[start] === DOT) {
    return rootName;
  }
  const fail = (wanted: string): NameError =>
    textError("name", decoder.decode(text.subarray(start, end)), wanted);
  if (end === start) {
    return fail('a domain name, "@" or "."');
  }
  // As long as the text at most: a length byte takes the place of each dot, and of the first label.
  const wire = new Uint8Array(Math.min(end - start + 2, DnsLimits.nameBytesMax));
  let labelAt = 0;
  let out = 1;
  let absolute = false;
  for (let at = start; at < end; at++) {
    let byte = text[at]!;
    if (byte === DOT) {
      if (out === labelAt + 1) {
        return fail("no empty label");
      }
      wire[labelAt] = out - labelAt - 1;
      labelAt = out;
      out++;
      absolute = at === end - 1;
      continue;
    }
    if (byte === BACKSLASH) {
      byte = unescapeAt(text, at, end);
      if (byte < 0) {
        return fail("\\DDD up to 255, or \\ and one other character");
      }
      at += escapeLength(text, at) - 1;
    }
    if (out - labelAt > DnsLimits.labelBytesMax) {
      return fail("labels of at most 63 bytes");
    }
    if (out >= DnsLimits.nameBytesMax) {
      return fail("at most 255 bytes on the wire");
    }
    wire[out] = byte;
    out++;
  }
  if (absolute) {
    // `out` is one past the place of the root label's zero byte, which is there already.
    return out > DnsLimits.nameBytesMax
      ? fail("at most 255 bytes on the wire")
      : join(wire, out, none);
  }
  wire[labelAt] = out - labelAt - 1;
  if (out + origin.length > DnsLimits.nameBytesMax) {
    return fail("at most 255 bytes on the wire, origin included");
  }
  return join(wire, out, origin);
}

/** The first bytes of one array and all of another. For so few bytes a loop beats `set`. */
function join(head: Uint8Array, headBytes: number, tail: Uint8Array): Uint8Array {
  const joined = new Uint8Array(headBytes + tail.length);
  for (let i = 0; i < headBytes; i++) {
    joined[i] = head[i]!;
  }
  for (let i = 0; i < tail.length; i++) {
    joined[headBytes + i] = tail[i]!;
  }
  return joined;
}

/** The byte that the escape at `at` (a backslash) stands for; -1 if it is malformed. */
export function unescapeAt(text: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) {
    return -1;
  }
  const first = text[at + 1]!;
  if (!isDigit(first)) {
    return first;
  }
  if (at + 3 >= end || !isDigit(text[at + 2]!) || !isDigit(text[at + 3]!)) {
    return -1;
  }
  const value = (first - ZERO) * 100 + (text[at + 2]! - ZERO) * 10 + (text[at + 3]! - ZERO);
  return value <= 255 ? value : -1;
}

/** Bytes that the escape at `at` takes: 4 for `\DDD`, otherwise 2. */
export function escapeLength(text: Uint8Array, at: number): number {
  return isDigit(text[at + 1] ?? 0) ? 4 : 2;
}

/**
 * Presentation form of the uncompressed name at `offset`: absolute, with the trailing dot, special
 * and unprintable bytes escaped. Bytes that are not a name give as much as could be read.
 */
export function formatName(wire: Uint8Array, offset: number = 0): string {
  let text = "";
  let at = offset;
  while (at < wire.length) {
    const labelBytes = wire[at]!;
    if (labelBytes === 0 || labelBytes > DnsLimits.labelBytesMax) {
      break;
    }
    const end = Math.min(at + 1 + labelBytes, wire.length);
    for (let i = at + 1; i < end; i++) {
      text += escapeByte(wire[i]!);
    }
    text += ".";
    at = end;
  }
  return text === "" ? "." : text;
}

function escapeByte(byte: number): string {
  if (byte <= 0x20 || byte >= 0x7f) {
    return `\\${String(byte).padStart(3, "0")}`;
  }
  const character = String.fromCharCode(byte);
  return '.\\"();@$'.includes(character) ? `\\${character}` : character;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}
