// SPDX-License-Identifier: Apache-2.0

// A section as what makes it of another one. Most of a section that a small change makes anew is in the one before, at the same place of
// the same table or moved with all behind it, so a few kilobytes say what eight megabytes have become.
//
//   u32 bytes of the section   u32 count of pieces   pieces × { u32 from, u32 copied, u32 own }   own bytes of all pieces
//
// A piece is `copied` bytes of the section before from `from` on, then `own` bytes of its own. Without a section before, all are its own.

import { SECTION_BYTES_MAX, type Section } from "./section.ts";

const HEADER_BYTES = 8;
const PIECE_BYTES = 12;
/** A shorter run that is equal is sent with what is around it: as a piece it would take nearly as much. */
const COPY_BYTES_MIN = 32;
/** Compared at once, by the C library. */
const BLOCK_BYTES = 4096;

/** A run of bytes that the section has from the one before. */
interface Copy {
  readonly from: number;
  readonly to: number;
  length: number;
}

/** What makes `after` of `before`; undefined where that takes more than `bytesMax`. */
export function encodeSectionDelta(
  before: Section | undefined,
  after: Section,
  bytesMax: number,
): Uint8Array | undefined {
  const target = bytesOf(after);
  const copies = before === undefined ? [] : commonRuns(before, after);
  const copied = copies.reduce((sum, { length }) => sum + length, 0);
  const count = copies.length + 1;
  const own = HEADER_BYTES + count * PIECE_BYTES;
  const size = own + target.length - copied;
  return size > bytesMax ? undefined : written(target, copies, { own, size });
}

/** The section that a delta makes of `before`; a text says why it makes none. Never throws. */
export function applySectionDelta(
  delta: Uint8Array,
  before: Section | undefined,
): SharedArrayBuffer | string {
  const source = before === undefined ? new Uint8Array(0) : bytesOf(before);
  const wrong = deltaError(delta, source.length);
  if (wrong !== undefined) return wrong;
  const view = viewOf(delta);
  const count = view.getUint32(4, true);
  const buffer = new SharedArrayBuffer(view.getUint32(0, true));
  const target = new Uint8Array(buffer);
  let own = HEADER_BYTES + count * PIECE_BYTES;
  for (let piece = 0, at = 0; piece < count; piece++) {
    const { from, copied, fresh } = pieceAt(view, piece);
    target.set(source.subarray(from, from + copied), at);
    target.set(delta.subarray(own, own + fresh), at + copied);
    at += copied + fresh;
    own += fresh;
  }
  return buffer;
}

/** Before there is memory for what it makes: the pieces have to make as much as is said, of what there is. */
function deltaError(delta: Uint8Array, sourceLength: number): string | undefined {
  if (delta.length < HEADER_BYTES) return `Delta has ${delta.length} bytes`;
  const view = viewOf(delta);
  const [length, count] = [view.getUint32(0, true), view.getUint32(4, true)];
  let taken = HEADER_BYTES + count * PIECE_BYTES;
  if (length > SECTION_BYTES_MAX || taken > delta.length)
    return `Delta of ${delta.length} bytes has ${count} pieces of a section of ${length} bytes`;
  let made = 0;
  for (let piece = 0; piece < count; piece++) {
    const { from, copied, fresh } = pieceAt(view, piece);
    if (from + copied > sourceLength)
      return `Delta copies up to ${from + copied}, expected at most ${sourceLength}`;
    made += copied + fresh;
    taken += fresh;
  }
  return made === length && taken === delta.length
    ? undefined
    : `Delta of ${delta.length} bytes makes ${made} bytes of ${taken}, expected ${length}`;
}

function pieceAt(
  view: DataView,
  piece: number,
): { readonly from: number; readonly copied: number; readonly fresh: number } {
  const at = HEADER_BYTES + piece * PIECE_BYTES;
  return {
    from: view.getUint32(at, true),
    copied: view.getUint32(at + 4, true),
    fresh: view.getUint32(at + 8, true),
  };
}

function written(
  target: Uint8Array,
  copies: readonly Copy[],
  { own, size }: { readonly own: number; readonly size: number },
): Uint8Array {
  const delta = new Uint8Array(size);
  const view = viewOf(delta);
  view.setUint32(0, target.length, true);
  view.setUint32(4, copies.length + 1, true);
  let [at, end] = [0, own];
  // The first piece copies nothing: its own bytes are those before the first run.
  for (let piece = 0; piece <= copies.length; piece++) {
    const { from, length } = copies[piece - 1] ?? { from: 0, length: 0 };
    const next = copies[piece]?.to ?? target.length;
    const fresh = target.subarray(at + length, next);
    const start = HEADER_BYTES + piece * PIECE_BYTES;
    view.setUint32(start, from, true);
    view.setUint32(start + 4, length, true);
    view.setUint32(start + 8, fresh.length, true);
    delta.set(fresh, end);
    end += fresh.length;
    at = next;
  }
  return delta;
}

/** Runs of `after` that `before` has, in the order of `after`. */
function commonRuns(before: Section, after: Section): Copy[] {
  const runs = new Runs(bytesOf(before), bytesOf(after));
  let at = 0;
  const tables = [...after.tables()].sort(([, a], [, b]) => a.offset - b.offset);
  for (const [id, table] of tables) {
    const [old, start] = [before.table(id), table.offset - after.start];
    // Header and directory; of what lies between tables it does not matter.
    if (at === 0) runs.compare(0, 0, Math.min(start, before.length));
    at = start + table.count * table.stride;
    const from = old.offset - before.start;
    const [was, is] = [old.count * old.stride, at - start];
    if (was === is) runs.compare(from, start, is);
    else {
      const head = runs.compareHead(from, start, Math.min(was, is));
      runs.compareTail(from + was, at, Math.min(was, is) - head);
    }
  }
  return runs.found.filter(({ length }) => length >= COPY_BYTES_MIN);
}

/** Finds equal bytes of two sections. */
class Runs {
  readonly found: Copy[] = [];
  readonly #source: Uint8Array;
  readonly #target: Uint8Array;

  constructor(source: Uint8Array, target: Uint8Array) {
    this.#source = source;
    this.#target = target;
  }

  /** Takes what is equal, byte by byte at its place. */
  compare(from: number, to: number, length: number): void {
    for (let at = 0; at < length; at += BLOCK_BYTES) {
      const size = Math.min(BLOCK_BYTES, length - at);
      if (this.#isEqual(from + at, to + at, size)) this.#take(from + at, to + at, size);
      else this.#compareBytes(from + at, to + at, size);
    }
  }

  /** Takes what both begin with, and says how much it is. */
  compareHead(from: number, to: number, length: number): number {
    let at = 0;
    while (length - at >= BLOCK_BYTES && this.#isEqual(from + at, to + at, BLOCK_BYTES))
      at += BLOCK_BYTES;
    while (at < length && this.#source[from + at] === this.#target[to + at]) at++;
    this.#take(from, to, at);
    return at;
  }

  /** Takes what both end with, up to `fromEnd` and `toEnd`. */
  compareTail(fromEnd: number, toEnd: number, length: number): void {
    let at = 0;
    while (
      length - at >= BLOCK_BYTES &&
      this.#isEqual(fromEnd - at - BLOCK_BYTES, toEnd - at - BLOCK_BYTES, BLOCK_BYTES)
    )
      at += BLOCK_BYTES;
    while (at < length && this.#source[fromEnd - at - 1] === this.#target[toEnd - at - 1]) at++;
    this.#take(fromEnd - at, toEnd - at, at);
  }

  #compareBytes(from: number, to: number, length: number): void {
    let start = 0;
    for (let at = 0; at <= length; at++) {
      if (at < length && this.#source[from + at] === this.#target[to + at]) continue;
      this.#take(from + start, to + start, at - start);
      start = at + 1;
    }
  }

  #isEqual(from: number, to: number, length: number): boolean {
    return (
      Buffer.compare(
        this.#source.subarray(from, from + length),
        this.#target.subarray(to, to + length),
      ) === 0
    );
  }

  #take(from: number, to: number, length: number): void {
    if (length === 0) return;
    const last = this.found.at(-1);
    if (last !== undefined && last.from + last.length === from && last.to + last.length === to) {
      last.length += length;
      return;
    }
    // A short run before it is left to what is around it.
    if (last !== undefined && last.length < COPY_BYTES_MIN) this.found.pop();
    this.found.push({ from, to, length });
  }
}

function bytesOf({ bytes, start, length }: Section): Uint8Array {
  return bytes.subarray(start, start + length);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
