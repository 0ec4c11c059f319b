// SPDX-License-Identifier: Apache-2.0
// Lines of JSON that the schema has accepted, without their two names: what is before and between
// these (of a program's lines, mostly the same), and what is behind them. In flat lists, since each of
// a million lines looks for one of thousands.
import { ByteList, hash32, WordList } from "@meridian/core";

/** What lines have before and between their names. */
export interface TemplateHead {
  readonly first: Uint8Array;
  readonly between: Uint8Array;
  readonly number: number;
}

/** Words of a template. */
const column = {
  hash: 0,
  head: 1,
  /** Offset and length of what is behind the names. */
  tail: 2,
  tailBytes: 3,
  shape: 4,
  isOwnerFirst: 5,
} as const;
const COLUMNS = 6;

/** Templates by index. */
export class RecordTemplates {
  readonly #heads = new Map<string, TemplateHead>();
  readonly #tails = new ByteList();
  readonly #words = new WordList();
  #slots = new Uint32Array(64);

  get count(): number {
    return this.#words.length / COLUMNS;
  }

  /** The number that came with it. */
  shape(template: number): number {
    return this.#word(template, column.shape);
  }

  /** Whether the first name is `spec.name` rather than `metadata.name`. */
  isOwnerFirst(template: number): boolean {
    return this.#word(template, column.isOwnerFirst) === 1;
  }

  /** The head with these bytes, if any template has it. */
  head(first: Buffer, between: Buffer): TemplateHead | undefined {
    return this.#heads.get(headKey(first, between));
  }

  /** The template of a line with this head and `bytes[start..end)` behind its names, or -1. */
  find({ number }: TemplateHead, bytes: Uint8Array, start: number, end: number): number {
    const hash = hash32(bytes, start, end, number);
    const words = this.#words.words;
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const template = (this.#slots[slot] ?? 0) - 1;
      if (template < 0) return -1;
      const row = template * COLUMNS;
      if (words[row + column.hash] !== hash || words[row + column.head] !== number) continue;
      const at = words[row + column.tail] ?? 0;
      if (words[row + column.tailBytes] !== end - start) continue;
      if (isEqual(bytes, start, this.#tails.bytes, at, at + end - start)) return template;
    }
  }

  /** Adds the line with these bytes before, between and behind its names, unless it is there. */
  add(
    [first, between, tail]: readonly [Buffer, Buffer, Buffer],
    isOwnerFirst: boolean,
    shape: number,
  ): void {
    const key = headKey(first, between);
    let head = this.#heads.get(key);
    if (head === undefined) {
      // Copies: views would keep the whole file.
      head = {
        first: Uint8Array.from(first),
        between: Uint8Array.from(between),
        number: this.#heads.size,
      };
      this.#heads.set(key, head);
    }
    if (this.find(head, tail, 0, tail.length) >= 0) return;
    const words = this.#words;
    words.push(hash32(tail, 0, tail.length, head.number));
    words.push(head.number);
    words.push(this.#tails.append(tail, 0, tail.length));
    words.push(tail.length);
    words.push(shape);
    words.push(isOwnerFirst ? 1 : 0);
    if (this.count * 2 > this.#slots.length) this.#grow();
    else this.#place(this.count - 1);
  }

  #place(template: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#word(template, column.hash) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = template + 1;
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let template = 0; template < this.count; template += 1) this.#place(template);
  }

  #word(template: number, index: number): number {
    return this.#words.words[template * COLUMNS + index] ?? 0;
  }
}

function headKey(first: Buffer, between: Buffer): string {
  return `${first.length} ${first.toString("latin1")}${between.toString("latin1")}`;
}

/** Whether `bytes` has at `at` what `wanted[start..end)` is. */
export function isEqual(
  bytes: Uint8Array,
  at: number,
  wanted: Uint8Array,
  start: number,
  end: number,
): boolean {
  for (let index = start; index < end; index += 1) {
    if (bytes[at + index - start] !== wanted[index]) return false;
  }
  return true;
}
