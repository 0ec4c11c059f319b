// SPDX-License-Identifier: Apache-2.0
//
// SvcParams of SVCB and HTTPS records (RFC 9460 §2.1, §2.2, appendix A). In text a list of
// `key=value`, on the wire (key, length, value) in rising order of keys, each at most once.

import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "./address.ts";
import { decodeBase64, encodeBase64 } from "./base-codec.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { DnsLimits } from "./constants.ts";
import { escapeBytes, fieldBytes, parseUint } from "./text-field.ts";
import { textError, type TextError } from "./text-error.ts";

/** SvcParamKeys (IANA "Service Parameter Keys"). */
export const SvcParamKey = {
  mandatory: 0,
  alpn: 1,
  "no-default-alpn": 2,
  port: 3,
  ipv4hint: 4,
  ech: 5,
  ipv6hint: 6,
  dohpath: 7,
} as const;

const COMMA = 0x2c;
const BACKSLASH = 0x5c;

const keyNumbers: ReadonlyMap<string, number> = new Map(Object.entries(SvcParamKey));
const keyNames: ReadonlyMap<number, string> = new Map(
  Object.entries(SvcParamKey).map(([name, key]) => [key, name]),
);
const latin1 = new TextDecoder("latin1");

interface Param {
  readonly key: number;
  readonly value: Uint8Array;
}

/** Wire form of SvcParams written as fields `key` or `key=value`, in any order. */
export function parseServiceParams(fields: readonly string[]): Uint8Array | TextError {
  const params: Param[] = [];
  for (const field of fields) {
    const param = parseParam(field);
    if ("error" in param) {
      return param;
    }
    if (params.some((other) => other.key === param.key)) {
      return textError("parameter", field, "each key at most once");
    }
    params.push(param);
  }
  params.sort((a, b) => a.key - b.key);
  const fault = checkParams(params);
  if (fault !== undefined) {
    return textError("parameter list", fields.join(" "), fault);
  }
  const writer = new ByteWriter(DnsLimits.rdataBytesMax);
  for (const param of params) {
    writer.u16(param.key);
    writer.u16(param.value.length);
    writer.bytes(param.value);
  }
  return writer.overflowed
    ? textError("parameter list", fields.join(" "), "at most 65535 bytes")
    : writer.finish();
}

/** Text of SvcParams on the wire; undefined if they are malformed or out of order. */
export function formatServiceParams(wire: Uint8Array): string | undefined {
  const reader = new ByteReader(wire);
  const params: Param[] = [];
  const texts: string[] = [];
  while (reader.remaining > 0) {
    const key = reader.u16();
    const value = reader.bytes(reader.u16());
    const text = formatParam(key, value);
    const last = params.at(-1);
    if (reader.failed || text === undefined || (last !== undefined && last.key >= key)) {
      return undefined;
    }
    params.push({ key, value });
    texts.push(text);
  }
  return checkParams(params) === undefined ? texts.join(" ") : undefined;
}

/** What RFC 9460 §8 and §7.1.1 demand of the list as a whole; undefined if it holds. */
function checkParams(params: readonly Param[]): string | undefined {
  const has = (key: number): boolean => params.some((param) => param.key === key);
  const mandatory = params.find((param) => param.key === SvcParamKey.mandatory);
  if (mandatory !== undefined && !uint16List(mandatory.value).every(has)) {
    return "every mandatory key to be present";
  }
  if (has(SvcParamKey["no-default-alpn"]) && !has(SvcParamKey.alpn)) {
    return "alpn beside no-default-alpn";
  }
  return undefined;
}

function parseParam(field: string): Param | TextError {
  const equals = field.indexOf("=");
  const keyText = equals < 0 ? field : field.slice(0, equals);
  const key = parseKey(keyText);
  if (key === undefined) {
    return textError("parameter key", keyText, "a key such as alpn, port or key65280");
  }
  const bytes = equals < 0 ? new Uint8Array(0) : fieldBytes(field.slice(equals + 1));
  const value = bytes === undefined ? undefined : parseValue(key, bytes);
  return value === undefined ? textError("parameter", field, wantedValue(key)) : { key, value };
}

function parseKey(text: string): number | undefined {
  if (/^key(?:0|[1-9][0-9]{0,4})$/.test(text)) {
    const key = Number(text.slice(3));
    return key < 65_535 ? key : undefined;
  }
  return keyNumbers.get(text);
}

function keyText(key: number): string {
  return keyNames.get(key) ?? `key${key}`;
}

function wantedValue(key: number): string {
  switch (key) {
    case SvcParamKey.mandatory:
      return "mandatory=KEY,… without repeats and without mandatory itself";
    case SvcParamKey.alpn:
      return "alpn=ID,… of 1 to 255 bytes each";
    case SvcParamKey["no-default-alpn"]:
      return "no-default-alpn without a value";
    case SvcParamKey.port:
      return "port=0..65535";
    case SvcParamKey.ipv4hint:
      return "ipv4hint=ADDRESS,… of IPv4 addresses";
    case SvcParamKey.ech:
      return "ech=BASE64";
    case SvcParamKey.ipv6hint:
      return "ipv6hint=ADDRESS,… of IPv6 addresses";
    case SvcParamKey.dohpath:
      return "dohpath=TEMPLATE with {?dns}";
    default:
      return "well-formed escapes";
  }
}

function parseValue(key: number, bytes: Uint8Array): Uint8Array | undefined {
  const text = latin1.decode(bytes);
  switch (key) {
    case SvcParamKey.mandatory:
      return parseMandatory(text);
    case SvcParamKey.alpn:
      return parseAlpn(bytes);
    case SvcParamKey["no-default-alpn"]:
      return bytes.length === 0 ? bytes : undefined;
    case SvcParamKey.port: {
      const port = parseUint(text, 65_535);
      return port === undefined ? undefined : Uint8Array.of(port >>> 8, port & 0xff);
    }
    case SvcParamKey.ipv4hint:
      return parseAddresses(text, 4, parseIpv4);
    case SvcParamKey.ech: {
      const config = decodeBase64(text);
      return config === undefined || config.length === 0 ? undefined : config;
    }
    case SvcParamKey.ipv6hint:
      return parseAddresses(text, 16, parseIpv6);
    default:
      return bytes;
  }
}

function formatParam(key: number, value: Uint8Array): string | undefined {
  const text = formatValue(key, value);
  if (text === undefined) {
    return undefined;
  }
  return text === "" ? keyText(key) : `${keyText(key)}=${text}`;
}

/** Text after `=`; empty where there is no value, undefined if the value is malformed. */
function formatValue(key: number, value: Uint8Array): string | undefined {
  switch (key) {
    case SvcParamKey.mandatory:
      return isMandatory(value) ? uint16List(value).map(keyText).join(",") : undefined;
    case SvcParamKey.alpn:
      return formatAlpn(value);
    case SvcParamKey["no-default-alpn"]:
      return value.length === 0 ? "" : undefined;
    case SvcParamKey.port:
      return value.length === 2 ? String((value[0]! << 8) | value[1]!) : undefined;
    case SvcParamKey.ipv4hint:
      return formatAddresses(value, 4, formatIpv4);
    case SvcParamKey.ech:
      return value.length > 0 ? encodeBase64(value) : undefined;
    case SvcParamKey.ipv6hint:
      return formatAddresses(value, 16, formatIpv6);
    default:
      return value.length === 0 ? "" : `"${escapeBytes(value, '"\\')}"`;
  }
}

function parseMandatory(text: string): Uint8Array | undefined {
  const keys: number[] = [];
  for (const part of text.split(",")) {
    const key = parseKey(part);
    if (key === undefined || key === SvcParamKey.mandatory || keys.includes(key)) {
      return undefined;
    }
    keys.push(key);
  }
  keys.sort((a, b) => a - b);
  return Uint8Array.from(keys.flatMap((key) => [key >>> 8, key & 0xff]));
}

function isMandatory(value: Uint8Array): boolean {
  const keys = uint16List(value);
  const rising = keys.every((key, i) => key > (i === 0 ? 0 : keys[i - 1]!));
  return value.length > 0 && value.length % 2 === 0 && rising;
}

function uint16List(value: Uint8Array): number[] {
  const list: number[] = [];
  for (let i = 0; i + 1 < value.length; i += 2) {
    list.push((value[i]! << 8) | value[i + 1]!);
  }
  return list;
}

/** Splits at commas; `\,` and `\\` stand for themselves (RFC 9460 appendix A.1). */
function parseAlpn(bytes: Uint8Array): Uint8Array | undefined {
  const out: number[] = [];
  let id: number[] = [];
  for (let at = 0; at <= bytes.length; at++) {
    const byte = bytes[at];
    if (byte === undefined || byte === COMMA) {
      if (id.length === 0 || id.length > 255) {
        return undefined;
      }
      out.push(id.length, ...id);
      id = [];
      continue;
    }
    if (byte === BACKSLASH) {
      at++;
      const escaped = bytes[at];
      if (escaped !== COMMA && escaped !== BACKSLASH) {
        return undefined;
      }
      id.push(escaped);
      continue;
    }
    id.push(byte);
  }
  return Uint8Array.from(out);
}

function formatAlpn(value: Uint8Array): string | undefined {
  const reader = new ByteReader(value);
  const ids: string[] = [];
  while (reader.remaining > 0) {
    const id = reader.characterString();
    if (reader.failed || id.length === 0) {
      return undefined;
    }
    // Two layers: the list's own escapes first, then those of a character-string.
    const listed = escapeListItem(id);
    ids.push(escapeBytes(listed, '"\\'));
  }
  const text = ids.join(",");
  return text === "" ? undefined : /[^A-Za-z0-9,./_-]/.test(text) ? `"${text}"` : text;
}

function escapeListItem(id: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (const byte of id) {
    if (byte === COMMA || byte === BACKSLASH) {
      out.push(BACKSLASH);
    }
    out.push(byte);
  }
  return Uint8Array.from(out);
}

function parseAddresses(
  text: string,
  bytesEach: number,
  parse: (text: string) => Uint8Array | undefined,
): Uint8Array | undefined {
  const parts = text.split(",");
  const out = new Uint8Array(parts.length * bytesEach);
  for (const [i, part] of parts.entries()) {
    const address = parse(part);
    if (address === undefined) {
      return undefined;
    }
    out.set(address, i * bytesEach);
  }
  return out;
}

function formatAddresses(
  value: Uint8Array,
  bytesEach: number,
  format: (bytes: Uint8Array, at: number) => string,
): string | undefined {
  if (value.length === 0 || value.length % bytesEach !== 0) {
    return undefined;
  }
  const texts: string[] = [];
  for (let at = 0; at < value.length; at += bytesEach) {
    texts.push(format(value, at));
  }
  return texts.join(",");
}
