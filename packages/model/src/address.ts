// SPDX-License-Identifier: Apache-2.0
import { isIPv4, isIPv6 } from "node:net";

/** What the text of an address is: an IPv4 or IPv6 address, or a host name. */
export type AddressKind = "ipv4" | "ipv6" | "name";

/** A prefix of the client's address space, its bits past `length` all 0. */
export interface Prefix {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, in network order. */
  readonly bytes: Uint8Array;
  /** 0..32 or 0..128. */
  readonly length: number;
}

/** The kind of an endpoint's address, or undefined where the text is none. */
export function addressKind(text: string): AddressKind | undefined {
  if (isIPv4(text)) return "ipv4";
  if (isIPv6(text) && !text.includes("%")) return "ipv6";
  return text.includes(".") && isHostName(text) ? "name" : undefined;
}

/**
 * Whether a text is a domain name as hosts and services use it: labels of letters, digits, `-` and
 * `_`, up to 63 each and 253 in all, the last one not a number (so that `192.0.2.300` is no name).
 */
export function isHostName(text: string): boolean {
  const end = text.endsWith(".") ? text.length - 1 : text.length;
  if (end === 0 || end > 253) return false;
  // One pass over the characters: a million names are checked, and splitting them costs 5 times this.
  let labelStart = 0;
  let hasNonDigit = false;
  for (let at = 0; at <= end; at += 1) {
    const code = at === end ? dot : text.charCodeAt(at);
    if (code === dot) {
      const length = at - labelStart;
      if (length === 0 || length > 63 || text.charCodeAt(at - 1) === hyphen) return false;
      if (at === end) return hasNonDigit;
      labelStart = at + 1;
      hasNonDigit = false;
    } else if (code < digitZero || code > digitNine) {
      if (code === hyphen ? at === labelStart : !isLetter(code)) return false;
      hasNonDigit = true;
    }
  }
  return false;
}

const dot = 0x2e;
const hyphen = 0x2d;
const digitZero = 0x30;
const digitNine = 0x39;

/** Whether a character is a letter or `_`. */
function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || code === 0x5f;
}

/** The 4 or 16 bytes of an address, or undefined where the text is none. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return ipv4Bytes(text);
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const groups = ipv6Groups(text);
  const bytes = new Uint8Array(16);
  groups.forEach((group, index) => {
    bytes[index * 2] = group >> 8;
    bytes[index * 2 + 1] = group & 0xff;
  });
  return bytes;
}

/** Of a text that is one: a loop takes a tenth of splitting it, and a hundred thousand endpoints are looked at more than once. */
function ipv4Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(4);
  let index = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === dot) index += 1;
    else bytes[index] = (bytes[index] ?? 0) * 10 + code - digitZero;
  }
  return bytes;
}

/** A prefix, or why the text is none; a base with host bits is refused with the base it should be. */
export function parsePrefix(text: string): Prefix | { readonly wanted: string } {
  const slash = text.indexOf("/");
  const bytes = slash < 0 ? undefined : addressBytes(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (bytes === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) {
    return { wanted: "a prefix such as 192.0.2.0/24 or 2001:db8::/32" };
  }
  const length = Number(lengthText);
  const lengthMax = bytes.length * 8;
  if (length > lengthMax) return { wanted: `a prefix of at most /${lengthMax}` };
  const network = maskBytes(bytes, length);
  if (network.some((byte, index) => byte !== bytes[index])) {
    return { wanted: `the network address, ${formatAddress(network)}/${length}` };
  }
  return { family: bytes.length === 4 ? 4 : 6, bytes, length };
}

/** The text of an address by RFC 5952 (IPv6) or in dotted decimals. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  const text = groups.map((group) => group.toString(16)).join(":");
  const runs = [...text.matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)].map((match) => match[1] ?? "");
  const longest = runs.reduce((a, b) => (b.length > a.length ? b : a), "");
  if (longest === "") return text;
  const start = `:${text}:`.indexOf(`:${longest}:`);
  const before = text.slice(0, Math.max(0, start - 1));
  return `${before}::${text.slice(start + longest.length + 1)}`;
}

/** The canonical text of a prefix, equal for equal prefixes. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.bytes)}/${prefix.length}`;
}

function maskBytes(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, length - index * 8));
    return byte & (0xff << (8 - kept));
  });
}

function ipv6Groups(text: string): number[] {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const hex = dotted === null ? text : `${dotted[1]}${dottedAsHex(dotted[2] ?? "")}`;
  const [head = "", tail] = hex.split("::");
  const groupsOf = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  if (tail === undefined) return groupsOf(head);
  const left = groupsOf(head);
  const right = groupsOf(tail);
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function dottedAsHex(text: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
