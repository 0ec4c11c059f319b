// SPDX-License-Identifier: Apache-2.0
import { parseIpv4, parseIpv6 } from "@meridian/dns";

/** A network as BIND writes it (`10/8`, `10.1.0.0/16`, `192.0.2.1`, `2001:db8::/32`) in the form that documents have; undefined for no network. */
export function parsePrefix(text: string): string | undefined {
  const [address = "", bits, more] = text.split("/");
  if (more !== undefined || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return undefined;
  if (address.includes(":")) return prefixOf(parseIpv6(address) && address, bits, 128);
  const parts = address.split(".");
  if (!parts.every((part) => /^\d{1,3}$/.test(part)) || parts.length > 4) return undefined;
  // Bytes that are left out are 0, before a length alone.
  if (parts.length < 4 && bits === undefined) return undefined;
  const whole = [...parts, "0", "0", "0"].slice(0, 4).map(Number).join(".");
  return prefixOf(parseIpv4(whole) && whole, bits, 32);
}

function prefixOf(
  address: string | undefined,
  bits: string | undefined,
  most: number,
): string | undefined {
  const length = bits === undefined ? most : Number(bits);
  return address === undefined || length > most ? undefined : `${address}/${length}`;
}
