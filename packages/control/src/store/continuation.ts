// SPDX-License-Identifier: Apache-2.0

// Where a list goes on: the revision of its first page and the last key given.

import type { DocumentKey } from "./store.ts";
import { invalidRequest } from "./store-error.ts";

export function encodeContinuation(
  revision: number,
  { kind, namespace, name }: DocumentKey,
): string {
  return Buffer.from(JSON.stringify([revision, kind, namespace, name])).toString("base64url");
}

/** Throws STORE_REQUEST_INVALID where the text was not made by `encodeContinuation`. */
export function decodeContinuation(text: string): { revision: number; after: DocumentKey } {
  const parts: unknown = parse(text);
  if (isArray(parts)) {
    const [revision, kind, namespace, name] = parts;
    if (
      Number.isSafeInteger(revision) &&
      typeof revision === "number" &&
      typeof kind === "string" &&
      typeof namespace === "string" &&
      typeof name === "string"
    )
      return { revision, after: { kind, namespace, name } };
  }
  throw invalidRequest(
    `Cannot list documents: continue is "${text.slice(0, 80)}", expected that of a page`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
}

function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
