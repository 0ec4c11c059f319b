// SPDX-License-Identifier: Apache-2.0

// A change of a weight or an address is another number in a section of megabytes. What must be true of all of its rows was looked at when it was
// loaded before: where the two differ in numbers alone that lead nowhere, it is true still.

import { SECTION_HEADER_BYTES, type Section, type Table } from "./section.ts";

/** Words of a table's rows by which nothing is found. */
export interface PlainWords {
  readonly table: number;
  /** Words of a row, and which of them. */
  readonly rowWords: number;
  readonly columns: readonly number[];
}

/** Bytes before the checksum, which is another one. */
const CHECKED_BYTES = 60;
/** Compared at once, by the C library. */
const BLOCK_BYTES = 16 * 1024;

/** Whether two sections differ in such words alone, and in their checksums: six megabytes take 0.2 ms. */
export function differInPlainWords(
  before: Section,
  after: Section,
  plain: readonly PlainWords[],
): boolean {
  const { length } = after;
  if (before.length !== length) return false;
  const [old, now] = [bytesOf(before), bytesOf(after)];
  const body = SECTION_HEADER_BYTES + [...after.tables()].length * 16;
  const isHeadEqual =
    isEqual(old, now, 0, CHECKED_BYTES) && isEqual(old, now, SECTION_HEADER_BYTES, body);
  if (!isHeadEqual) return false;
  const own = plain.filter(({ table }) => isApart(after, table));
  for (let at = body; at < length; at += BLOCK_BYTES) {
    const end = Math.min(length, at + BLOCK_BYTES);
    if (!isEqual(old, now, at, end) && !arePlain(before, after, at, end, own)) return false;
  }
  return true;
}

/** The same of the words from a byte of the sections to another one. */
function arePlain(
  before: Section,
  after: Section,
  start: number,
  end: number,
  plain: readonly PlainWords[],
): boolean {
  const [old, now] = [before.start >>> 2, after.start >>> 2];
  for (let word = start >>> 2; word < end >>> 2; word++) {
    if (before.words[old + word] === after.words[now + word]) continue;
    if (!plain.some((words) => isAmong(words, after, now + word))) return false;
  }
  return true;
}

/** Whether no other table has bytes of this one: what is plain in it might lead somewhere from there. */
function isApart(section: Section, id: number): boolean {
  const [start, end] = rangeOf(section.table(id));
  for (const [other, table] of section.tables()) {
    const [from, to] = rangeOf(table);
    if (other !== id && from < end && start < to) return false;
  }
  return true;
}

function rangeOf({ offset, count, stride }: Table): [start: number, end: number] {
  return [offset, offset + count * stride];
}

function isAmong(
  { table, rowWords, columns }: PlainWords,
  section: Section,
  word: number,
): boolean {
  const { count, stride } = section.table(table);
  const index = word - section.wordBase(table);
  const isInside = stride === rowWords * 4 && index >= 0 && index < count * rowWords;
  return isInside && columns.includes(index % rowWords);
}

function isEqual(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  return Buffer.compare(a.subarray(start, end), b.subarray(start, end)) === 0;
}

function bytesOf({ bytes, start, length }: Section): Uint8Array {
  return bytes.subarray(start, start + length);
}
