// SPDX-License-Identifier: Apache-2.0
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from "@meridian/dns";
import { maskWord } from "../client.ts";

/** A prefix of IPv4 or IPv6 address space in network order; an IPv4 address is in word 0, the other words are zero. */
export interface AddressPrefix {
  readonly family: 4 | 6;
  readonly words: readonly [number, number, number, number];
  /** 0..32 or 0..128. */
  readonly length: number;
}

/** Reads `192.0.2.0/24`, `2001:db8::/32` or a bare address; undefined for other text and where host bits are set. */
export function parsePrefix(text: string): AddressPrefix | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const bytes = address.includes(":") ? parseIpv6(address) : parseIpv4(address);
  if (bytes === undefined) return undefined;
  const bits = bytes.length * 8;
  const lengthText = slash < 0 ? String(bits) : text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return undefined;
  const length = Number(lengthText);
  if (length > bits || hasHostBits(bytes, length)) return undefined;
  return { family: bits === 32 ? 4 : 6, words: wordsOf(bytes), length };
}

/** The text of a prefix, equal for equal prefixes. */
export function formatPrefix(prefix: AddressPrefix): string {
  const bytes = new Uint8Array(prefix.family === 4 ? 4 : 16);
  bytes.forEach((_, at) => {
    bytes[at] = (prefix.words[at >>> 2] ?? 0) >>> (24 - (at & 3) * 8);
  });
  const address = prefix.family === 4 ? formatIpv4(bytes) : formatIpv6(bytes);
  return `${address}/${prefix.length}`;
}

/** Orders prefixes by family, first address and length, so that a prefix comes right before what it contains. */
export function comparePrefixes(a: AddressPrefix, b: AddressPrefix): number {
  const [a0, a1, a2, a3] = a.words;
  const [b0, b1, b2, b3] = b.words;
  return a.family - b.family || a0 - b0 || a1 - b1 || a2 - b2 || a3 - b3 || a.length - b.length;
}

/** Whether `outer` contains `inner` (a prefix contains itself). */
export function containsPrefix(outer: AddressPrefix, inner: AddressPrefix): boolean {
  if (outer.family !== inner.family || outer.length > inner.length) return false;
  return outer.words.every(
    (word, index) => maskWord(inner.words[index] ?? 0, outer.length - index * 32) === word,
  );
}

/** The words of 4 or 16 bytes in network order. */
export function wordsOf(bytes: Uint8Array): [number, number, number, number] {
  const word = (at: number): number =>
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0;
  return [word(0), word(4), word(8), word(12)];
}

function hasHostBits(bytes: Uint8Array, length: number): boolean {
  return bytes.some((byte, index) => {
    const kept = Math.min(8, Math.max(0, length - index * 8));
    return (byte & (0xff >>> kept)) !== 0;
  });
}
