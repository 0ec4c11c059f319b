// SPDX-License-Identifier: Apache-2.0

import type { DatabaseSync } from "node:sqlite";
import { auditHashOf } from "./change-set.ts";
import { integerOf } from "./database-row.ts";
import { keyText } from "./store-error.ts";
import type { StoreDatabase } from "./store-database.ts";

const PROBLEMS_MAX = 100;

/** What is wrong with a store's database: its pages, its audit chain, its versions. At most a hundred problems. */
export function verifyDatabase(database: StoreDatabase): string[] {
  const { connection } = database;
  const pages = connection
    .prepare(`PRAGMA integrity_check(${PROBLEMS_MAX})`)
    .all()
    .map((row) => String(row["integrity_check"]))
    .filter((text) => text !== "ok");
  return [...pages, ...chainProblems(database), ...versionProblems(connection)].slice(
    0,
    PROBLEMS_MAX,
  );
}

/** Walks the audit chain from the oldest change set whose predecessor's hash is known. */
function chainProblems({ reader, base, head }: StoreDatabase): string[] {
  const problems: string[] = [];
  let before = base;
  while (before.revision < head.revision && problems.length < PROBLEMS_MAX) {
    const changes = reader.changes({ from: before.revision + 1, to: head.revision });
    if (changes.length === 0) {
      problems.push(`Change sets ${before.revision + 1} to ${head.revision} are missing`);
      break;
    }
    for (const changeSet of changes) {
      const { revision, auditHash } = changeSet;
      if (revision !== before.revision + 1)
        problems.push(`Change sets ${before.revision + 1} to ${revision - 1} are missing`);
      else if (auditHashOf(before.auditHash, changeSet) !== auditHash)
        problems.push(`Change set ${revision} does not continue the audit chain`);
      before = changeSet;
    }
  }
  return problems;
}

/** Of one document, each version ends where the next begins, and only the last may be in force. */
function versionProblems(connection: DatabaseSync): string[] {
  const broken = connection.prepare(`
    SELECT kind, namespace, name, revision FROM (
      SELECT kind, namespace, name, revision, until_revision, text,
        LEAD(revision) OVER (PARTITION BY kind, namespace, name ORDER BY revision) AS next
      FROM version
    ) WHERE (text IS NOT NULL AND until_revision IS NOT next)
      OR (text IS NULL AND until_revision IS NOT revision)
    LIMIT ${PROBLEMS_MAX}`);
  return broken.all().map((row) => {
    const { kind, namespace, name } = row;
    const key = { kind: String(kind), namespace: String(namespace), name: String(name) };
    return `The version of ${keyText(key)} of revision ${integerOf(row, "revision")} does not end where the next begins`;
  });
}
