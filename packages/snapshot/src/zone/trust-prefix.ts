// SPDX-License-Identifier: Apache-2.0

import { parseIpv4, parseIpv6 } from "@meridian/dns";
import { Client, FAMILY_IPV4, FAMILY_IPV6 } from "../client.ts";

/**
 * Family, prefix length and four address words of `192.0.2.0/24` or `2001:db8::/32`, bits beyond the length zero; undefined where
 * the text is no prefix.
 */
export function readPrefix(text: string): Uint32Array | undefined {
  const slash = text.indexOf("/");
  const addressText = slash < 0 ? text : text.slice(0, slash);
  const ipv4 = parseIpv4(addressText);
  const bytes = ipv4 ?? parseIpv6(addressText);
  if (bytes === undefined) return undefined;
  const bitsMax = bytes.length * 8;
  const bits = slash < 0 ? bitsMax : Number(text.slice(slash + 1));
  if (!Number.isInteger(bits) || bits < 0 || bits > bitsMax) return undefined;
  const client = new Client();
  client.set(ipv4 === undefined ? FAMILY_IPV6 : FAMILY_IPV4, bytes, 0, bits);
  return Uint32Array.of(
    client.family,
    bits,
    client.word0,
    client.word1,
    client.word2,
    client.word3,
  );
}
