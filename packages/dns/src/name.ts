// SPDX-License-Identifier: Apache-2.0
//
// Domain names in wire form (RFC 1035 §3.1): length-prefixed labels up to and including the empty
// root label, never compressed. A name is a plain Uint8Array and is treated as immutable.
//
//     www.example.  =  03 'w' 'w' 'w' 07 'e' 'x' 'a' 'm' 'p' 'l' 'e' 00
//
// A length byte is at most 63 and the smallest upper-case letter is 65, so a whole name can be
// lower-cased or compared without case byte by byte, without looking for label boundaries.

import { DnsLimits } from "./constants.ts";

const LETTER_A = 0x41;
const LETTER_Z = 0x5a;
const CASE_BIT = 0x20;

/** The root name, `.`. */
export const rootName: Uint8Array = new Uint8Array(1);

/** Lower-cases one byte if it is an ASCII letter (RFC 4343 §3). */
export function lowerByte(byte: number): number {
  return byte >= LETTER_A && byte <= LETTER_Z ? byte | CASE_BIT : byte;
}

/** A copy of the name with ASCII letters in lower case. */
export function lowerName(name: Uint8Array): Uint8Array {
  const lower = new Uint8Array(name.length);
  for (let i = 0; i < name.length; i++) {
    lower[i] = lowerByte(name[i]!);
  }
  return lower;
}

/**
 * Length in bytes of the uncompressed name that starts at `offset`, its root label included, or -1
 * if it is cut off, too long, or holds a compression pointer or reserved label type.
 */
export function nameLength(bytes: Uint8Array, offset: number = 0): number {
  let at = offset;
  while (at < bytes.length) {
    const labelBytes = bytes[at]!;
    if (labelBytes === 0) {
      const length = at + 1 - offset;
      return length <= DnsLimits.nameBytesMax ? length : -1;
    }
    if (labelBytes > DnsLimits.labelBytesMax || at - offset > DnsLimits.nameBytesMax) {
      return -1;
    }
    at += labelBytes + 1;
  }
  return -1;
}

/** True if the bytes are exactly one well-formed uncompressed name. */
export function isName(bytes: Uint8Array): boolean {
  return nameLength(bytes) === bytes.length;
}

/** True if both names are the same without regard to ASCII case (RFC 4343). */
export function equalNames(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && equalSuffix(a, b);
}

/** True if `child` is `parent` or below it. */
export function isSubdomain(child: Uint8Array, parent: Uint8Array): boolean {
  let at = 0;
  while (child.length - at > parent.length) {
    const labelBytes = child[at]!;
    if (labelBytes === 0) {
      return false;
    }
    at += labelBytes + 1;
  }
  return child.length - at === parent.length && equalSuffix(child, parent);
}

/** Number of labels without the root: 0 for `.`, 2 for `example.org.`; `*` counts as a label. */
export function labelCount(name: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < name.length && name[at] !== 0; at += name[at]! + 1) {
    count++;
  }
  return count;
}

/** The name without its first label, as a view on the same bytes; undefined for the root. */
export function parentName(name: Uint8Array): Uint8Array | undefined {
  const labelBytes = name[0] ?? 0;
  return labelBytes === 0 ? undefined : name.subarray(labelBytes + 1);
}

/** True if the first label is exactly `*` (RFC 4592 §2.1.1). */
export function isWildcard(name: Uint8Array): boolean {
  return name.length > 2 && name[0] === 1 && name[1] === 0x2a;
}

/** `*.` in front of the name; undefined if that would be longer than 255 bytes. */
export function wildcardOf(name: Uint8Array): Uint8Array | undefined {
  if (name.length + 2 > DnsLimits.nameBytesMax) {
    return undefined;
  }
  const wildcard = new Uint8Array(name.length + 2);
  wildcard[0] = 1;
  wildcard[1] = 0x2a;
  wildcard.set(name, 2);
  return wildcard;
}

/**
 * The name with its suffix `from` exchanged for `to`, as DNAME substitution does (RFC 6672 §2.2).
 * Undefined if `name` is not below or at `from`, or if the result is longer than 255 bytes.
 */
export function replaceSuffix(
  name: Uint8Array,
  from: Uint8Array,
  to: Uint8Array,
): Uint8Array | undefined {
  const keptBytes = name.length - from.length;
  if (!isSubdomain(name, from) || keptBytes + to.length > DnsLimits.nameBytesMax) {
    return undefined;
  }
  const replaced = new Uint8Array(keptBytes + to.length);
  replaced.set(name.subarray(0, keptBytes));
  replaced.set(to, keptBytes);
  return replaced;
}

/**
 * Canonical order (RFC 4034 §6.1): labels compared from the right as lower-cased byte strings; a
 * name sorts before the names below it. Negative, zero or positive.
 */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const aStarts = labelStarts(a);
  const bStarts = labelStarts(b);
  const shared = Math.min(aStarts.length, bStarts.length);
  for (let i = 1; i <= shared; i++) {
    const order = compareLabels(a, aStarts[aStarts.length - i]!, b, bStarts[bStarts.length - i]!);
    if (order !== 0) {
      return order;
    }
  }
  return aStarts.length - bStarts.length;
}

/** A string that compares as the name does in canonical order: its labels from the right, each after a 0, bytes one higher. */
export function canonicalKey(name: Uint8Array): string {
  let key = "";
  for (const start of labelStarts(name).toReversed()) {
    key += "\0";
    const end = start + 1 + name[start]!;
    for (let at = start + 1; at < end; at++) key += String.fromCharCode(lowerByte(name[at]!) + 1);
  }
  return key;
}

/** Offsets of the labels' length bytes, from the left, without the root label. */
export function labelStarts(name: Uint8Array): number[] {
  const starts: number[] = [];
  for (let at = 0; at < name.length && name[at] !== 0; at += name[at]! + 1) {
    starts.push(at);
  }
  return starts;
}

/** A string that is equal for equal names without regard to case; for use as a Map key. */
export function nameKey(name: Uint8Array): string {
  let key = "";
  for (let i = 0; i < name.length; i++) {
    key += String.fromCharCode(lowerByte(name[i]!));
  }
  return key;
}

function equalSuffix(longer: Uint8Array, suffix: Uint8Array): boolean {
  const shift = longer.length - suffix.length;
  for (let i = 0; i < suffix.length; i++) {
    const x = longer[shift + i]!;
    const y = suffix[i]!;
    if (x !== y && lowerByte(x) !== lowerByte(y)) {
      return false;
    }
  }
  return true;
}

function compareLabels(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number): number {
  const aBytes = a[aStart]!;
  const bBytes = b[bStart]!;
  const shared = Math.min(aBytes, bBytes);
  for (let i = 1; i <= shared; i++) {
    const order = lowerByte(a[aStart + i]!) - lowerByte(b[bStart + i]!);
    if (order !== 0) {
      return order;
    }
  }
  return aBytes - bBytes;
}
