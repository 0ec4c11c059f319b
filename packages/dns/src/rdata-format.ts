// SPDX-License-Identifier: Apache-2.0
//
// Rdata → presentation form, one part at a time, after the layouts of rdata-layout.ts.

import { formatIpv4, formatIpv6 } from "./address.ts";
import { encodeBase32Hex, encodeBase64, encodeHex } from "./base-codec.ts";
import type { ByteReader } from "./byte-reader.ts";
import { typeToText } from "./constants.ts";
import { formatName } from "./name-text.ts";
import type { PartKind } from "./rdata-layout.ts";
import { formatServiceParams } from "./service-params.ts";
import { escapeBytes, formatQuoted } from "./text-field.ts";
import { decodeTypeBitmap } from "./type-bitmap.ts";

/**
 * Text of the next part; empty if it needs none (an empty list). Undefined, or a failed reader,
 * means that the bytes are not what the kind wants.
 */
export function formatPart(kind: PartKind, reader: ByteReader): string | undefined {
  switch (kind) {
    case "u8":
      return String(reader.u8());
    case "u16":
      return String(reader.u16());
    case "u32":
    case "ttl":
      return String(reader.u32());
    case "time":
      return formatTime(reader.u32());
    case "type":
      return typeToText(reader.u16());
    case "ipv4":
      return formatIpv4(reader.bytes(4));
    case "ipv6":
      return formatAddress6(reader.bytes(16));
    case "name":
      return formatName(reader.name());
    case "string":
      return formatQuoted(reader.characterString());
    case "stringsRest":
      return formatStrings(reader);
    case "tag":
      return formatTag(reader.characterString());
    case "textRest":
      return formatQuoted(reader.rest());
    case "hexRest":
      return encodeHex(reader.rest()) || undefined;
    case "base64Rest":
      return encodeBase64(reader.rest()) || undefined;
    case "salt":
      return encodeHex(reader.characterString()) || "-";
    case "hash32":
      return encodeBase32Hex(reader.characterString()) || undefined;
    case "typesRest":
      return decodeTypeBitmap(reader.rest())?.map(typeToText).join(" ");
    case "paramsRest":
      return formatServiceParams(reader.rest());
  }
}

function formatAddress6(bytes: Uint8Array): string | undefined {
  return bytes.length === 16 ? formatIpv6(bytes) : undefined;
}

function formatStrings(reader: ByteReader): string | undefined {
  const texts: string[] = [];
  do {
    texts.push(formatQuoted(reader.characterString()));
  } while (reader.remaining > 0);
  return texts.join(" ");
}

function formatTag(bytes: Uint8Array): string | undefined {
  const text = escapeBytes(bytes, "");
  return /^[A-Za-z0-9]+$/.test(text) ? text : undefined;
}

/** `YYYYMMDDHHmmSS` in UTC (RFC 4034 §3.2); times up to 2106. */
function formatTime(seconds: number): string {
  return new Date(seconds * 1000)
    .toISOString()
    .replace(/\.\d+Z$/, "")
    .replace(/[-:T]/g, "");
}
