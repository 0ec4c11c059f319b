// SPDX-License-Identifier: Apache-2.0
//
// Fields of presentation form (RFC 1035 §5.1). A field is kept exactly as written, quotes and
// escapes included, because what they mean depends on the rdata that they belong to: in
// `alpn="h2,h\\,3"` of SVCB they are undone twice, in a name a dot may be escaped.

import { escapeLength, unescapeAt } from "./name-text.ts";
import { utf8Bytes } from "./text-bytes.ts";
import { textError, type TextError } from "./text-error.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Splits text at blanks outside quotes into fields as written; a quote left open is an error. */
export function splitFields(text: string): string[] | TextError {
  const fields: string[] = [];
  let start = -1;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (
      !quoted &&
      (character === " " || character === "\t" || character === "\n" || character === "\r")
    ) {
      if (start >= 0) {
        fields.push(text.slice(start, i));
        start = -1;
      }
      continue;
    }
    if (start < 0) {
      start = i;
    }
    if (character === "\\") {
      i++;
    } else if (character === '"') {
      quoted = !quoted;
    }
  }
  if (quoted) {
    return textError("text", text, "a closing quote");
  }
  if (start >= 0) {
    fields.push(text.slice(start));
  }
  return fields;
}

/** The bytes a field stands for, quotes removed and escapes undone; undefined if an escape is malformed. */
export function fieldBytes(field: string): Uint8Array | undefined {
  const text = utf8Bytes(field);
  const out = new Uint8Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text[at]!;
    if (byte === QUOTE) {
      continue;
    }
    if (byte !== BACKSLASH) {
      out[length++] = byte;
      continue;
    }
    const value = unescapeAt(text, at, text.length);
    if (value < 0) {
      return undefined;
    }
    out[length++] = value;
    at += escapeLength(text, at) - 1;
  }
  return out.slice(0, length);
}

/** Bytes as a quoted string in which quotes, backslashes and unprintable bytes are escaped. */
export function formatQuoted(bytes: Uint8Array): string {
  return `"${escapeBytes(bytes, '"\\')}"`;
}

/** Bytes as text; those in `special` get a backslash, unprintable ones become `\DDD`. */
export function escapeBytes(bytes: Uint8Array, special: string): string {
  let text = "";
  for (const byte of bytes) {
    if (byte < 0x20 || byte >= 0x7f) {
      text += `\\${String(byte).padStart(3, "0")}`;
      continue;
    }
    const character = String.fromCharCode(byte);
    text += special.includes(character) ? `\\${character}` : character;
  }
  return text;
}

/** A whole number in decimal from 0 to `max`, or undefined. */
export function parseUint(field: string, max: number): number | undefined {
  if (!/^[0-9]{1,10}$/.test(field)) {
    return undefined;
  }
  const value = Number(field);
  return value <= max ? value : undefined;
}

const TTL_UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds of a TTL such as `300` or `1h30m` (units s, m, h, d, w), at most `max`; or undefined. */
export function parseTtl(field: string, max: number): number | undefined {
  if (/^[0-9]+$/.test(field)) {
    return parseUint(field, max);
  }
  if (!/^(?:[0-9]{1,10}[smhdwSMHDW])+$/.test(field)) {
    return undefined;
  }
  let seconds = 0;
  for (const part of field.toLowerCase().matchAll(/([0-9]+)([smhdw])/g)) {
    seconds += Number(part[1]) * (TTL_UNITS[part[2] ?? ""] ?? 0);
  }
  return seconds <= max ? seconds : undefined;
}
