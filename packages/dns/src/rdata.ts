// SPDX-License-Identifier: Apache-2.0
//
// Rdata between wire form (names uncompressed) and presentation form. Any type can also be written
// as `\# length hex` (RFC 3597 §5), which for a known type must still be rdata of that type.

import { decodeHex, encodeHex } from "./base-codec.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { DnsLimits, typeToText } from "./constants.ts";
import { rootName } from "./name.ts";
import { formatPart } from "./rdata-format.ts";
import { rdataParts, type Part } from "./rdata-layout.ts";
import { parsePart, parseRest, takesRest } from "./rdata-parse.ts";
import { parseUint, splitFields } from "./text-field.ts";
import { textError, type TextError } from "./text-error.ts";

/** Rdata in wire form, 0 to 65,535 bytes. */
export interface Rdata {
  readonly rdata: Uint8Array;
}

const GENERIC_MARK = "\\#";

/**
 * Rdata of `type` from its fields as written (quotes and escapes included). Relative names are
 * completed with `origin`. An error's `field` is the index of the field at fault.
 */
export function parseRdata(
  type: number,
  fields: readonly string[],
  origin: Uint8Array = rootName,
): Rdata | TextError {
  if (fields[0] === GENERIC_MARK) {
    return parseGeneric(type, fields);
  }
  const parts = rdataParts(type);
  if (parts === undefined) {
    const wanted = `the generic form "${GENERIC_MARK} LENGTH HEX" (RFC 3597)`;
    return textError(`${typeToText(type)} data`, fields.join(" "), wanted, 0);
  }
  return parseParts(parts, fields, origin);
}

/** As parseRdata, for rdata in one text such as `10 mail.example.org.` */
export function parseRdataText(
  type: number,
  text: string,
  origin: Uint8Array = rootName,
): Rdata | TextError {
  const fields = splitFields(text);
  return "error" in fields ? fields : parseRdata(type, fields, origin);
}

/** Presentation form; the generic form for unknown types and for bytes that do not fit the type. */
export function formatRdata(type: number, rdata: Uint8Array): string {
  return formatKnown(type, rdata) ?? formatGeneric(rdata);
}

/** The generic form `\# length hex`, which fits every type. */
export function formatGeneric(rdata: Uint8Array): string {
  return rdata.length === 0
    ? `${GENERIC_MARK} 0`
    : `${GENERIC_MARK} ${rdata.length} ${encodeHex(rdata)}`;
}

/** True if the bytes are rdata of the type; always true for types without a known layout. */
export function isRdata(type: number, rdata: Uint8Array): boolean {
  return rdataParts(type) === undefined || formatKnown(type, rdata) !== undefined;
}

function parseParts(
  parts: readonly Part[],
  fields: readonly string[],
  origin: Uint8Array,
): Rdata | TextError {
  const writer = new ByteWriter(DnsLimits.rdataBytesMax);
  for (const [i, [what, kind]] of parts.entries()) {
    if (takesRest(kind)) {
      const fault = parseRest(what, kind, fields.slice(i), writer);
      return fault === undefined ? finish(writer, fields) : { ...fault, field: i };
    }
    const field = fields[i];
    if (field === undefined) {
      return missing(parts, i, fields);
    }
    const fault = parsePart(what, kind, field, origin, writer);
    if (fault !== undefined) {
      return { ...fault, field: i };
    }
  }
  const extra = fields[parts.length];
  return extra === undefined
    ? finish(writer, fields)
    : textError("extra field", extra, `only ${listParts(parts)}`, parts.length);
}

function missing(parts: readonly Part[], index: number, fields: readonly string[]): TextError {
  const what = parts[index]?.[0] ?? "field";
  const wanted = parts.length === 1 ? `one ${what}` : listParts(parts);
  const found = fields.join(" ");
  return { error: `${what} is missing, expected ${wanted}`, found, wanted, field: index };
}

function listParts(parts: readonly Part[]): string {
  return parts.map(([what]) => what).join(", ");
}

function finish(writer: ByteWriter, fields: readonly string[]): Rdata | TextError {
  return writer.overflowed
    ? textError("data", fields.join(" "), `at most ${DnsLimits.rdataBytesMax} bytes`)
    : { rdata: writer.finish() };
}

function parseGeneric(type: number, fields: readonly string[]): Rdata | TextError {
  const length = parseUint(fields[1] ?? "", DnsLimits.rdataBytesMax);
  if (length === undefined) {
    return textError("length", fields[1] ?? "", "a number 0..65535", 1);
  }
  const hex = fields.slice(2).join("");
  const rdata = decodeHex(hex);
  if (rdata?.length !== length) {
    return textError("data", hex, `${length} bytes as hexadecimal digits`, 2);
  }
  return isRdata(type, rdata)
    ? { rdata }
    : textError("data", hex, `bytes that are ${typeToText(type)} data`, 2);
}

function formatKnown(type: number, rdata: Uint8Array): string | undefined {
  const parts = rdataParts(type);
  if (parts === undefined) {
    return undefined;
  }
  const reader = new ByteReader(rdata);
  const texts: string[] = [];
  for (const [, kind] of parts) {
    const text = formatPart(kind, reader);
    if (reader.failed || text === undefined) {
      return undefined;
    }
    if (text !== "") {
      texts.push(text);
    }
  }
  return reader.remaining === 0 ? texts.join(" ") : undefined;
}
