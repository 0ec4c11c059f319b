// SPDX-License-Identifier: Apache-2.0

// An order of a zone's names that is taken over where only some of its names sections are other ones: what is left of it stays as it is, and the
// names of changed sections are put in their places.

/** What an order was made from: the zone's names sections, by identity. */
export interface OrderedZone {
  readonly sections: readonly object[];
  readonly words: Uint32Array;
}

/** By what names are ordered. Entries have a fixed number of words, one of which is the names section's index. */
export interface Ordering {
  readonly entryWords: number;
  readonly sectionWord: number;
  /** The entries of some names sections, in order. */
  readonly entriesOf: (sections: readonly number[]) => Uint32Array;
  /** Says how many of the entries in `kept` come before the one at word `at` of `entries`. */
  readonly placesIn: (kept: Uint32Array) => (entries: Uint32Array, at: number) => number;
}

/** The order of a zone whose names sections are `sections`, in shared memory. */
export function orderedZone(
  sections: readonly object[],
  before: OrderedZone | undefined,
  { entryWords, sectionWord, entriesOf, placesIn }: Ordering,
): OrderedZone {
  const known = before?.sections.length === sections.length ? before : undefined;
  const changed = sections.map((section, index) => known?.sections[index] !== section);
  if (known !== undefined && !changed.includes(true)) return { sections, words: known.words };
  const added = entriesOf(changed.flatMap((isChanged, index) => (isChanged ? [index] : [])));
  const kept = new Uint32Array(known?.words ?? []);
  let keptLength = 0;
  for (let at = 0; at < kept.length; at += entryWords) {
    if (changed[kept[at + sectionWord]!] === true) continue;
    kept.copyWithin(keptLength, at, at + entryWords);
    keptLength += entryWords;
  }
  const placeOf = placesIn(kept.subarray(0, keptLength));
  const words = new Uint32Array(new SharedArrayBuffer((keptLength + added.length) * 4));
  let from = 0;
  for (let next = 0; next < added.length; next += entryWords) {
    const to = placeOf(added, next) * entryWords;
    if (to > from) words.set(kept.subarray(from, to), from + next);
    from = Math.max(from, to);
    for (let word = 0; word < entryWords; word++) words[from + next + word] = added[next + word]!;
  }
  words.set(kept.subarray(from, keptLength), from + added.length);
  return { sections, words };
}
