// SPDX-License-Identifier: Apache-2.0

// Where a store's keys are in etcd, and what their values are. Below the store's prefix:
//
//   format                          says that these keys are a store, and of which version
//   head                            the newest change set, and which generation and base the others belong to
//   log/GENERATION/REVISION         a change set: one line of JSON, then its body where that is short
//   part/GENERATION/STAGE/NUMBER    the body of a long one, in pieces
//   base/GENERATION/REVISION/NUMBER the documents of the oldest state that is kept, in pieces
//   lease/NAME                      who holds a lease; goes with etcd's lease of the holder
//
// Nothing below log, part and base counts but what head leads to: they are written first, and one compare-and-set of head makes them visible.
// A generation is one life of the store: a restore writes a new one beside the old.

import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { integerOf, parseHead, textOf, type Row } from "../database-row.ts";
import type { ChangeSet, DocumentKey, Head, StoredDocument } from "../store.ts";
import { corrupt, foreign } from "../store-error.ts";

const FORMAT_VERSION = 1;

/** A value of this size and the rest of its request stay below etcd's limit of 1.5 MiB. */
export const PART_BYTES: number = 1024 * 1024;
/** A body up to this size stands in the log itself, so that those who watch have it at once. */
const INLINE_BYTES_MAX = 256 * 1024;
/** Pieces of one change set: with head and log they are one transaction of at most 128 operations. */
export const PARTS_MAX = 120;

/** The value of `head`. */
export interface EtcdHead {
  readonly storeId: string;
  readonly epoch: number;
  readonly generation: string;
  readonly head: Head;
  readonly base: EtcdBase;
}

export interface EtcdBase {
  readonly head: Head;
  readonly parts: number;
}

/** The body of a change set: itself where it is short, else where its pieces are. */
export interface Staged {
  /** Of this attempt alone: pieces that another attempt writes go with that one's lease. */
  readonly stage: string;
  /** 0: the body stands in the log. */
  readonly parts: number;
  readonly body: Buffer;
}

export interface LogEntry extends Staged {
  readonly head: Head;
}

export class EtcdLayout {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get all(): Buffer {
    return Buffer.from(this.#prefix);
  }

  get format(): Buffer {
    return this.#key("format");
  }

  get head(): Buffer {
    return this.#key("head");
  }

  /** Every change set of every generation. */
  get logs(): Buffer {
    return this.#key("log/");
  }

  logOf(generation: string): Buffer {
    return this.#key(`log/${generation}/`);
  }

  log(generation: string, revision: number): Buffer {
    return this.#key(`log/${generation}/${padded(revision)}`);
  }

  partsOf(generation: string, stage: string): Buffer {
    return this.#key(`part/${generation}/${stage}/`);
  }

  part(generation: string, stage: string, number: number): Buffer {
    return this.#key(`part/${generation}/${stage}/${padded(number)}`);
  }

  basesOf(generation: string): Buffer {
    return this.#key(`base/${generation}/`);
  }

  baseOf(generation: string, revision: number): Buffer {
    return this.#key(`base/${generation}/${padded(revision)}/`);
  }

  base(generation: string, revision: number, number: number): Buffer {
    return this.#key(`base/${generation}/${padded(revision)}/${padded(number)}`);
  }

  lease(name: string): Buffer {
    return this.#key(`lease/${name}`);
  }

  /** `log/`, `part/` and `base/` of all generations. */
  get generationFolders(): readonly Buffer[] {
    return ["log/", "part/", "base/"].map((folder) => this.#key(folder));
  }

  /** The generation in a key of one of those folders. */
  generationIn(key: Buffer): string {
    return key.toString().slice(this.#prefix.length).split("/")[1] ?? "";
  }

  #key(rest: string): Buffer {
    return Buffer.from(this.#prefix + rest);
  }
}

/** Numbers sort as text, then. */
function padded(number: number): string {
  return String(number).padStart(16, "0");
}

/** The end of the range of all keys that begin with `prefix`. */
export function endOf(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  const last = end.length - 1;
  end[last] = (end[last] ?? 0) + 1;
  return end;
}

export function encodeFormat(): Buffer {
  return Buffer.from(JSON.stringify({ meridianStore: FORMAT_VERSION }));
}

/** Throws STORE_FOREIGN where the value is not of this version. */
export function checkFormat(value: Buffer | undefined, where: string): void {
  const version = value === undefined ? undefined : parseRow(value)?.["meridianStore"];
  if (version === FORMAT_VERSION) return;
  throw foreign(
    version === undefined
      ? `Cannot open the store at ${where}: the keys there are of another program`
      : `Cannot open the store at ${where}: its form is version ${JSON.stringify(version)}, expected ${FORMAT_VERSION}`,
  );
}

export function encodeEtcdHead(head: EtcdHead): Buffer {
  return Buffer.from(JSON.stringify(head));
}

export function decodeEtcdHead(value: Buffer): EtcdHead {
  const row = rowOf(value);
  const base = memberOf(row, "base");
  return {
    storeId: textOf(row, "storeId"),
    epoch: integerOf(row, "epoch"),
    generation: textOf(row, "generation"),
    head: parseHead(JSON.stringify(row["head"])),
    base: { head: parseHead(JSON.stringify(base["head"])), parts: integerOf(base, "parts") },
  };
}

export function encodeBody({ cause, writes }: Pick<ChangeSet, "cause" | "writes">): Buffer {
  const rows = writes.map(({ key, text }) => [key.kind, key.namespace, key.name, text ?? null]);
  return zstdCompressSync(JSON.stringify([cause, ...rows]));
}

/** A body that is too long for the log, in pieces; none where it is not. */
export function partsOf(body: Buffer): Buffer[] {
  return body.length <= INLINE_BYTES_MAX ? [] : piecesOf(body);
}

function piecesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / PART_BYTES) }, (_, index) =>
    bytes.subarray(index * PART_BYTES, (index + 1) * PART_BYTES),
  );
}

export function encodeLogEntry({ head, stage, parts, body }: LogEntry): Buffer {
  const line = Buffer.from(`${JSON.stringify({ ...head, stage, parts })}\n`);
  return parts === 0 ? Buffer.concat([line, body]) : line;
}

/** `body` is empty where the parts have it. */
export function decodeLogEntry(value: Buffer): LogEntry {
  const end = value.indexOf("\n");
  if (end < 0) throw corrupt("Cannot read a change set from etcd: its first line has no end");
  const line = value.subarray(0, end);
  return {
    head: parseHead(line.toString()),
    stage: textOf(rowOf(line), "stage"),
    parts: integerOf(rowOf(line), "parts"),
    body: value.subarray(end + 1),
  };
}

export function decodeChangeSet(head: Head, body: Buffer): ChangeSet {
  const [cause, ...rows] = decodeRows(body);
  if (typeof cause !== "string") throw corrupt("Cannot read a change set from etcd: no cause");
  const writes = rows.map((row) => {
    const [key, rest] = decodeKey(row);
    const [text] = rest;
    if (text !== null && typeof text !== "string")
      throw corrupt("Cannot read a change set from etcd: a text is none");
    return { key, text: text ?? undefined };
  });
  return { ...head, cause, writes };
}

/** One piece of a base. */
export function encodeDocuments(documents: readonly StoredDocument[]): Buffer {
  const rows = documents.map(({ key, text, revision, createdRevision }) => [
    key.kind,
    key.namespace,
    key.name,
    text,
    revision,
    createdRevision,
  ]);
  return zstdCompressSync(JSON.stringify(rows));
}

export function decodeDocuments(value: Buffer): StoredDocument[] {
  return decodeRows(value).map((row) => {
    const [key, [text, revision, createdRevision]] = decodeKey(row);
    if (
      typeof text !== "string" ||
      typeof revision !== "number" ||
      typeof createdRevision !== "number"
    )
      throw corrupt("Cannot read documents from etcd: one is not whole");
    return { key, text, revision, createdRevision };
  });
}

function decodeKey(row: unknown): [DocumentKey, readonly unknown[]] {
  if (isList(row)) {
    const [kind, namespace, name, ...rest] = row;
    if (typeof kind === "string" && typeof namespace === "string" && typeof name === "string")
      return [{ kind, namespace, name }, rest];
  }
  throw corrupt("Cannot read documents from etcd: a key is none");
}

function decodeRows(value: Buffer): readonly unknown[] {
  try {
    const rows: unknown = JSON.parse(zstdDecompressSync(value).toString());
    if (isList(rows)) return rows;
  } catch (error) {
    throw corrupt("Cannot read documents from etcd: they are not what was written", error);
  }
  throw corrupt("Cannot read documents from etcd: they are no list");
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function memberOf(row: Row, name: string): Row {
  const value = row[name];
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function rowOf(value: Buffer): Row {
  const row = parseRow(value);
  if (row === undefined) throw corrupt("Cannot read the store in etcd: a value is no JSON object");
  return row;
}

function parseRow(value: Buffer): Row | undefined {
  try {
    const parsed: unknown = JSON.parse(value.toString());
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
