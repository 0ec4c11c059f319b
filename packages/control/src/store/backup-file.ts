// SPDX-License-Identifier: Apache-2.0

// A backup: lines of JSON, so that any tool can read it (docs/internals/store.md has an example).
//
//   {"meridianBackup":1,"storeId":…,"epoch":…,"base":{…},"revision":…}
//   {"document":[kind, namespace, name, text, revision, createdRevision]}      those of `base`
//   {"changeSet":{"revision":…,"changeSetId":…,"auditHash":…,"atMs":…,"cause":…,"writes":2}}
//   {"write":[kind, namespace, name, text or null]}                            as many as `writes` says
//   {"end":{"lines":…,"sha256":…}}                                             of every byte before this line
//
// Written beside its place and moved there when it is whole and on disk. Read as a stream; that it is whole shows at its end, and nothing that was loaded
// is visible before.

import { createHash } from "node:crypto";
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { MeridianError } from "@meridian/core";
import { syncPath } from "@meridian/snapshot/disk";
import { integerOf, parseHead, textOf, type Row } from "./database-row.ts";
import {
  changeSetBytesMax,
  changeSetWritesMax,
  pageBytesMax,
  type ChangeSet,
  type DocumentKey,
  type DocumentWrite,
  type StoredDocument,
} from "./store.ts";
import type { CopyBatch, CopyProgress, CopyStart, StoreCopy } from "./store-copy.ts";
import { corrupt, foreign, invalidRequest } from "./store-error.ts";

const FORMAT_VERSION = 1;
const WRITE_BYTES = 1024 * 1024;
const BATCH_DOCUMENTS = 2000;
/** A text of the most that a change set may have, where each of its characters is escaped. */
const LINE_BYTES_MAX: number = 6 * changeSetBytesMax;

/** Writes a copy to a new file at `path` (0600). Throws STORE_REQUEST_INVALID where there is one already. */
export async function writeBackup(
  path: string,
  { start, batches }: StoreCopy,
  onProgress: (progress: CopyProgress) => void,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  if (existsSync(path))
    throw invalidRequest(`Cannot write the backup "${path}": it exists, expected a new file`);
  const temporary = `${path}.new`;
  const writer = new BackupWriter(openSync(temporary, "w", 0o600));
  const changeSetsWanted = start.revision - Math.max(0, start.base.revision - 1);
  let [documents, changeSets] = [0, 0];
  try {
    writer.line({ meridianBackup: FORMAT_VERSION, ...start });
    for await (const batch of batches) {
      writer.batch(batch);
      if (batch.kind === "documents") documents += batch.documents.length;
      else changeSets += batch.changeSets.length;
      onProgress({ documents, changeSets, changeSetsWanted });
    }
    const written = writer.end();
    renameSync(temporary, path);
    syncPath(dirname(path));
    return written;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    writer.close();
  }
}

class BackupWriter {
  readonly #handle: number;
  readonly #hash = createHash("sha256");
  #pending = "";
  #lines = 0;
  #bytes = 0;

  constructor(handle: number) {
    this.#handle = handle;
  }

  line(value: object): void {
    this.#pending += `${JSON.stringify(value)}\n`;
    this.#lines++;
    if (this.#pending.length >= WRITE_BYTES) this.#flush();
  }

  batch(batch: CopyBatch): void {
    if (batch.kind === "documents") {
      for (const { key, text, revision, createdRevision } of batch.documents)
        this.line({
          document: [key.kind, key.namespace, key.name, text, revision, createdRevision],
        });
      return;
    }
    for (const { revision, changeSetId, auditHash, atMs, cause, writes } of batch.changeSets) {
      this.line({
        changeSet: { revision, changeSetId, auditHash, atMs, cause, writes: writes.length },
      });
      for (const { key, text } of writes)
        this.line({ write: [key.kind, key.namespace, key.name, text ?? null] });
    }
  }

  /** Adds the last line and waits for the disk. */
  end(): { readonly bytes: number; readonly sha256: string } {
    this.#flush();
    const sha256 = this.#hash.copy().digest("hex");
    this.line({ end: { lines: this.#lines, sha256 } });
    this.#flush();
    fsyncSync(this.#handle);
    return { bytes: this.#bytes, sha256 };
  }

  close(): void {
    closeSync(this.#handle);
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending);
    this.#pending = "";
    this.#hash.update(bytes);
    for (let at = 0; at < bytes.length;) at += writeSync(this.#handle, bytes, at);
    this.#bytes += bytes.length;
  }
}

/** Opens a backup. Throws STORE_FOREIGN where it is none or of a newer version; its batches throw STORE_CORRUPT where it is not what was written. */
export async function readBackup(path: string): Promise<StoreCopy> {
  const lines = linesOf(path);
  const first = await lines.next();
  const line: Buffer = first.done === true ? Buffer.alloc(0) : first.value;
  const start = startOf(path, line);
  const hash = createHash("sha256").update(line).update("\n");
  return { start, batches: batchesOf(lines, path, hash) };
}

/** Split at line feeds alone: JSON leaves other separators of lines in texts as they are. */
async function* linesOf(path: string): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let pending = 0;
  for await (const chunk of chunksOf(path)) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...pieces, chunk.subarray(from, at)]);
      [pieces, pending, from] = [[], 0, at + 1];
    }
    pieces.push(chunk.subarray(from));
    pending += chunk.length - from;
    if (pending > LINE_BYTES_MAX)
      throw corrupt(`Cannot read the backup "${path}": a line is too long`);
  }
  if (pending > 0) yield Buffer.concat(pieces);
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: WRITE_BYTES }))
      if (Buffer.isBuffer(chunk)) yield chunk;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidRequest(`Cannot read the backup "${path}": ${reason}`);
  }
}

function startOf(path: string, line: Buffer): CopyStart {
  const row = rowOf(line);
  const version = row?.["meridianBackup"];
  if (row === undefined || version === undefined)
    throw foreign(`Cannot read the backup "${path}": it is none`);
  if (version !== FORMAT_VERSION)
    throw foreign(
      `Cannot read the backup "${path}": its form is version ${JSON.stringify(version)}, expected ${FORMAT_VERSION}`,
    );
  return {
    storeId: textOf(row, "storeId"),
    epoch: integerOf(row, "epoch"),
    base: parseHead(JSON.stringify(row["base"])),
    revision: integerOf(row, "revision"),
  };
}

type Hash = ReturnType<typeof createHash>;

async function* batchesOf(
  lines: AsyncIterable<Buffer>,
  path: string,
  hash: Hash,
): AsyncGenerator<CopyBatch> {
  const damaged = (why: string): MeridianError =>
    corrupt(`Cannot read the backup "${path}": line ${count} ${why}`);
  let count = 1;
  let hasEnded = false;
  let documents: StoredDocument[] = [];
  let textLength = 0;
  let change:
    | { readonly set: ChangeSet; readonly writes: DocumentWrite[]; readonly wanted: number }
    | undefined;
  for await (const line of lines) {
    count++;
    const row = rowOf(line);
    if (row === undefined || hasEnded) throw damaged("is not what was written");
    if (row["end"] !== undefined) {
      const end = objectOf(row["end"]);
      if (end["lines"] !== count - 1 || end["sha256"] !== hash.digest("hex"))
        throw damaged("has another checksum than what stands before it");
      hasEnded = true;
      continue;
    }
    hash.update(line).update("\n");
    if (row["document"] !== undefined) {
      documents.push(documentOf(row["document"]));
      textLength += documents.at(-1)?.text.length ?? 0;
    } else if (row["changeSet"] !== undefined && change === undefined)
      change = changeSetOf(objectOf(row["changeSet"]));
    else if (row["write"] !== undefined && change !== undefined)
      change.writes.push(writeOf(row["write"]));
    else throw damaged("is in the wrong place");
    const isFull = documents.length >= BATCH_DOCUMENTS || textLength >= pageBytesMax;
    if (isFull || (change !== undefined && documents.length > 0)) {
      yield { kind: "documents", documents };
      [documents, textLength] = [[], 0];
    }
    if (change !== undefined && change.writes.length === change.wanted) {
      yield { kind: "changeSets", changeSets: [change.set] };
      change = undefined;
    }
  }
  if (!hasEnded) throw damaged("is the last, and not the end of a backup: it was cut");
  if (documents.length > 0) yield { kind: "documents", documents };
}

function changeSetOf(row: Row): {
  set: ChangeSet;
  writes: DocumentWrite[];
  wanted: number;
} {
  const writes: DocumentWrite[] = [];
  const wanted = integerOf(row, "writes");
  if (wanted > changeSetWritesMax) throw corrupt("Cannot read a backup: a change set is too large");
  const head = parseHead(JSON.stringify(row));
  return { set: { ...head, cause: textOf(row, "cause"), writes }, writes, wanted };
}

function documentOf(value: unknown): StoredDocument {
  const [key, rest] = keyOf(value);
  const [text, revision, createdRevision] = rest;
  const row = { text, revision, createdRevision };
  return {
    key,
    text: textOf(row, "text"),
    revision: integerOf(row, "revision"),
    createdRevision: integerOf(row, "createdRevision"),
  };
}

function writeOf(value: unknown): DocumentWrite {
  const [key, [text]] = keyOf(value);
  return { key, text: text === null ? undefined : textOf({ text }, "text") };
}

function keyOf(value: unknown): [DocumentKey, readonly unknown[]] {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [];
  const [kind, namespace, name, ...rest] = parts;
  const row = { kind, namespace, name };
  return [
    { kind: textOf(row, "kind"), namespace: textOf(row, "namespace"), name: textOf(row, "name") },
    rest,
  ];
}

function objectOf(value: unknown): Row {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function rowOf(line: Buffer): Row | undefined {
  try {
    const parsed: unknown = JSON.parse(line.toString());
    return typeof parsed === "object" && parsed !== null ? { ...parsed } : undefined;
  } catch {
    return undefined;
  }
}
