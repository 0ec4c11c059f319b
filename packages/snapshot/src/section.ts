// SPDX-License-Identifier: Apache-2.0

// A section is one immutable piece of a snapshot, named by the SHA-256 of its bytes. It is a header, a directory of tables and
// the tables, all little-endian, so that it can be read where it lies: in a file, in a SharedArrayBuffer, in another process.
//
//   0  u32 magic "MSEC"     4  u16 format version   6  u16 kind         8  u32 byte length   12  u32 table count
//  16  u64 key              24 u32 hash seed        28 u32 flags        32 u32[7] bounds     60  u32 CRC-32 of all else
//  64  directory: table count × { u32 id, u32 offset, u32 count, u32 stride }
//  ..  tables, each 8-byte aligned, zero-filled gaps
//
// Tables refer to tables of the same section by index, and to other sections only by 64-bit keys (table `links`), which the
// loader resolves. A reader skips a section of an unknown kind unless its `required` flag is set.

import { crc32 } from "node:zlib";

/** "MSEC", little-endian. */
export const SECTION_MAGIC = 0x4345534d;
/** The format that this code writes and reads. */
export const SECTION_VERSION = 1;
/** Bytes before the directory. */
export const SECTION_HEADER_BYTES = 64;
/** Where the checksum lies, the last word of the header. */
export const CHECKSUM_OFFSET = 60;
/** Most tables that a section may have. */
export const SECTION_TABLES_MAX = 32;
/** Largest section: offsets are 32-bit and typed-array indices must stay small integers. */
export const SECTION_BYTES_MAX = 0x4000_0000;
/** Set where a reader that does not know the kind must refuse the snapshot. */
export const SECTION_FLAG_REQUIRED = 1;

/** What a section holds. */
export const SectionKind = {
  sites: 1,
  pools: 2,
  policies: 3,
  locationMap: 4,
  classifier: 5,
  addresses: 6,
  zone: 7,
  names: 8,
  resolvers: 9,
  views: 10,
} as const;

/** Table ids that every kind may use; ids from 16 up belong to the kind. */
export const SharedTable = {
  /** Byte heap that other tables point into by offset. */
  heap: 1,
  /** u64 keys of things in other sections. */
  links: 2,
} as const;

/** Where a table lies: `offset` in bytes, `count` entries of `stride` bytes. */
export interface Table {
  readonly offset: number;
  readonly count: number;
  readonly stride: number;
}

const emptyTable: Table = { offset: SECTION_HEADER_BYTES, count: 0, stride: 4 };

/** Memory that sections lie in, as one thread sees it: one view of each width for all of them. */
export class Slab {
  readonly buffer: ArrayBufferLike;
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;

  /** `buffer` has a multiple of four bytes. */
  constructor(buffer: ArrayBufferLike) {
    this.buffer = buffer;
    this.bytes = new Uint8Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.words = new Uint32Array(buffer);
  }
}

/** A section opened for reading where it lies in a slab: offsets of tables count from the slab's first byte. */
export class Section {
  readonly kind: number;
  readonly key: bigint;
  readonly seed: number;
  readonly flags: number;
  readonly slab: Slab;
  /** First byte and number of bytes in the slab. */
  readonly start: number;
  readonly length: number;
  /** The views of the whole slab. */
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
  readonly #tables: ReadonlyMap<number, Table>;

  /** `start` is a multiple of 8, and a whole section lies there: `openSection()` looks, this does not. */
  constructor(slab: Slab, start: number) {
    this.slab = slab;
    this.start = start;
    this.bytes = slab.bytes;
    this.halves = slab.halves;
    this.words = slab.words;
    const word = start >>> 2;
    this.kind = this.words[word + 1]! >>> 16;
    this.length = this.words[word + 2]!;
    this.key = (BigInt(this.words[word + 5]!) << 32n) | BigInt(this.words[word + 4]!);
    this.seed = this.words[word + 6]!;
    this.flags = this.words[word + 7]!;
    this.#tables = readDirectory(slab.words, start);
  }

  /** The table `id`; an absent one is empty. */
  table(id: number): Table {
    return this.#tables.get(id) ?? emptyTable;
  }

  /** Its tables by id. */
  tables(): Iterable<readonly [number, Table]> {
    return this.#tables;
  }

  /** Index of the table's first 32-bit word. */
  wordBase(id: number): number {
    return this.table(id).offset >>> 2;
  }

  count(id: number): number {
    return this.table(id).count;
  }

  /** Kind-specific bound `index` (0..6) of the header. */
  bound(index: number): number {
    return this.words[(this.start >>> 2) + 8 + index] ?? 0;
  }

  /** CRC-32 of all else. */
  get checksum(): number {
    return this.words[(this.start + CHECKSUM_OFFSET) >>> 2] ?? 0;
  }

  /** The key at `index` of a u64 table. */
  keyAt(id: number, index: number): bigint {
    const word = this.wordBase(id) + index * 2;
    return (BigInt(this.words[word + 1] ?? 0) << 32n) | BigInt(this.words[word] ?? 0);
  }

  /** Its bytes alone, in a buffer of their own. */
  copy(): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(this.length);
    new Uint8Array(buffer).set(this.bytes.subarray(this.start, this.start + this.length));
    return buffer;
  }

  /** Text that an (offset, length) pair of the heap names; cut at the heap's end. */
  text(offset: number, length: number): string {
    const heap = this.table(SharedTable.heap);
    const start = Math.min(offset, heap.count);
    const end = Math.min(offset + length, heap.count);
    return Buffer.from(this.bytes.buffer, heap.offset + start, end - start).toString("utf8");
  }
}

/** Why bytes are no section. */
export interface SectionError {
  readonly error: string;
}

/** Opens a section that has a buffer of its own, after `sectionError()`. */
export function openSection(buffer: ArrayBufferLike): Section | SectionError {
  const error = sectionError(buffer);
  return error === undefined ? new Section(new Slab(buffer), 0) : { error };
}

/**
 * The same of a section that this very thread has just sealed: its checksum is what it was made to be. Of six megabytes it takes a millisecond
 * or two.
 */
export function openSealed(buffer: ArrayBufferLike): Section | SectionError {
  const error = headerError(buffer, 0, buffer.byteLength);
  return error === undefined ? new Section(new Slab(buffer), 0) : { error };
}

/**
 * Why bytes are no section, undefined where they are one. Everything that a later look-up relies on is checked once here: magic,
 * version, length, alignment, that each table lies inside, and the checksum. Torn, truncated and foreign bytes get a text; never throws.
 */
export function sectionError(
  buffer: ArrayBufferLike,
  start: number = 0,
  length: number = buffer.byteLength,
): string | undefined {
  const wrong = headerError(buffer, start, length);
  if (wrong !== undefined) return wrong;
  const wanted = new DataView(buffer, start, length).getUint32(CHECKSUM_OFFSET, true);
  const found = sectionChecksum(new Uint8Array(buffer, start, length));
  return found === wanted ? undefined : `Section checksum is ${found}, its header says ${wanted}`;
}

/** What is wrong with the header and the directory. */
function headerError(buffer: ArrayBufferLike, start: number, length: number): string | undefined {
  if (length < SECTION_HEADER_BYTES || length % 8 !== 0 || length > SECTION_BYTES_MAX)
    return `Section has ${length} bytes, expected a multiple of 8 from 64 to ${SECTION_BYTES_MAX}`;
  const view = new DataView(buffer, start, length);
  const magic = view.getUint32(0, true);
  if (magic !== SECTION_MAGIC)
    return `Section starts with 0x${magic.toString(16)}, expected "MSEC"`;
  const version = view.getUint16(4, true);
  if (version !== SECTION_VERSION)
    return `Section format is ${version}, expected ${SECTION_VERSION}`;
  const stated = view.getUint32(8, true);
  if (stated !== length) return `Section has ${length} bytes, its header says ${stated}`;
  return directoryError(view, length);
}

/** CRC-32 of a section's bytes but the four that hold it. */
export function sectionChecksum(bytes: Uint8Array): number {
  const header = crc32(bytes.subarray(0, CHECKSUM_OFFSET));
  return crc32(bytes.subarray(SECTION_HEADER_BYTES), header);
}

function directoryError(view: DataView, length: number): string | undefined {
  const count = view.getUint32(12, true);
  const end = SECTION_HEADER_BYTES + count * 16;
  if (count > SECTION_TABLES_MAX || end > length)
    return `Section has ${count} tables, expected ≤ ${SECTION_TABLES_MAX}`;
  for (let at = SECTION_HEADER_BYTES; at < end; at += 16) {
    const offset = view.getUint32(at + 4, true);
    const entries = view.getUint32(at + 8, true);
    const stride = view.getUint32(at + 12, true);
    if (stride === 0 || offset % 8 !== 0 || offset < end || offset + entries * stride > length)
      return `Section table ${view.getUint32(at, true)} lies at ${offset}, expected inside ${length} bytes`;
  }
  return undefined;
}

/** The tables of the section at byte `start`, offsets counted from the slab's first byte. */
function readDirectory(words: Uint32Array, start: number): Map<number, Table> {
  const tables = new Map<number, Table>();
  let at = (start + SECTION_HEADER_BYTES) >>> 2;
  for (let left = words[(start >>> 2) + 3]!; left > 0; left--, at += 4) {
    const table = { offset: start + words[at + 1]!, count: words[at + 2]!, stride: words[at + 3]! };
    tables.set(words[at]!, table);
  }
  return tables;
}
