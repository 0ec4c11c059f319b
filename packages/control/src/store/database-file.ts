// SPDX-License-Identifier: Apache-2.0

// Opening the SQLite file of a store: made where it is missing, refused where it is not ours, from a newer version, or damaged. A refused file is left
// as it is.
//
// `version` has a row for each write of a document. Of one document they follow one another: a row is in force from `revision` until
// `until_revision`, NULL for the one in force now. A deletion is a row without text that is never in force. So the state at revision R is the rows with
// revision ≤ R < until_revision, and a change set's writes are the rows of its revision.

import { closeSync, openSync, readSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { corrupt, foreign, unavailable } from "./store-error.ts";

/** "MERD", in the header of the file. */
const APPLICATION_ID = 0x4d455244;
const SCHEMA_VERSION = 1;
const BUSY_TIMEOUT_MS = 5000;
/** Pages of the write-ahead log after which it is moved into the file. */
const CHECKPOINT_PAGES = 4000;
const CACHE_KIB = 32 * 1024;

const schema = `
  CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE change_set (
    revision INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    audit_hash TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    cause TEXT NOT NULL
  ) STRICT;
  CREATE TABLE version (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_revision INTEGER NOT NULL,
    until_revision INTEGER,
    text TEXT
  ) STRICT;
  CREATE UNIQUE INDEX version_key ON version (kind, namespace, name, revision);
  CREATE UNIQUE INDEX version_present ON version (kind, namespace, name) WHERE until_revision IS NULL;
  CREATE INDEX version_revision ON version (revision);
  CREATE TABLE lease (name TEXT PRIMARY KEY, term INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

export interface DatabaseFileOptions {
  /** A path, or ":memory:". */
  readonly path: string;
  /** Each commit reaches the disk before it is acknowledged. A mirror needs none of that. */
  readonly isDurable: boolean;
  readonly isReadOnly: boolean;
}

/** Throws STORE_FOREIGN, STORE_CORRUPT or STORE_UNAVAILABLE; the file is as before then. */
export function openDatabaseFile(options: DatabaseFileOptions): DatabaseSync {
  const { path, isReadOnly } = options;
  const isNew = isEmptyOrMissing(path);
  if (isNew && isReadOnly) throw unavailable(`Cannot open the store "${path}": there is none`);
  let database: DatabaseSync | undefined;
  try {
    if (!isNew) inspect(path);
    database = new DatabaseSync(path, { readOnly: isReadOnly, timeout: BUSY_TIMEOUT_MS });
    if (!isReadOnly) prepare(database, options.isDurable, isNew);
    return database;
  } catch (error) {
    database?.close();
    throw storageError(`open the store "${path}"`, error);
  }
}

function isEmptyOrMissing(path: string): boolean {
  return path === ":memory:" || (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0;
}

/** Through a connection that cannot write: one that can moves the write-ahead log into the file when it closes. */
function inspect(path: string): void {
  // SQLite itself would roll back a journal that lies beside another program's file.
  if (!startsAsDatabase(path))
    throw foreign(`Cannot open the store "${path}": it is no SQLite file, or its start is torn`);
  const database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    if (pragmaNumber(database, "application_id") !== APPLICATION_ID)
      throw foreign(`Cannot open the store "${path}": it is an SQLite file of another program`);
    const version = pragmaNumber(database, "user_version");
    if (version !== SCHEMA_VERSION)
      throw foreign(
        `Cannot open the store "${path}": its schema is version ${version}, expected ${SCHEMA_VERSION}`,
      );
    const found = database.prepare("PRAGMA integrity_check(1)").get()?.["integrity_check"];
    if (found !== "ok") throw corrupt(`Cannot open the store "${path}": ${String(found)}`);
  } finally {
    database.close();
  }
}

function startsAsDatabase(path: string): boolean {
  const magic = Buffer.from("SQLite format 3\0");
  const header = Buffer.alloc(magic.length);
  const handle = openSync(path, "r");
  try {
    readSync(handle, header, 0, header.length, 0);
  } finally {
    closeSync(handle);
  }
  return header.equals(magic);
}

function prepare(database: DatabaseSync, isDurable: boolean, isNew: boolean): void {
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  database.exec(`PRAGMA synchronous = ${isDurable ? "FULL" : "NORMAL"}`);
  database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
  if (isNew)
    database.exec(
      `BEGIN IMMEDIATE; ${schema} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`,
    );
}

function pragmaNumber(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOT_A_DATABASE = 26;
/** What contradicts itself is damaged, too, such as a copy that has one document twice: commits look first, and are never refused for it. */
const damages: ReadonlySet<number> = new Set([
  SQLITE_CORRUPT,
  SQLITE_CONSTRAINT,
  SQLITE_NOT_A_DATABASE,
]);

/** The error of a store for what SQLite threw; any other error stays as it is. */
export function storageError(attempt: string, error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number")
    return error;
  const primary = error.errcode & 0xff;
  const message = `Cannot ${attempt}: ${error.message}`;
  if (damages.has(primary)) return corrupt(message, error);
  return unavailable(
    primary === SQLITE_BUSY ? `${message}; another process has it open` : message,
    error,
  );
}
