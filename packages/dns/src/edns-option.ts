// SPDX-License-Identifier: Apache-2.0
//
// EDNS options between bytes and meaning. Parsers return undefined for malformed contents; what
// to answer then (FORMERR for a bad client subnet or cookie) is the caller's decision.

import { formatIpv4, formatIpv6 } from "./address.ts";
import { EdnsOptionCode } from "./constants.ts";
import type { EdnsOption } from "./message.ts";

/** Address families of RFC 7871 §6. */
export const EcsFamily = { IPV4: 1, IPV6: 2 } as const;

/** A client subnet (RFC 7871 §6); `address` has 4 or 16 bytes, zero after the source prefix. */
export interface ClientSubnet {
  readonly family: number;
  readonly sourcePrefix: number;
  readonly scopePrefix: number;
  readonly address: Uint8Array;
}

/** A cookie (RFC 7873 §4): 8 bytes from the client and, once known, 8 to 32 from the server. */
export interface Cookie {
  readonly client: Uint8Array;
  readonly server: Uint8Array;
}

/** An extended error (RFC 8914 §2). */
export interface ExtendedErrorOption {
  readonly infoCode: number;
  readonly text: string;
}

/** The first option with that code. */
export function findOption(options: readonly EdnsOption[], code: number): EdnsOption | undefined {
  return options.find((option) => option.code === code);
}

/**
 * A client subnet option of the least length (RFC 7871 §6). `address` has 4 or 16 bytes, or none
 * with a prefix of 0; bits past the prefix are cleared.
 */
export function ecsOption(
  address: Uint8Array,
  sourcePrefix: number,
  scopePrefix: number = 0,
): EdnsOption {
  const prefixBytes = Math.min((sourcePrefix + 7) >>> 3, address.length);
  const data = new Uint8Array(4 + prefixBytes);
  data[1] = address.length === 16 ? EcsFamily.IPV6 : EcsFamily.IPV4;
  data[2] = sourcePrefix;
  data[3] = scopePrefix;
  data.set(address.subarray(0, prefixBytes), 4);
  if (prefixBytes > 0) {
    data[3 + prefixBytes] = data[3 + prefixBytes]! & lastByteMask(sourcePrefix);
  }
  return { code: EdnsOptionCode.CLIENT_SUBNET, data };
}

/**
 * A client subnet; undefined if RFC 7871 §7.1.2 calls for FORMERR: unknown family, prefix longer
 * than the address, length other than the prefix needs, or bits set past the prefix.
 */
export function parseEcs(data: Uint8Array): ClientSubnet | undefined {
  if (data.length < 4) {
    return undefined;
  }
  const family = (data[0]! << 8) | data[1]!;
  const sourcePrefix = data[2]!;
  const scopePrefix = data[3]!;
  const addressBytes = family === EcsFamily.IPV4 ? 4 : family === EcsFamily.IPV6 ? 16 : 0;
  const prefixBytes = (sourcePrefix + 7) >>> 3;
  const bits = addressBytes * 8;
  if (addressBytes === 0 || sourcePrefix > bits || scopePrefix > bits) {
    return undefined;
  }
  if (data.length !== 4 + prefixBytes) {
    return undefined;
  }
  if (prefixBytes > 0 && (data[3 + prefixBytes]! & ~lastByteMask(sourcePrefix) & 0xff) !== 0) {
    return undefined;
  }
  const address = new Uint8Array(addressBytes);
  address.set(data.subarray(4));
  return { family, sourcePrefix, scopePrefix, address };
}

/** `192.0.2.0/24/0`, as dig writes a client subnet. */
export function formatEcs(subnet: ClientSubnet): string {
  const address =
    subnet.family === EcsFamily.IPV4 ? formatIpv4(subnet.address) : formatIpv6(subnet.address);
  return `${address}/${subnet.sourcePrefix}/${subnet.scopePrefix}`;
}

/** A cookie option; `server` empty in a first query. */
export function cookieOption(
  client: Uint8Array,
  server: Uint8Array = new Uint8Array(0),
): EdnsOption {
  const data = new Uint8Array(client.length + server.length);
  data.set(client);
  data.set(server, client.length);
  return { code: EdnsOptionCode.COOKIE, data };
}

/** A cookie; undefined unless it has 8 or 16 to 40 bytes (RFC 7873 §5.2.2). */
export function parseCookie(data: Uint8Array): Cookie | undefined {
  if (data.length !== 8 && (data.length < 16 || data.length > 40)) {
    return undefined;
  }
  return { client: data.slice(0, 8), server: data.slice(8) };
}

/** A name server identifier (RFC 5001); empty in a query. */
export function nsidOption(id: string = ""): EdnsOption {
  return { code: EdnsOptionCode.NSID, data: new TextEncoder().encode(id) };
}

/** The identifier as text; bytes that are not UTF-8 become U+FFFD. */
export function parseNsid(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** An extended error; `text` is for people and optional. */
export function edeOption(infoCode: number, text: string = ""): EdnsOption {
  const textBytes = new TextEncoder().encode(text);
  const data = new Uint8Array(2 + textBytes.length);
  data[0] = infoCode >>> 8;
  data[1] = infoCode & 0xff;
  data.set(textBytes, 2);
  return { code: EdnsOptionCode.EXTENDED_ERROR, data };
}

/** An extended error; undefined if it has no code. A terminating zero byte is dropped (RFC 8914 §2). */
export function parseEde(data: Uint8Array): ExtendedErrorOption | undefined {
  if (data.length < 2) {
    return undefined;
  }
  const text = new TextDecoder().decode(data.subarray(2)).replace(/\0$/, "");
  return { infoCode: (data[0]! << 8) | data[1]!, text };
}

/** TCP keepalive (RFC 7828 §3.1): empty from a client, from a server a time-out in units of 100 ms. */
export function tcpKeepaliveOption(timeoutDeciseconds?: number): EdnsOption {
  const data =
    timeoutDeciseconds === undefined
      ? new Uint8Array(0)
      : Uint8Array.of(timeoutDeciseconds >>> 8, timeoutDeciseconds & 0xff);
  return { code: EdnsOptionCode.TCP_KEEPALIVE, data };
}

/** The time-out in units of 100 ms, null where none is given, undefined if malformed. */
export function parseTcpKeepalive(data: Uint8Array): number | null | undefined {
  if (data.length === 0) {
    return null;
  }
  return data.length === 2 ? (data[0]! << 8) | data[1]! : undefined;
}

function lastByteMask(prefix: number): number {
  const bits = prefix & 7;
  return bits === 0 ? 0xff : (0xff << (8 - bits)) & 0xff;
}
