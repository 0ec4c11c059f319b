// SPDX-License-Identifier: Apache-2.0

// Where a store is, as people write it: `sqlite:PATH`.

import { invalidRequest } from "./store-error.ts";

export interface SqliteLocation {
  readonly kind: "sqlite";
  readonly path: string;
  readonly isReadOnly: boolean;
}

export type StoreLocation = SqliteLocation;

/** Throws STORE_REQUEST_INVALID where the text names no store. */
export function parseStoreLocation(text: string, isReadOnly = false): StoreLocation {
  const [scheme, rest = ""] = splitOnce(text, ":");
  if (scheme === "sqlite" && rest !== "") return { kind: "sqlite", path: rest, isReadOnly };
  throw invalidRequest(`Cannot open a store: its place is "${text}", expected sqlite:PATH`);
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}
