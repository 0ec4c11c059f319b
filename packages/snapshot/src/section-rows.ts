// SPDX-License-Identifier: Apache-2.0

// The pools or the policies section with a few numbers of an entry changed: weights, addresses, dials. Where the entry takes the same place
// with them, all others stay where they are, and the section is the one before with those words in it.
//
// Whether it does is seen from two small sections, of the entry alone as it was and as it is: they may differ in those words and in nothing
// else, so that texts, keys and links are the same, in the same order.

import { patchedCrc } from "./crc-patch.ts";
import { CHECKSUM_OFFSET, SECTION_HEADER_BYTES, openSection, type Section } from "./section.ts";
import { sealSection, type WrittenSection } from "./section-writer.ts";
import type { SpareCopy } from "./spare-copy.ts";

/** With more words that change, the checksum is of all bytes anew. */
const CARRIED_WORDS_MAX = 64;

/** The rows of an entry in one table. */
export interface EntryRows {
  readonly table: number;
  /** Of the section before. */
  readonly first: number;
  /** Words of a row that say something by themselves and not where something else is, with those bits that have to stay. */
  readonly plain: readonly (readonly [word: number, fixed: number])[];
}

/** An entry alone, and where it is in the section before. */
export interface EntryChange {
  readonly was: WrittenSection;
  readonly is: WrittenSection;
  readonly rows: readonly EntryRows[];
}

/** The section with these entries changed in place, in its `spare` copy; undefined where one of them takes another place. */
export function changeEntries(
  before: Section,
  changes: readonly EntryChange[],
  spare: SpareCopy,
): WrittenSection | undefined {
  const found: (readonly [place: number, word: number])[] = [];
  for (const { was, is, rows } of changes) {
    const [old, next] = [openSection(was.buffer), openSection(is.buffer)];
    if ("error" in old || "error" in next || old.length !== next.length) return undefined;
    const places = placesOf(before, old, rows);
    for (let word = 0; word < next.words.length; word++) {
      if (old.words[word] === next.words[word] || word === CHECKSUM_OFFSET / 4) continue;
      const [place, fixed] = places.get(word) ?? [0, -1];
      if (((old.words[word]! ^ next.words[word]!) & fixed) !== 0) return undefined;
      found.push([place, next.words[word]!]);
    }
  }
  const buffer = spare.take(before);
  const words = new Uint32Array(buffer);
  const checksum = found.length <= CARRIED_WORDS_MAX ? carriedChecksum(before, found) : undefined;
  for (const [place, word] of found) words[place] = word;
  return sealSection(before.kind, before.key, buffer, checksum);
}

/** The checksum with some words of the section changed: of six megabytes it takes a millisecond to go through all. */
function carriedChecksum(
  { checksum, length, start, words }: Section,
  found: readonly (readonly [place: number, word: number])[],
): number {
  const unchecked = SECTION_HEADER_BYTES - CHECKSUM_OFFSET;
  return found.reduce((crc, [place, word]) => {
    const [was, is] = [words.slice(start / 4 + place, start / 4 + place + 1), Uint32Array.of(word)];
    const at = place * 4 - unchecked;
    return patchedCrc(crc, length - unchecked, at, bytesOf(was), bytesOf(is));
  }, checksum);
}

function bytesOf({ buffer }: Uint32Array): Uint8Array {
  return new Uint8Array(buffer);
}

/** By word of the small section that may differ: the word of the section before, counted from its start, and the bits that may not. */
function placesOf(
  before: Section,
  entry: Section,
  rows: readonly EntryRows[],
): ReadonlyMap<number, readonly [place: number, fixed: number]> {
  const places = new Map<number, readonly [number, number]>();
  for (const { table, first, plain } of rows) {
    const { count, stride } = entry.table(table);
    const [from, to] = [entry.wordBase(table), before.wordBase(table) - before.start / 4];
    for (let row = 0; row < count; row++)
      for (const [word, fixed] of plain) {
        const place = to + ((first + row) * stride) / 4 + word;
        places.set(from + (row * stride) / 4 + word, [place, fixed]);
      }
  }
  return places;
}
