// SPDX-License-Identifier: Apache-2.0

// What the pools and the policies section have in common when one is made of the one before it: entries in the order of their names, of
// which some are new and the others are copied as words, and texts that are in the heap once.

import type { SectionWriter } from "./section-writer.ts";
import { SharedTable, type Section } from "./section.ts";

/** An entry that is written, or a run of the section before that is copied. */
export type PatchStep<Input> =
  | { readonly input: Input }
  | { readonly start: number; readonly end: number };

/** What a section with `count` entries in the order of their names becomes, in that order. */
export function patchSteps<Input extends { readonly name: string }>(
  count: number,
  nameAt: (index: number) => string,
  set: readonly Input[],
  removed: readonly string[],
): PatchStep<Input>[] {
  const inputs = new Map<string, Input | undefined>(removed.map((name) => [name, undefined]));
  for (const input of set) inputs.set(input.name, input);
  const steps: PatchStep<Input>[] = [];
  let next = 0;
  for (const name of [...inputs.keys()].sort(compareText)) {
    const at = lowerBound(count, nameAt, name);
    if (at > next) steps.push({ start: next, end: at });
    const isThere = at < count && nameAt(at) === name;
    next = isThere ? at + 1 : at;
    const input = inputs.get(name);
    if (input !== undefined) steps.push({ input });
  }
  if (next < count) steps.push({ start: next, end: count });
  return steps;
}

/** Order by code units: the same on every machine, whatever its locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Index of the entry of that name among those in the order of their names; undefined where there is none. */
export function indexOfName(
  count: number,
  nameAt: (index: number) => string,
  name: string,
): number | undefined {
  const at = lowerBound(count, nameAt, name);
  return at < count && nameAt(at) === name ? at : undefined;
}

/** First index whose name is not before `name`. */
function lowerBound(count: number, nameAt: (index: number) => string, name: string): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareText(nameAt(middle), name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What is copied of the texts of a section. */
export interface CopiedTexts {
  /** All texts that the writer is given besides. */
  readonly others: readonly string[];
  /** Most texts are copied, and not those of one entry. */
  readonly isWhole: boolean;
}

/** Copies texts from one heap into another, each once. */
export class TextCopy {
  readonly #writer: SectionWriter;
  readonly #before: Section;
  readonly #heap: number;
  /** By offset in the heap before: offset in the new one, + 1. Of one entry those that there are: the other table has megabytes. */
  readonly #placed: Uint32Array | undefined;
  readonly #few = new Map<number, number>();
  /** Texts that may come by another way too, and their lengths: only of those is it asked whether they are there. */
  readonly #others: ReadonlySet<string>;
  readonly #lengths: ReadonlySet<number>;

  constructor(writer: SectionWriter, before: Section, { others, isWhole }: CopiedTexts) {
    const heap = before.table(SharedTable.heap);
    this.#writer = writer;
    this.#before = before;
    this.#heap = heap.offset;
    this.#placed = isWhole ? new Uint32Array(heap.count + 1) : undefined;
    this.#others = new Set(others);
    this.#lengths = new Set(others.map((text) => Buffer.byteLength(text)));
  }

  /** Where the text at `offset` of the heap before lies now. */
  copy(offset: number, length: number): number {
    if (length === 0) return this.#writer.text("").offset;
    const many = this.#placed;
    const known = many === undefined ? (this.#few.get(offset) ?? 0) : many[offset]!;
    if (known > 0) return known - 1;
    const placed = this.#place(offset, length);
    if (many === undefined) this.#few.set(offset, placed + 1);
    else many[offset] = placed + 1;
    return placed;
  }

  #place(offset: number, length: number): number {
    if (this.#lengths.has(length)) {
      const text = this.#before.text(offset, length);
      if (this.#others.has(text)) return this.#writer.text(text).offset;
    }
    const start = this.#heap + offset;
    return this.#writer.heapFrom(this.#before.bytes, start, start + length);
  }
}

/** The byte behind a wire name. */
export function wireNameEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (bytes[at] !== 0) at += bytes[at]! + 1;
  return at + 1;
}
