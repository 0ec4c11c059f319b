// SPDX-License-Identifier: Apache-2.0
//
// Presentation form → rdata, one part at a time, after the layouts of rdata-layout.ts.

import { parseIpv4, parseIpv6 } from "./address.ts";
import { decodeBase32Hex, decodeBase64, decodeHex } from "./base-codec.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { typeFromText } from "./constants.ts";
import { parseName } from "./name-text.ts";
import type { PartKind } from "./rdata-layout.ts";
import { parseServiceParams } from "./service-params.ts";
import { fieldBytes, parseTtl, parseUint } from "./text-field.ts";
import { textError, type TextError } from "./text-error.ts";
import { encodeTypeBitmap } from "./type-bitmap.ts";

const UINT32_MAX = 4_294_967_295;

/** Result of parsing a part: nothing, or what is wrong. */
type Outcome = TextError | undefined;

/** True for kinds that take every field that is left, none included where that is legal. */
export function takesRest(kind: PartKind): boolean {
  return kind.endsWith("Rest");
}

/** Appends the wire form of one field to `writer`. */
export function parsePart(
  what: string,
  kind: PartKind,
  field: string,
  origin: Uint8Array,
  writer: ByteWriter,
): Outcome {
  switch (kind) {
    case "u8":
      return putUint(what, field, 255, (value) => writer.u8(value));
    case "u16":
      return putUint(what, field, 65_535, (value) => writer.u16(value));
    case "u32":
      return putUint(what, field, UINT32_MAX, (value) => writer.u32(value));
    case "ttl":
      return put(
        what,
        field,
        "seconds or a duration such as 1h30m",
        parseTtl(field, UINT32_MAX),
        (value) => writer.u32(value),
      );
    case "time":
      return put(what, field, "YYYYMMDDHHmmSS or seconds", parseTime(field), (value) =>
        writer.u32(value),
      );
    case "type":
      return put(what, field, "a record type", typeFromText(field), (value) => writer.u16(value));
    case "ipv4":
      return putBytes(what, field, "an IPv4 address", parseIpv4(field), writer);
    case "ipv6":
      return putBytes(what, field, "an IPv6 address", parseIpv6(field), writer);
    case "name":
      return putName(what, field, origin, writer);
    case "string":
      return putString(what, field, writer);
    case "tag":
      return putTag(what, field, writer);
    case "salt":
      return putCounted(
        what,
        field,
        "hexadecimal digits or -",
        field === "-" ? new Uint8Array(0) : decodeHex(field),
        writer,
      );
    case "hash32":
      return putCounted(
        what,
        field,
        "base 32 (extended hex)",
        field === "" ? undefined : decodeBase32Hex(field),
        writer,
      );
    default:
      return textError(what, field, "one field");
  }
}

/** Appends the wire form of all fields that are left. */
export function parseRest(
  what: string,
  kind: PartKind,
  fields: readonly string[],
  writer: ByteWriter,
): Outcome {
  const joined = fields.join("");
  switch (kind) {
    case "stringsRest":
      return parseStrings(what, fields, writer);
    case "textRest":
      return fields.length === 1
        ? putBytes(what, joined, "well-formed escapes", fieldBytes(joined), writer)
        : textError(what, fields.join(" "), "one field");
    case "hexRest":
      return joined === ""
        ? textError(what, "", "hexadecimal digits")
        : putBytes(what, joined, "an even number of hexadecimal digits", decodeHex(joined), writer);
    case "base64Rest":
      return joined === ""
        ? textError(what, "", "base 64")
        : putBytes(what, joined, "base 64", decodeBase64(joined), writer);
    case "typesRest":
      return parseTypes(what, fields, writer);
    case "paramsRest":
      return parseParams(fields, writer);
    default:
      return textError(what, joined, "no such field");
  }
}

function parseStrings(what: string, fields: readonly string[], writer: ByteWriter): Outcome {
  if (fields.length === 0) {
    return textError(what, "", "at least one string");
  }
  for (const field of fields) {
    const fault = putString(what, field, writer);
    if (fault !== undefined) {
      return fault;
    }
  }
  return undefined;
}

function parseTypes(what: string, fields: readonly string[], writer: ByteWriter): Outcome {
  const types: number[] = [];
  for (const field of fields) {
    const type = typeFromText(field);
    if (type === undefined) {
      return textError(what, field, "a record type");
    }
    types.push(type);
  }
  writer.bytes(encodeTypeBitmap(types));
  return undefined;
}

function parseParams(fields: readonly string[], writer: ByteWriter): Outcome {
  const params = parseServiceParams(fields);
  if ("error" in params) {
    return params;
  }
  writer.bytes(params);
  return undefined;
}

function putName(what: string, field: string, origin: Uint8Array, writer: ByteWriter): Outcome {
  const name = parseName(field, origin);
  if (!(name instanceof Uint8Array)) {
    return textError(what, field, name.wanted);
  }
  writer.bytes(name);
  return undefined;
}

function putString(what: string, field: string, writer: ByteWriter): Outcome {
  const bytes = fieldBytes(field);
  return putCounted(what, field, "a string with well-formed escapes", bytes, writer);
}

function putTag(what: string, field: string, writer: ByteWriter): Outcome {
  const valid = /^[A-Za-z0-9]{1,255}$/.test(field);
  return putCounted(
    what,
    field,
    "letters and digits",
    valid ? fieldBytes(field) : undefined,
    writer,
  );
}

/** Bytes with their count in one byte before them. */
function putCounted(
  what: string,
  field: string,
  wanted: string,
  bytes: Uint8Array | undefined,
  writer: ByteWriter,
): Outcome {
  if (bytes === undefined) {
    return textError(what, field, wanted);
  }
  if (bytes.length > 255) {
    return textError(what, field, `at most 255 bytes (it has ${bytes.length})`);
  }
  writer.u8(bytes.length);
  writer.bytes(bytes);
  return undefined;
}

function putBytes(
  what: string,
  field: string,
  wanted: string,
  bytes: Uint8Array | undefined,
  writer: ByteWriter,
): Outcome {
  return put(what, field, wanted, bytes, (value) => writer.bytes(value));
}

function putUint(
  what: string,
  field: string,
  max: number,
  write: (value: number) => void,
): Outcome {
  return put(what, field, `a number 0..${max}`, parseUint(field, max), write);
}

function put<T>(
  what: string,
  field: string,
  wanted: string,
  value: T | undefined,
  write: (value: T) => void,
): Outcome {
  if (value === undefined) {
    return textError(what, field, wanted);
  }
  write(value);
  return undefined;
}

/** Seconds since 1970, modulo 2^32, of `YYYYMMDDHHmmSS` in UTC or of plain seconds (RFC 4034 §3.2). */
function parseTime(field: string): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(field);
  if (parts === null) {
    return parseUint(field, UINT32_MAX);
  }
  const [, year, month, day, hour, minute, second] = parts;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
  const milliseconds = Date.parse(iso);
  return Number.isNaN(milliseconds) ? undefined : (milliseconds / 1000) % (UINT32_MAX + 1);
}
