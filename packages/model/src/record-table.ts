// SPDX-License-Identifier: Apache-2.0
// A million Records are mostly alike: they differ in their names and share everything else with those
// of the same policy. So they are held as columns, 50 bytes each instead of 450: the names as bytes,
// where each was read, and a shape, which is all the rest of the document. A document is put together
// again when somebody asks for it.
import { ByteList, hash32, WordList } from "@meridian/core";
import { plainName } from "./checks/zones.ts";
import type { RecordDocument } from "./documents.ts";
import { apiVersion } from "./kinds/metadata.ts";

/** A Record without its two names and its place. */
export interface RecordShape {
  readonly metadata: Omit<RecordDocument["metadata"], "name">;
  readonly spec: Omit<RecordDocument["spec"], "name">;
}

/** Words of a row. */
const column = {
  shape: 0,
  file: 1,
  line: 2,
  /** Offset and length of `metadata.name` in the bytes of all names, then of `spec.name`. */
  name: 3,
  nameBytes: 4,
  owner: 5,
  ownerBytes: 6,
} as const;
const COLUMNS = 7;

/** Records in the order in which they were read, by index. */
export class RecordTable implements Iterable<RecordDocument> {
  readonly shapes: readonly RecordShape[];
  /** All names, one byte a character: the schema lets only ASCII pass. */
  readonly names: ByteList = new ByteList(1 << 16);
  readonly #shapes: RecordShape[] = [];
  readonly #shapeIndex = new Map<string, number>();
  readonly #files: string[] = [];
  readonly #fileIndex = new Map<string, number>();
  readonly #rows: WordList = new WordList(1 << 12);
  #slots: Uint32Array | undefined;
  #isUnique = true;

  constructor() {
    this.shapes = this.#shapes;
  }

  get count(): number {
    return this.#rows.length / COLUMNS;
  }

  /** Adds a document and returns its index. */
  add({ metadata, spec, source }: RecordDocument): number {
    const { name, ...restOfMetadata } = metadata;
    const { name: owner, ...restOfSpec } = spec;
    const shape = this.shapeOf({ metadata: restOfMetadata, spec: restOfSpec });
    const names = Buffer.from(name, "latin1");
    const owners = owner === name ? names : Buffer.from(owner, "latin1");
    return this.addRow(
      shape,
      this.fileOf(source.file),
      source.line,
      { bytes: names, start: 0, end: names.length },
      { bytes: owners, start: 0, end: owners.length },
    );
  }

  /** The number of a shape, the same for equal ones. */
  shapeOf(shape: RecordShape): number {
    const key = JSON.stringify(shape);
    let index = this.#shapeIndex.get(key);
    if (index === undefined) {
      index = this.#shapes.push(shape) - 1;
      this.#shapeIndex.set(key, index);
    }
    return index;
  }

  /** The number of a file. */
  fileOf(path: string): number {
    let index = this.#fileIndex.get(path);
    if (index === undefined) {
      index = this.#files.push(path) - 1;
      this.#fileIndex.set(path, index);
    }
    return index;
  }

  /** Adds a Record whose names are bytes; those of its owner may be the very same. */
  addRow(shape: number, file: number, line: number, name: NameSpan, owner: NameSpan): number {
    const rows = this.#rows;
    this.#slots = undefined;
    const nameAt = this.names.append(name.bytes, name.start, name.end);
    const isSame = sameBytes(name, owner);
    const ownerAt = isSame ? nameAt : this.names.append(owner.bytes, owner.start, owner.end);
    const row = rows.zeros(COLUMNS);
    const { words } = rows;
    words[row + column.shape] = shape;
    words[row + column.file] = file;
    words[row + column.line] = line;
    words[row + column.name] = nameAt;
    words[row + column.nameBytes] = name.end - name.start;
    words[row + column.owner] = ownerAt;
    words[row + column.ownerBytes] = owner.end - owner.start;
    return row / COLUMNS;
  }

  /** Adds the Records from `start` up to `end` of another table. */
  addFrom(other: RecordTable, start: number, end: number): void {
    const shapes = new Map<number, number>();
    const files = new Map<number, number>();
    const span = (from: number, length: number): NameSpan => ({
      bytes: other.names.bytes,
      start: from,
      end: from + length,
    });
    for (let record = start; record < end; record += 1) {
      const shape = other.shapeAt(record);
      const file = other.#word(record, column.file);
      const ownShape = shapes.get(shape) ?? this.shapeOf(other.#shapes[shape] ?? noShape());
      const ownFile = files.get(file) ?? this.fileOf(other.#files[file] ?? "");
      shapes.set(shape, ownShape);
      files.set(file, ownFile);
      this.addRow(
        ownShape,
        ownFile,
        other.lineAt(record),
        span(other.#word(record, column.name), other.#word(record, column.nameBytes)),
        span(other.ownerStart(record), other.ownerBytes(record)),
      );
    }
  }

  /** The number of a Record's shape. */
  shapeAt(record: number): number {
    return this.#word(record, column.shape);
  }

  lineAt(record: number): number {
    return this.#word(record, column.line);
  }

  /** Where `spec.name` lies in `names`. */
  ownerStart(record: number): number {
    return this.#word(record, column.owner);
  }

  ownerBytes(record: number): number {
    return this.#word(record, column.ownerBytes);
  }

  /** `spec.name`. */
  ownerText(record: number): string {
    return this.#text(this.ownerStart(record), this.ownerBytes(record));
  }

  /** `metadata.name`. */
  nameText(record: number): string {
    const { start, end } = this.#nameSpan(record);
    return this.#text(start, end - start);
  }

  /** The document of a Record, made anew. */
  document(record: number): RecordDocument {
    const { metadata, spec } = this.#shapes[this.shapeAt(record)] ?? noShape();
    const start = this.#word(record, column.name);
    const name = this.#text(start, this.#word(record, column.nameBytes));
    return {
      apiVersion,
      kind: "Record",
      metadata: { ...metadata, name },
      spec: { ...spec, name: this.ownerText(record) },
      source: {
        file: this.#files[this.#word(record, column.file)] ?? "",
        line: this.lineAt(record),
      },
    };
  }

  /** The first Record of a name, in any letter case, with or without its last dot. */
  withOwner(name: string): RecordDocument | undefined {
    const wanted = plainName(name);
    for (let record = 0; record < this.count; record += 1) {
      if (plainName(this.ownerText(record)) === wanted) return this.document(record);
    }
    return undefined;
  }

  /** The Record that a document's key names. */
  withId(namespace: string, name: string): RecordDocument | undefined {
    const record = this.indexOf(namespace, name);
    return record < 0 ? undefined : this.document(record);
  }

  /** The same by index, or -1. */
  indexOf(namespace: string, name: string): number {
    const bytes = Buffer.from(name, "latin1");
    const wanted = { bytes, start: 0, end: bytes.length };
    const slots = this.#idSlots();
    let slot = hash32(bytes, 0, bytes.length, 0) & (slots.length - 1);
    for (; ; slot = (slot + 1) & (slots.length - 1)) {
      const record = (slots[slot] ?? 0) - 1;
      if (record < 0) return -1;
      if (sameBytes(this.#nameSpan(record), wanted) && this.#namespaceAt(record) === namespace)
        return record;
    }
  }

  /** Whether no two have one id. */
  get isUnique(): boolean {
    this.#idSlots();
    return this.#isUnique;
  }

  /** Whether a Record's two names are the same text. */
  isNamedAsOwner(record: number): boolean {
    return (
      this.#word(record, column.name) === this.#word(record, column.owner) &&
      this.#word(record, column.nameBytes) === this.#word(record, column.ownerBytes)
    );
  }

  /** The first Record of each id, by the hash of its name; made when it is asked for first after a change. */
  #idSlots(): Uint32Array {
    if (this.#slots === undefined) this.duplicates();
    return this.#slots ?? new Uint32Array(1);
  }

  /** All documents, each made when it is its turn. */
  *[Symbol.iterator](): Generator<RecordDocument> {
    for (let record = 0; record < this.count; record += 1) yield this.document(record);
  }

  /** The later of two Records of one namespace and name, with the former, for all such pairs. */
  duplicates(): Map<number, number> {
    const found = new Map<number, number>();
    const slots = new Uint32Array(slotsFor(this.count));
    for (let record = 0; record < this.count; record += 1) {
      const { bytes, start, end } = this.#nameSpan(record);
      let slot = hash32(bytes, start, end, 0) & (slots.length - 1);
      for (; ; slot = (slot + 1) & (slots.length - 1)) {
        const other = (slots[slot] ?? 0) - 1;
        if (other < 0) slots[slot] = record + 1;
        else if (this.#hasSameId(other, record)) found.set(record, other);
        else continue;
        break;
      }
    }
    this.#slots = slots;
    this.#isUnique = found.size === 0;
    return found;
  }

  #hasSameId(a: number, b: number): boolean {
    if (!sameBytes(this.#nameSpan(a), this.#nameSpan(b))) return false;
    return this.#namespaceAt(a) === this.#namespaceAt(b);
  }

  /** `metadata.name`. */
  #nameSpan(record: number): NameSpan {
    const start = this.#word(record, column.name);
    return { bytes: this.names.bytes, start, end: start + this.#word(record, column.nameBytes) };
  }

  #namespaceAt(record: number): string | undefined {
    return this.#shapes[this.shapeAt(record)]?.metadata.namespace;
  }

  #text(start: number, length: number): string {
    const { buffer, byteOffset } = this.names.bytes;
    return Buffer.from(buffer, byteOffset + start, length).toString("latin1");
  }

  #word(record: number, index: number): number {
    return this.#rows.words[record * COLUMNS + index] ?? 0;
  }
}

/** Some Records of a table, such as those of a zone. */
export class RecordList implements Iterable<RecordDocument> {
  readonly table: RecordTable;
  readonly #indices: WordList = new WordList(16);

  constructor(table: RecordTable) {
    this.table = table;
  }

  get count(): number {
    return this.#indices.length;
  }

  push(record: number): void {
    this.#indices.push(record);
  }

  /** Indices into the table. */
  get indices(): Uint32Array {
    return this.#indices.words.subarray(0, this.#indices.length);
  }

  *[Symbol.iterator](): Generator<RecordDocument> {
    for (const record of this.indices) yield this.table.document(record);
  }
}

/** Bytes of a name within others. */
export interface NameSpan {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Size of an open-addressed table that stays at most half full. */
export function slotsFor(count: number): number {
  let size = 16;
  while (size < count * 2) size *= 2;
  return size;
}

function sameBytes(a: NameSpan, b: NameSpan): boolean {
  const length = a.end - a.start;
  if (length !== b.end - b.start) return false;
  for (let index = 0; index < length; index += 1) {
    if (a.bytes[a.start + index] !== b.bytes[b.start + index]) return false;
  }
  return true;
}

function noShape(): never {
  throw new RangeError("Cannot find a Record: there is none of this index");
}
