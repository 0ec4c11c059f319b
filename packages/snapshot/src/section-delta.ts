// SPDX-License-Identifier: Apache-2.0

// A section as what makes it of another one. Most of a section that a small change makes anew is in the one before, at the same place of
// the same table or moved with all behind it, so a few kilobytes say what eight megabytes have become.
//
//   u32 bytes of the section   u32 count of pieces   pieces × { u32 from, u32 copied, u32 own }   own bytes of all pieces
//
// A piece is `copied` bytes of the section before from `from` on, then `own` bytes of its own. Without a section before, all are its own.
//
// A policy more has every row behind it say that something else is one further: half a megabyte of ten thousand. So rows of the section may be
// those that were copied with a number added, modulo 2³², to those words of a column that are at least as large as another number; 2³² − 1 is
// no place of anything and stays. Then the count of pieces has its highest bit set, and behind the pieces is
//
//   u32 count of shifts   shifts × { u32 at, u32 rows, u32 words of a row, words × { u32 added, u32 least } }

import { SECTION_BYTES_MAX, type Section } from "./section.ts";
import type { SpareCopy } from "./spare-copy.ts";

const HEADER_BYTES = 8;
const PIECE_BYTES = 12;
/** In the count of pieces: rows are shifted. */
const SHIFTED = 0x8000_0000;
const SHIFT_BYTES = 12;
const ROW_WORDS_MAX = 16;
const COLUMN_BYTES = 8;
const NOWHERE = 0xffff_ffff;
/** Fewer bytes are sent as they are. */
const SHIFTED_BYTES_MIN = 1024;
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

/** What is added to the words of a column that are at least so large. */
interface Column {
  readonly added: number;
  readonly least: number;
}

/** Rows of the section that are rows of the one before with numbers added to their words. */
interface Shift {
  /** First byte in the section. */
  readonly at: number;
  readonly rows: number;
  readonly columns: readonly Column[];
}

/** Whether rows are shifted in it: programs before 0.2 take no such delta. */
export function isShifted(delta: Uint8Array): boolean {
  return delta.length >= HEADER_BYTES && (viewOf(delta).getUint32(4, true) & SHIFTED) !== 0;
}

/** What makes `after` of `before`; undefined where that takes more than `bytesMax`. */
export function encodeSectionDelta(
  before: Section | undefined,
  after: Section,
  bytesMax: number,
): Uint8Array | undefined {
  const target = bytesOf(after);
  const { copies, shifts } =
    before === undefined ? { copies: [], shifts: [] } : commonRuns(before, after);
  const copied = copies.reduce((sum, { length }) => sum + length, 0);
  const count = copies.length + 1;
  const own = HEADER_BYTES + count * PIECE_BYTES + shiftBytes(shifts);
  const size = own + target.length - copied;
  return size > bytesMax ? undefined : written(target, copies, { own, size, shifts });
}

/**
 * The section that a delta makes of `before`; a text says why it makes none. Never throws. What lies where it lay is in a `spare` copy
 * already.
 */
export function applySectionDelta(
  delta: Uint8Array,
  before: Section | undefined,
  spare?: SpareCopy,
): SharedArrayBuffer | string {
  const source = before === undefined ? new Uint8Array(0) : bytesOf(before);
  const parts = readParts(delta);
  if (typeof parts === "string") return parts;
  const { count, length, own: first, shifts } = parts;
  const view = viewOf(delta);
  const wrong = piecesError(view, parts, source.length);
  if (wrong !== undefined) return wrong;
  const isThere = spare !== undefined && before?.length === length && isInPlace(view, count);
  const buffer = isThere ? spare.take(before) : new SharedArrayBuffer(length);
  const target = new Uint8Array(buffer);
  for (let piece = 0, at = 0, own = first; piece < count; piece++) {
    const { from, copied, fresh } = pieceAt(view, piece);
    if (!isThere) target.set(source.subarray(from, from + copied), at);
    target.set(delta.subarray(own, own + fresh), at + copied);
    at += copied + fresh;
    own += fresh;
  }
  const words = new Uint32Array(buffer, 0, length >>> 2);
  for (const shift of shifts) applyShift(words, shift);
  return buffer;
}

/**
 * For whoever rehearses: what makes a section of itself, with some bytes of its own in the middle. With a `shift`, that is done to the rows of all
 * tables.
 */
export function rehearsedDelta(section: Section, shift?: Column): Uint8Array {
  const target = bytesOf(section);
  const middle = Math.floor(target.length / 2);
  const end = Math.min(target.length, middle + COPY_BYTES_MIN);
  const copies = [
    { from: 0, to: 0, length: middle },
    { from: end, to: end, length: target.length - end },
  ];
  const tables = shift === undefined ? [] : [...section.tables()].map(([, table]) => table);
  const shifts = tables
    .filter(({ stride }) => stride % 4 === 0 && stride / 4 <= ROW_WORDS_MAX)
    .sort((a, b) => a.offset - b.offset)
    .map(({ offset, count, stride }) => ({
      at: offset - section.start,
      rows: count,
      columns: new Array<Column>(stride / 4).fill(shift ?? { added: 0, least: 0 }),
    }));
  const own = HEADER_BYTES + 3 * PIECE_BYTES + shiftBytes(shifts);
  return written(target, copies, { own, size: own + end - middle, shifts });
}

/** From where to where a delta has bytes of its own; undefined where it does more than to put them in the places of others. */
export function ownRanges(
  delta: Uint8Array,
): (readonly [start: number, end: number])[] | undefined {
  const parts = readParts(delta);
  if (typeof parts === "string" || parts.shifts.length > 0) return undefined;
  const view = viewOf(delta);
  if (!isInPlace(view, parts.count)) return undefined;
  let end = 0;
  return Array.from({ length: parts.count }, (_, piece) => {
    const { copied, fresh } = pieceAt(view, piece);
    const start = end + copied;
    end = start + fresh;
    return [start, end] as const;
  });
}

/** Whether all that is copied goes to where it was. */
function isInPlace(view: DataView, count: number): boolean {
  for (let piece = 0, at = 0; piece < count; piece++) {
    const { from, copied, fresh } = pieceAt(view, piece);
    if (copied > 0 && from !== at) return false;
    at += copied + fresh;
  }
  return true;
}

function applyShift(words: Uint32Array, { at, rows, columns }: Shift): void {
  for (const [index, { added, least }] of columns.entries()) {
    if (added === 0) continue;
    for (let word = (at >>> 2) + index, row = 0; row < rows; row++, word += columns.length) {
      const value = words[word]!;
      if (value >= least && value !== NOWHERE) words[word] = value + added;
    }
  }
}

interface DeltaParts {
  /** Of the section. */
  readonly length: number;
  /** Of pieces. */
  readonly count: number;
  /** Where the own bytes begin. */
  readonly own: number;
  readonly shifts: readonly Shift[];
}

/** Before there is memory for what it makes: all that is said must lie where it can. */
function readParts(delta: Uint8Array): DeltaParts | string {
  if (delta.length < HEADER_BYTES) return `Delta has ${delta.length} bytes`;
  const view = viewOf(delta);
  const length = view.getUint32(0, true);
  const count = (view.getUint32(4, true) & ~SHIFTED) >>> 0;
  const end = HEADER_BYTES + count * PIECE_BYTES;
  if (length > SECTION_BYTES_MAX || end > delta.length)
    return `Delta of ${delta.length} bytes has ${count} pieces of a section of ${length} bytes`;
  if (!isShifted(delta)) return { length, count, own: end, shifts: [] };
  const shifts: Shift[] = [];
  let [at, placed] = [end + 4, 0];
  const left = at > delta.length ? -1 : view.getUint32(end, true);
  for (let shift = 0; shift < left; shift++) {
    const read = at + SHIFT_BYTES > delta.length ? undefined : shiftAt(view, at);
    // One behind the other, so that there is no more to do than the section is long.
    if (read === undefined || read.at < placed || read.at % 4 !== 0)
      return `Delta of ${delta.length} bytes has shift ${shift} at ${read?.at ?? "its end"}`;
    placed = read.at + read.rows * read.columns.length * 4;
    if (placed > length) return `Delta shifts up to ${placed}, expected at most ${length}`;
    at += SHIFT_BYTES + read.columns.length * COLUMN_BYTES;
    shifts.push(read);
  }
  return left < 0
    ? `Delta of ${delta.length} bytes has no shifts`
    : { length, count, own: at, shifts };
}

/** Undefined where its words would lie behind the end. */
function shiftAt(view: DataView, at: number): Shift | undefined {
  const words = view.getUint32(at + 8, true);
  const start = at + SHIFT_BYTES;
  const end = start + words * COLUMN_BYTES;
  if (words === 0 || words > ROW_WORDS_MAX || end > view.byteLength) return undefined;
  const columns = Array.from({ length: words }, (_, word) => {
    const column = start + word * COLUMN_BYTES;
    return { added: view.getUint32(column, true), least: view.getUint32(column + 4, true) };
  });
  return { at: view.getUint32(at, true), rows: view.getUint32(at + 4, true), columns };
}

/** The pieces have to make as much as is said, of what there is. */
function piecesError(
  view: DataView,
  { length, count, own }: DeltaParts,
  sourceLength: number,
): string | undefined {
  let [taken, made] = [own, 0];
  for (let piece = 0; piece < count; piece++) {
    const { from, copied, fresh } = pieceAt(view, piece);
    if (from + copied > sourceLength)
      return `Delta copies up to ${from + copied}, expected at most ${sourceLength}`;
    made += copied + fresh;
    taken += fresh;
  }
  return made === length && taken === view.byteLength
    ? undefined
    : `Delta of ${view.byteLength} bytes makes ${made} bytes of ${taken}, expected ${length}`;
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
  {
    own,
    size,
    shifts,
  }: { readonly own: number; readonly size: number; readonly shifts: readonly Shift[] },
): Uint8Array {
  const delta = new Uint8Array(size);
  const view = viewOf(delta);
  view.setUint32(0, target.length, true);
  view.setUint32(4, shifts.length === 0 ? copies.length + 1 : copies.length + 1 + SHIFTED, true);
  writeShifts(view, own - shiftBytes(shifts), shifts);
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

function shiftBytes(shifts: readonly Shift[]): number {
  if (shifts.length === 0) return 0;
  return shifts.reduce((sum, { columns }) => sum + SHIFT_BYTES + columns.length * COLUMN_BYTES, 4);
}

function writeShifts(view: DataView, start: number, shifts: readonly Shift[]): void {
  if (shifts.length === 0) return;
  view.setUint32(start, shifts.length, true);
  let at = start + 4;
  for (const { at: first, rows, columns } of shifts) {
    const numbers = columns.flatMap(({ added, least }) => [added, least]);
    for (const word of [first, rows, columns.length, ...numbers]) {
      view.setUint32(at, word, true);
      at += 4;
    }
  }
}

/** What of `after` is in `before`, in the order of `after`. */
function commonRuns(
  before: Section,
  after: Section,
): { readonly copies: Copy[]; readonly shifts: Shift[] } {
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
      const least = Math.min(was, is) - head;
      const ends = { from: from + was, to: at };
      const isTaken = table.stride === old.stride && runs.compareShifted(ends, table.stride, least);
      if (!isTaken) runs.compareTail(ends.from, ends.to, least);
    }
  }
  const copies = runs.found.filter(({ length }) => length >= COPY_BYTES_MIN);
  return { copies, shifts: runs.shifts };
}

/** Finds equal bytes of two sections. */
class Runs {
  readonly found: Copy[] = [];
  readonly shifts: Shift[] = [];
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

  /**
   * Takes the last rows of a table, up to the two ends and of `length` bytes at most, where those of one are those of the other with the same
   * numbers added; false where these are no other numbers, or few rows.
   */
  compareShifted(
    { from, to }: { readonly from: number; readonly to: number },
    stride: number,
    length: number,
  ): boolean {
    const size = stride / 4;
    const rowsMax = Math.floor(length / stride);
    if (stride % 4 !== 0 || size > ROW_WORDS_MAX || rowsMax * stride < SHIFTED_BYTES_MIN)
      return false;
    const [source, target] = [wordsOf(this.#source), wordsOf(this.#target)];
    if (source === undefined || target === undefined) return false;
    const columns: ColumnShift[] = [];
    let rows = rowsMax;
    // A column after the other: a row after the other, with a call a word, half a megabyte of policies took 6 ms instead of 1.
    for (let word = 0; word < size && rows > 0; word++) {
      const column = new ColumnShift();
      rows = column.take(source, target, { was: from / 4 + word, is: to / 4 + word, size, rows });
      columns.push(column);
    }
    const isShift = columns.some(({ added }) => added !== 0);
    const bytes = rows * stride;
    if (!isShift || bytes < SHIFTED_BYTES_MIN) return false;
    this.#take(from - bytes, to - bytes, bytes);
    this.shifts.push({
      at: to - bytes,
      rows,
      columns: columns.map(({ added, least }) => ({ added, least })),
    });
    return true;
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

/** The bytes of a section as words; undefined where they do not lie as such. */
function wordsOf({ buffer, byteOffset, length }: Uint8Array): Uint32Array | undefined {
  return byteOffset % 4 === 0 ? new Uint32Array(buffer, byteOffset, length >>> 2) : undefined;
}

/** The rows that a column is looked at in, from the last to the first. */
interface ColumnRows {
  /** Words of the column in the row behind the last one. */
  readonly was: number;
  readonly is: number;
  /** Words of a row. */
  readonly size: number;
  readonly rows: number;
}

/** Words of a column that are those before with one number added to all that are large enough. */
class ColumnShift {
  /** 0 where none has moved. */
  added = 0;
  /** The least of those that have moved. */
  least = NOWHERE;

  /** In how many of the rows it is so, without a gap from the last one. */
  take(source: Uint32Array, target: Uint32Array, { was, is, size, rows }: ColumnRows): number {
    let [added, least] = [0, NOWHERE];
    // The largest of those that have not moved, + 1.
    let kept = 0;
    let row = 0;
    for (let from = was - size, to = is - size; row < rows; row++, from -= size, to -= size) {
      const before = source[from]!;
      const more = (target[to]! - before) >>> 0;
      if (more === 0) {
        if (before === NOWHERE) continue;
        if (before >= least) break;
        if (before >= kept) kept = before + 1;
      } else {
        if (before === NOWHERE || before < kept || (added !== 0 && added !== more)) break;
        added = more;
        if (before < least) least = before;
      }
    }
    this.added = added;
    this.least = least;
    return row;
  }
}
