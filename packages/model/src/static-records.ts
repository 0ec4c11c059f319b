// SPDX-License-Identifier: Apache-2.0
// The static records of a zone as columns: a master file may hold a million, and an object each with
// two small arrays in it would take 400 bytes.
import { ByteList, WordList } from "@meridian/core";
import type { ZoneRecord } from "@meridian/dns";
import { NameKey, NameTable } from "./name-table.ts";
import type { Path } from "./problem.ts";

/** A static record, and the field (or, for the file, line) it comes from. The owner is in lower case. */
export interface StaticRecord extends ZoneRecord {
  readonly path: Path;
}

/** Words of a row. */
const column = {
  owner: 0,
  type: 1,
  ttl: 2,
  rdata: 3,
  rdataBytes: 4,
  path: 5,
  file: 6,
  line: 7,
} as const;
const COLUMNS = 8;

/** Static records by index, in the order in which they were read. */
export class StaticRecords implements Iterable<StaticRecord> {
  /** The names of all owners. */
  readonly owners: NameTable = new NameTable();
  /** Equal where records come from one field: the file is one. */
  readonly paths: readonly Path[];
  readonly #paths: Path[] = [];
  readonly #pathIndex = new Map<Path, number>();
  readonly #files: string[] = [];
  readonly #rdata: ByteList = new ByteList();
  readonly #rows: WordList = new WordList();
  readonly #key = new NameKey();

  constructor() {
    this.paths = this.#paths;
  }

  get count(): number {
    return this.#rows.length / COLUMNS;
  }

  /** Adds a record; `owner` and `rdata` are copied. */
  push(
    owner: Uint8Array,
    type: number,
    ttl: number,
    rdata: Uint8Array,
    path: Path,
    file: string,
    line: number,
  ): void {
    const rows = this.#rows;
    rows.push(this.owners.add(this.#key.setWire(owner)));
    rows.push(type);
    rows.push(ttl);
    rows.push(this.#rdata.append(rdata, 0, rdata.length));
    rows.push(rdata.length);
    rows.push(this.#pathOf(path));
    rows.push(this.#fileOf(file));
    rows.push(line);
  }

  /** Number of the owner in `owners`. */
  ownerAt(record: number): number {
    return this.#word(record, column.owner);
  }

  typeAt(record: number): number {
    return this.#word(record, column.type);
  }

  /** Seconds. */
  ttlAt(record: number): number {
    return this.#word(record, column.ttl);
  }

  /** Index into `paths`. */
  pathAt(record: number): number {
    return this.#word(record, column.path);
  }

  /** The data in wire form, as a view. */
  rdataAt(record: number): Uint8Array {
    const start = this.#word(record, column.rdata);
    return this.#rdata.bytes.subarray(start, start + this.#word(record, column.rdataBytes));
  }

  /** The first record of a type, or -1. */
  firstOf(type: number): number {
    for (let record = 0; record < this.count; record += 1) {
      if (this.typeAt(record) === type) return record;
    }
    return -1;
  }

  at(record: number): StaticRecord {
    return {
      owner: this.owners.name(this.ownerAt(record)),
      type: this.typeAt(record),
      ttl: this.ttlAt(record),
      rdata: this.rdataAt(record),
      path: this.#paths[this.pathAt(record)] ?? [],
      file: this.#files[this.#word(record, column.file)] ?? "",
      line: this.#word(record, column.line),
    };
  }

  *[Symbol.iterator](): Generator<StaticRecord> {
    for (let record = 0; record < this.count; record += 1) yield this.at(record);
  }

  #pathOf(path: Path): number {
    let index = this.#pathIndex.get(path);
    if (index === undefined) {
      index = this.#paths.push(path) - 1;
      this.#pathIndex.set(path, index);
    }
    return index;
  }

  /** A zone's files are few, and neighbours are of one. */
  #fileOf(file: string): number {
    const index = this.#files.lastIndexOf(file);
    return index >= 0 ? index : this.#files.push(file) - 1;
  }

  #word(record: number, index: number): number {
    return this.#rows.words[record * COLUMNS + index] ?? 0;
  }
}
