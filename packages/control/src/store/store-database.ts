// SPDX-License-Identifier: Apache-2.0

// Documents, their versions and their change sets in one SQLite database (database-file.ts has its form): the whole of the embedded store, and what a
// replica of the distributed one mirrors. Everything here is synchronous and on one connection.

import { randomUUID } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { assert } from "@meridian/core";
import { auditHashOf, headOf, nextChangeSet } from "./change-set.ts";
import { integerOf, parseHead, textOf } from "./database-row.ts";
import { DocumentReader } from "./document-reader.ts";
import {
  genesisHash,
  type ChangeSet,
  type ChangeSetRequest,
  type DocumentKey,
  type Head,
  type HeadReading,
  type LoadStart,
  type StoredDocument,
} from "./store.ts";
import {
  compacted,
  corrupt,
  documentConflict,
  headConflict,
  revisionUnknown,
} from "./store-error.ts";

const genesis: Head = { revision: 0, changeSetId: "", auditHash: genesisHash, atMs: 0 };

export class StoreDatabase {
  readonly reader: DocumentReader;
  readonly #database: DatabaseSync;
  readonly #insertChangeSet: StatementSync;
  readonly #insertVersion: StatementSync;
  readonly #endVersion: StatementSync;
  #storeId = "";
  #epoch = 0;
  /** Head of the oldest state that is known: versions and change sets before it are gone. */
  #base: Head = genesis;
  #head: Head = genesis;

  /** Takes over the connection. An empty database becomes a store of its own, unless it can only be read. */
  constructor(database: DatabaseSync) {
    this.#database = database;
    this.reader = new DocumentReader(database);
    this.#insertChangeSet = database.prepare(
      "INSERT INTO change_set (revision, id, audit_hash, at_ms, cause) VALUES (?, ?, ?, ?, ?)",
    );
    this.#insertVersion = database.prepare(
      `INSERT INTO version (kind, namespace, name, revision, created_revision, until_revision, text)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#endVersion = database.prepare(
      `UPDATE version SET until_revision = ? WHERE kind = ? AND namespace = ? AND name = ?
         AND until_revision IS NULL RETURNING created_revision`,
    );
    if (this.#setting("base") === undefined)
      this.transaction(() => this.#writeIdentity(randomUUID(), 1, genesis));
    this.#readState();
  }

  /** For what looks at the database as such. */
  get connection(): DatabaseSync {
    return this.#database;
  }

  get head(): Head {
    return this.#head;
  }

  get base(): Head {
    return this.#base;
  }

  get storeId(): string {
    return this.#storeId;
  }

  get epoch(): number {
    return this.#epoch;
  }

  reading(ageMs: number): HeadReading {
    return {
      ...this.#head,
      storeId: this.#storeId,
      epoch: this.#epoch,
      oldestRevision: this.#base.revision,
      ageMs,
    };
  }

  /** Throws where the documents of `revision` are not known. */
  checkReadable(revision: number): void {
    if (revision < this.#base.revision) throw compacted(revision, this.#base.revision);
    if (revision > this.#head.revision) throw revisionUnknown(revision, this.#head.revision);
  }

  /** Change sets after `revision`, as many as a page holds. Throws where history is gone. */
  changesAfter(revision: number): readonly ChangeSet[] {
    if (revision > this.#head.revision) throw revisionUnknown(revision, this.#head.revision);
    if (revision === this.#head.revision) return [];
    const changes = this.reader.changes({ from: revision + 1, to: this.#head.revision });
    // A store that was loaded may have its oldest documents without their change set.
    if (changes[0]?.revision !== revision + 1) throw compacted(revision + 1, this.#base.revision);
    return changes;
  }

  /** What a request becomes now, or the head that it became before. Throws the first precondition that does not hold. */
  admit(request: ChangeSetRequest, nowMs: number): { done: Head } | { next: ChangeSet } {
    const done = this.reader.headOfId(request.id);
    if (done !== undefined) return { done };
    if (request.ifHead !== undefined && request.ifHead !== this.#head.revision)
      throw headConflict(request.ifHead, this.#head.revision);
    for (const { key, ifRevision } of request.writes) {
      if (ifRevision === undefined) continue;
      const found = this.reader.get(key, this.#head.revision)?.revision ?? 0;
      if (found !== ifRevision) throw documentConflict(key, ifRevision, found);
    }
    return { next: nextChangeSet(this.#head, request, nowMs) };
  }

  /** Makes a change set that follows head the new head. Throws STORE_CORRUPT where it does not continue the audit chain. */
  append(changeSet: ChangeSet): void {
    assert(changeSet.revision === this.#head.revision + 1, "Change sets are appended in order");
    this.transaction(() => this.#writeNext(changeSet));
    this.#head = headOf(changeSet);
  }

  /** Forgets versions that ended, and change sets that were made, before `revision`. */
  compact(revision: number): void {
    this.checkReadable(revision);
    const base = this.reader.headOfRevision(revision);
    if (base === undefined || revision === this.#base.revision) return;
    this.transaction(() => {
      this.#database
        .prepare("DELETE FROM version WHERE revision < ? AND until_revision <= ?")
        .run(revision, revision);
      this.#database.prepare("DELETE FROM change_set WHERE revision < ?").run(revision);
      this.#writeIdentity(this.#storeId, this.#epoch, base);
    });
    this.#base = base;
  }

  /** The term of the next holder of a lease, on disk before it is given out. */
  nextTerm(lease: string): number {
    const statement = this.#database.prepare(
      `INSERT INTO lease (name, term) VALUES (?, 1)
       ON CONFLICT (name) DO UPDATE SET term = term + 1 RETURNING term`,
    );
    const row = statement.get(lease);
    assert(row !== undefined, "An upsert with RETURNING returns its row");
    return integerOf(row, "term");
  }

  /** Runs `body` as one transaction of the database: all of it, or nothing. */
  transaction(body: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      body();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Opens a transaction in which the store is emptied and filled anew. Until `endLoad`, nothing else may use this object. */
  beginLoad({ storeId, epoch, base }: Pick<LoadStart, "storeId" | "epoch" | "base">): void {
    this.#database.exec("BEGIN IMMEDIATE");
    this.#database.exec("DELETE FROM version; DELETE FROM change_set");
    this.#writeIdentity(storeId, epoch, base);
    this.#readState();
  }

  loadDocuments(batch: readonly StoredDocument[]): void {
    for (const { key, text, revision, createdRevision } of batch)
      this.#insertVersion.run(...partsOf(key), revision, createdRevision, null, text);
  }

  loadChangeSets(batch: readonly ChangeSet[]): void {
    for (const changeSet of batch) {
      if (changeSet.revision === this.#base.revision) this.#writeBaseChangeSet(changeSet);
      else this.#writeNext(changeSet);
      this.#head = headOf(changeSet);
    }
  }

  /** Keeps what was loaded, or goes back to what was there before. */
  endLoad(isKept: boolean): void {
    if (this.#database.isTransaction) this.#database.exec(isKept ? "COMMIT" : "ROLLBACK");
    this.#readState();
  }

  close(): void {
    this.#database.close();
  }

  #writeNext(changeSet: ChangeSet): void {
    const { revision, auditHash, writes } = changeSet;
    if (
      revision !== this.#head.revision + 1 ||
      auditHashOf(this.#head.auditHash, changeSet) !== auditHash
    )
      throw corrupt(`Cannot take change set ${revision}: it does not continue the audit chain`);
    this.#writeChangeSet(changeSet);
    for (const { key, text } of writes) this.#writeVersion(key, text, revision);
  }

  /** The texts of the base's own change set are among its documents already, though in another order; what it deleted is not. */
  #writeBaseChangeSet(changeSet: ChangeSet): void {
    const { revision, writes } = changeSet;
    const moveLast = this.#database.prepare(
      `UPDATE version SET number = (SELECT MAX(number) + 1 FROM version)
       WHERE kind = ? AND namespace = ? AND name = ? AND revision = ?`,
    );
    this.#writeChangeSet(changeSet);
    for (const { key, text } of writes)
      if (text === undefined) this.#writeVersion(key, undefined, revision);
      else moveLast.run(...partsOf(key), revision);
  }

  #writeChangeSet({ revision, changeSetId, auditHash, atMs, cause }: ChangeSet): void {
    this.#insertChangeSet.run(revision, changeSetId, auditHash, atMs, cause);
  }

  #writeVersion(key: DocumentKey, text: string | undefined, revision: number): void {
    const parts = partsOf(key);
    const replaced = this.#endVersion.get(revision, ...parts);
    const created = replaced === undefined ? revision : integerOf(replaced, "created_revision");
    const until = text === undefined ? revision : null;
    this.#insertVersion.run(...parts, revision, created, until, text ?? null);
  }

  #writeIdentity(storeId: string, epoch: number, base: Head): void {
    const set = this.#database.prepare(
      "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    set.run("store_id", storeId);
    set.run("epoch", String(epoch));
    set.run("base", JSON.stringify(base));
  }

  #readState(): void {
    this.#storeId = this.#setting("store_id") ?? "";
    this.#epoch = Number(this.#setting("epoch"));
    this.#base = parseHead(this.#setting("base") ?? "");
    this.#head = this.reader.newestHead() ?? this.#base;
  }

  #setting(name: string): string | undefined {
    const row = this.#database.prepare("SELECT value FROM setting WHERE name = ?").get(name);
    return row === undefined ? undefined : textOf(row, "value");
  }
}

function partsOf({ kind, namespace, name }: DocumentKey): [string, string, string] {
  return [kind, namespace, name];
}
