// SPDX-License-Identifier: Apache-2.0

import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

import { invalidListenError } from "./transport-error.ts";

const DOT = 0x2e;
const ZERO = 0x30;

/** Where to listen: a numeric address (IPv6 with an optional %zone), its family and a port (0: the kernel chooses). */
export interface ListenAddress {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
}

/** Parses "127.0.0.1:5300" or "[::1]:5300". Throws a MeridianError with code EDGE_LISTEN_INVALID. */
export function parseListenAddress(text: string): ListenAddress {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(colon, 0));
  const portText = text.slice(colon + 1);
  const port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : -1;
  const address = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  if (port >= 0 && port <= 65_535) {
    if (isIPv4(host)) return { address, port, family: 4 };
    if (address !== host && isIPv6(address)) return { address, port, family: 6 };
  }
  throw invalidListenError(text);
}

/** The opposite of parseListenAddress. */
export function formatListenAddress(listen: ListenAddress): string {
  const host = listen.family === 6 ? `[${listen.address}]` : listen.address;
  return `${host}:${listen.port}`;
}

export function isWildcard(listen: ListenAddress): boolean {
  return listen.family === 4 ? listen.address === "0.0.0.0" : /^[0:]+$/.test(listen.address);
}

/**
 * One entry for each local address of a wildcard, itself otherwise. node:dgram cannot say which address a packet was
 * sent to, so a reply from a wildcard socket could leave from another one; a socket for each address cannot.
 */
export function expandWildcard(listen: ListenAddress): ListenAddress[] {
  if (!isWildcard(listen)) return [listen];
  const family = listen.family === 4 ? "IPv4" : "IPv6";
  const { port } = listen;
  return Object.entries(networkInterfaces()).flatMap(([name, found = []]) =>
    found
      .filter((candidate) => candidate.family === family)
      .map(({ address }) => ({
        // A link-local address means something only on its own interface (RFC 4007 section 11).
        address: address.startsWith("fe80:") ? `${address}%${name}` : address,
        port,
        family: listen.family,
      })),
  );
}

/**
 * Writes a numeric address to 4 or 16 bytes at `target[start]` in network order; returns its family, or 0 where the
 * text is none; what then lies there is undefined. An IPv4-mapped IPv6 address counts as the IPv4 address that it holds.
 */
export function writeAddress(text: string, target: Uint8Array, start: number): 0 | 4 | 6 {
  if (writeIpv4(text, 0, target, start)) return 4;
  const zone = text.indexOf("%");
  const bare = zone < 0 ? text : text.slice(0, zone);
  if (!isIPv6(bare)) return 0;
  if (bare.startsWith("::ffff:") && writeIpv4(bare, "::ffff:".length, target, start)) return 4;
  writeIpv6(bare, target, start);
  return 6;
}

/** Parses four decimal numbers from `from` to the end of the text; false, with some bytes written, where it is not that. */
function writeIpv4(text: string, from: number, target: Uint8Array, start: number): boolean {
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = from; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === DOT && digits > 0 && part < 3) {
      target[start + part] = value;
      part += 1;
      value = 0;
      digits = 0;
    } else {
      value = value * 10 + code - ZERO;
      digits += 1;
      if (code < ZERO || code > ZERO + 9 || value > 255 || digits > 3) return false;
    }
  }
  target[start + part] = value;
  return part === 3 && digits > 0;
}

function writeIpv6(text: string, target: Uint8Array, start: number): void {
  const [head = "", tail] = text.split("::");
  const before = readGroups(head);
  const after = tail === undefined ? [] : readGroups(tail);
  target.fill(0, start, start + 16);
  target.set(before, start);
  target.set(after, start + 16 - after.length);
}

/** The bytes of colon-separated groups, the last of which may be a dotted IPv4 address. */
function readGroups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 255];
  });
}
