// SPDX-License-Identifier: Apache-2.0

// Columns of SQLite as what they are; another type in one is a damaged file.

import type { Head } from "./store.ts";
import { corrupt } from "./store-error.ts";

export type Row = Readonly<Record<string, unknown>>;

export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw corrupt(`Cannot read the store: column ${column} holds no text`);
}

/** NULL is undefined. */
export function optionalTextOf(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : textOf(row, column);
}

export function integerOf(row: Row, column: string): number {
  const value = row[column];
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw corrupt(`Cannot read the store: column ${column} holds no whole number`);
}

/** A head that was written as JSON. */
export function parseHead(json: string): Head {
  const parsed: unknown = JSON.parse(json);
  const row: Row = typeof parsed === "object" && parsed !== null ? { ...parsed } : {};
  return {
    revision: integerOf(row, "revision"),
    changeSetId: textOf(row, "changeSetId"),
    auditHash: textOf(row, "auditHash"),
    atMs: integerOf(row, "atMs"),
  };
}
