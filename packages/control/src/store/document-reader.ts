// SPDX-License-Identifier: Apache-2.0

// Questions to the versions and change sets of a store's database. Whether a revision may be asked for is the caller's business (StoreDatabase.checkReadable).

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { integerOf, optionalTextOf, textOf, type Row } from "./database-row.ts";
import {
  pageBytesMax,
  type ChangeSet,
  type DocumentKey,
  type DocumentPage,
  type DocumentWrite,
  type Head,
  type StoredDocument,
} from "./store.ts";
import { encodeContinuation } from "./continuation.ts";

/** Change sets `from` to `to`, both included. */
export interface ChangesQuery {
  readonly from: number;
  readonly to: number;
  readonly key?: DocumentKey | undefined;
  readonly newestFirst?: boolean | undefined;
  readonly limit?: number;
  /** Also read the text that each write replaced. */
  readonly withBefore?: boolean;
}

export interface PageQuery {
  readonly revision: number;
  /** The revision is head: then versions of before are not even looked at. */
  readonly isHead: boolean;
  readonly kind?: string | undefined;
  readonly namespace?: string | undefined;
  readonly limit: number;
  /** Documents after this key only. */
  readonly after?: DocumentKey | undefined;
}

const inForce =
  "revision <= :at AND text IS NOT NULL AND (until_revision IS NULL OR until_revision > :at)";
const documentColumns = "kind, namespace, name, revision, created_revision, text";
const headColumns = "revision, id, audit_hash, at_ms";

export class DocumentReader {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #headOfId: StatementSync;
  readonly #headOfRevision: StatementSync;
  readonly #newestHead: StatementSync;
  readonly #writes: StatementSync;
  readonly #before: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#get = database.prepare(
      `SELECT ${documentColumns} FROM version
       WHERE kind = ? AND namespace = ? AND name = ? AND revision <= ? ORDER BY revision DESC LIMIT 1`,
    );
    this.#headOfId = database.prepare(`SELECT ${headColumns} FROM change_set WHERE id = ?`);
    this.#headOfRevision = database.prepare(
      `SELECT ${headColumns} FROM change_set WHERE revision = ?`,
    );
    this.#newestHead = database.prepare(
      `SELECT ${headColumns} FROM change_set ORDER BY revision DESC LIMIT 1`,
    );
    this.#writes = database.prepare(
      "SELECT kind, namespace, name, text FROM version WHERE revision = ? ORDER BY number",
    );
    this.#before = database.prepare(
      `SELECT text FROM version WHERE kind = ? AND namespace = ? AND name = ?
         AND until_revision = ? AND text IS NOT NULL`,
    );
  }

  get({ kind, namespace, name }: DocumentKey, revision: number): StoredDocument | undefined {
    // The newest version up to then is in force then, unless it is a deletion.
    const row = this.#get.get(kind, namespace, name, revision);
    return row === undefined || row["text"] === null ? undefined : documentOf(row);
  }

  page({ revision, isHead, kind, namespace, limit, after }: PageQuery): DocumentPage {
    const values: Record<string, SQLInputValue> = isHead ? {} : { at: revision };
    const conditions = [isHead ? "until_revision IS NULL" : inForce];
    if (kind !== undefined) {
      conditions.push("kind = :kind");
      values["kind"] = kind;
    }
    if (namespace !== undefined) {
      conditions.push("namespace = :namespace");
      values["namespace"] = namespace;
    }
    if (after !== undefined) {
      conditions.push("(kind, namespace, name) > (:afterKind, :afterNamespace, :afterName)");
      values["afterKind"] = after.kind;
      values["afterNamespace"] = after.namespace;
      values["afterName"] = after.name;
    }
    const statement = this.#database.prepare(
      `SELECT ${documentColumns} FROM version INDEXED BY ${isHead ? "version_present" : "version_key"} WHERE ${conditions.join(" AND ")}
       ORDER BY kind, namespace, name`,
    );
    const documents: StoredDocument[] = [];
    let bytes = 0;
    for (const row of statement.iterate(values)) {
      const last = documents.at(-1);
      if (last !== undefined && (documents.length === limit || bytes >= pageBytesMax))
        return { documents, revision, continue: encodeContinuation(revision, last.key) };
      const document = documentOf(row);
      bytes += document.text.length;
      documents.push(document);
    }
    return { documents, revision };
  }

  changes(query: ChangesQuery): ChangeSet[] {
    const { from, to, newestFirst, limit, withBefore = false } = query;
    const order = newestFirst === true ? "DESC" : "ASC";
    const statement = this.#database.prepare(
      query.key === undefined
        ? `SELECT ${headColumns}, cause FROM change_set WHERE revision BETWEEN ? AND ? ORDER BY revision ${order}`
        : `SELECT c.revision, id, audit_hash, at_ms, cause, kind, namespace, name, text
           FROM version v JOIN change_set c ON c.revision = v.revision
           WHERE v.revision BETWEEN ? AND ? AND kind = ? AND namespace = ? AND name = ?
           ORDER BY v.revision ${order}`,
    );
    const key =
      query.key === undefined ? [] : [query.key.kind, query.key.namespace, query.key.name];
    const changes: ChangeSet[] = [];
    let bytes = 0;
    for (const row of statement.iterate(from, to, ...key)) {
      if (changes.length === limit || bytes >= pageBytesMax) break;
      const head = headOfRow(row);
      const rows = query.key === undefined ? this.#writes.all(head.revision) : [row];
      const writes = rows.map((each) => this.#writeOf(each, head.revision, withBefore));
      for (const { text, before } of writes) bytes += (text?.length ?? 0) + (before?.length ?? 0);
      changes.push({ ...head, cause: textOf(row, "cause"), writes });
    }
    return changes;
  }

  headOfId(id: string): Head | undefined {
    return optionalHead(this.#headOfId.get(id));
  }

  headOfRevision(revision: number): Head | undefined {
    return optionalHead(this.#headOfRevision.get(revision));
  }

  newestHead(): Head | undefined {
    return optionalHead(this.#newestHead.get());
  }

  #writeOf(row: Row, revision: number, withBefore: boolean): DocumentWrite {
    const key = keyOf(row);
    const text = optionalTextOf(row, "text");
    if (!withBefore) return { key, text };
    const before = this.#before.get(key.kind, key.namespace, key.name, revision);
    return { key, text, before: before === undefined ? undefined : textOf(before, "text") };
  }
}

function keyOf(row: Row): DocumentKey {
  return {
    kind: textOf(row, "kind"),
    namespace: textOf(row, "namespace"),
    name: textOf(row, "name"),
  };
}

function documentOf(row: Row): StoredDocument {
  return {
    key: keyOf(row),
    text: textOf(row, "text"),
    revision: integerOf(row, "revision"),
    createdRevision: integerOf(row, "created_revision"),
  };
}

function optionalHead(row: Row | undefined): Head | undefined {
  return row === undefined ? undefined : headOfRow(row);
}

function headOfRow(row: Row): Head {
  return {
    revision: integerOf(row, "revision"),
    changeSetId: textOf(row, "id"),
    auditHash: textOf(row, "audit_hash"),
    atMs: integerOf(row, "at_ms"),
  };
}
