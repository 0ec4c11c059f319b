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

/** A section opened for reading. The views share its buffer. */
export class Section {
  readonly kind: number;
  readonly key: bigint;
  readonly seed: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
  readonly #tables: ReadonlyMap<number, Table>;

  constructor(buffer: ArrayBufferLike, tables: ReadonlyMap<number, Table>) {
    this.bytes = new Uint8Array(buffer);
    this.halves = new Uint16Array(buffer);
    this.words = new Uint32Array(buffer);
    const view = new DataView(buffer);
    this.kind = view.getUint16(6, true);
    this.key = view.getBigUint64(16, true);
    this.seed = view.getUint32(24, true);
    this.flags = view.getUint32(28, true);
    this.#tables = tables;
  }

  /** The table `id`; an absent one is empty. */
  table(id: number): Table {
    return this.#tables.get(id) ?? emptyTable;
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
    return this.words[8 + index] ?? 0;
  }

  /** The key at `index` of a u64 table. */
  keyAt(id: number, index: number): bigint {
    const word = this.wordBase(id) + index * 2;
    return (BigInt(this.words[word + 1] ?? 0) << 32n) | BigInt(this.words[word] ?? 0);
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

/**
 * Opens the bytes of a section. Everything that a later look-up relies on is checked once here: magic, version, length, alignment,
 * that each table lies inside, and the checksum (unless another thread of this process has just done so: `checksum: "trusted"`, which
 * saves each worker about a millisecond per 4 MB at a reload). Returns an error text for torn, truncated and foreign bytes; never
 * throws.
 */
export function openSection(
  buffer: ArrayBufferLike,
  checksum: "verified" | "trusted" = "verified",
): Section | SectionError {
  const length = buffer.byteLength;
  if (length < SECTION_HEADER_BYTES || length % 8 !== 0 || length > SECTION_BYTES_MAX) {
    return {
      error: `Section has ${length} bytes, expected a multiple of 8 from 64 to ${SECTION_BYTES_MAX}`,
    };
  }
  const view = new DataView(buffer);
  const magic = view.getUint32(0, true);
  if (magic !== SECTION_MAGIC)
    return { error: `Section starts with 0x${magic.toString(16)}, expected "MSEC"` };
  const version = view.getUint16(4, true);
  if (version !== SECTION_VERSION)
    return { error: `Section format is ${version}, expected ${SECTION_VERSION}` };
  const stated = view.getUint32(8, true);
  if (stated !== length) return { error: `Section has ${length} bytes, its header says ${stated}` };
  const tables = readDirectory(view, length);
  if ("error" in tables) return tables;
  if (checksum === "trusted") return new Section(buffer, tables.tables);
  const wanted = view.getUint32(CHECKSUM_OFFSET, true);
  const found = sectionChecksum(new Uint8Array(buffer));
  if (found !== wanted) return { error: `Section checksum is ${found}, its header says ${wanted}` };
  return new Section(buffer, tables.tables);
}

/** CRC-32 of a section's bytes but the four that hold it. */
export function sectionChecksum(bytes: Uint8Array): number {
  const header = crc32(bytes.subarray(0, CHECKSUM_OFFSET));
  return crc32(bytes.subarray(SECTION_HEADER_BYTES), header);
}

function readDirectory(
  view: DataView,
  length: number,
): { tables: Map<number, Table> } | SectionError {
  const count = view.getUint32(12, true);
  const end = SECTION_HEADER_BYTES + count * 16;
  if (count > SECTION_TABLES_MAX || end > length)
    return { error: `Section has ${count} tables, expected ≤ ${SECTION_TABLES_MAX}` };
  const tables = new Map<number, Table>();
  for (let index = 0; index < count; index++) {
    const at = SECTION_HEADER_BYTES + index * 16;
    const id = view.getUint32(at, true);
    const table = {
      offset: view.getUint32(at + 4, true),
      count: view.getUint32(at + 8, true),
      stride: view.getUint32(at + 12, true),
    };
    if (
      table.stride === 0 ||
      table.offset % 8 !== 0 ||
      table.offset < end ||
      table.offset + table.count * table.stride > length
    ) {
      return {
        error: `Section table ${id} lies at ${table.offset}, expected inside ${length} bytes`,
      };
    }
    tables.set(id, table);
  }
  return { tables };
}
