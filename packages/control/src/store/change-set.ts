// SPDX-License-Identifier: Apache-2.0

// What a change set may be, and how its hash is linked to the one before: `audit verify` walks that chain.

import { createHash } from "node:crypto";
import {
  changeSetBytesMax,
  changeSetWritesMax,
  type ChangeSet,
  type ChangeSetRequest,
  type DocumentKey,
  type Head,
} from "./store.ts";
import { invalidRequest, keyText, tooLarge } from "./store-error.ts";

const KEY_PART_BYTES_MAX = 512;

/** Throws STORE_REQUEST_INVALID or STORE_TOO_LARGE where a request could never be taken, whatever the store holds. */
export function checkRequest({ id, writes, cause }: ChangeSetRequest): void {
  if (!/^[\w-]{1,64}$/.test(id))
    throw invalidRequest(
      `Cannot commit a change set: its id is "${id}", expected 1 to 64 letters, digits, "-" and "_"`,
    );
  if (writes.length > changeSetWritesMax)
    throw tooLarge(`${writes.length} writes`, String(changeSetWritesMax));
  checkText(cause, "its cause");
  let bytes = Buffer.byteLength(cause);
  const keys = new Set<string>();
  for (const { key, text } of writes) {
    checkKey(key);
    keys.add(`${key.kind}\n${key.namespace}\n${key.name}`);
    bytes += key.kind.length + key.namespace.length + key.name.length;
    if (text === undefined) continue;
    checkText(text, keyText(key));
    bytes += Buffer.byteLength(text);
  }
  if (keys.size < writes.length)
    throw invalidRequest("Cannot commit a change set: it writes a document twice");
  if (bytes > changeSetBytesMax) throw tooLarge(`${bytes} bytes`, String(changeSetBytesMax));
}

/** Half a surrogate pair has no UTF-8: it would be read back as another text, and break the audit chain. */
function checkText(text: string, what: string): void {
  if (!text.isWellFormed())
    throw invalidRequest(`Cannot commit a change set: ${what} is not well-formed Unicode`);
}

/** Printable ASCII, so that every back end and every twin sorts keys alike. */
function checkKey(key: DocumentKey): void {
  const isPart = (part: string): boolean =>
    part.length <= KEY_PART_BYTES_MAX && /^[\x21-\x7e]*$/.test(part);
  if (key.kind !== "" && key.name !== "" && [key.kind, key.namespace, key.name].every(isPart))
    return;
  throw invalidRequest(
    `Cannot commit a change set: the key ${keyText(key)} is not of printable ASCII, at most ${KEY_PART_BYTES_MAX} bytes a part`,
  );
}

/**
 * Hex of SHA-256 over lines: the hash before, `[revision, atMs, id, cause]` and for each write `[kind, namespace, name, text or null]`, as JSON without
 * blanks, with a line feed between them.
 */
export function auditHashOf(before: string, changeSet: Omit<ChangeSet, "auditHash">): string {
  const { revision, changeSetId, atMs, cause, writes } = changeSet;
  const hash = createHash("sha256");
  hash.update(`${before}\n${JSON.stringify([revision, atMs, changeSetId, cause])}`);
  for (const { key, text } of writes)
    hash.update(`\n${JSON.stringify([key.kind, key.namespace, key.name, text ?? null])}`);
  return hash.digest("hex");
}

/** The change set that a request becomes after `head`. */
export function nextChangeSet(head: Head, request: ChangeSetRequest, nowMs: number): ChangeSet {
  const { id, cause } = request;
  const next = {
    revision: head.revision + 1,
    changeSetId: id,
    cause,
    atMs: Math.max(nowMs, head.atMs),
    writes: request.writes.map(({ key, text }) => ({ key, text })),
  };
  return { ...next, auditHash: auditHashOf(head.auditHash, next) };
}

export function headOf({ revision, changeSetId, auditHash, atMs }: Head): Head {
  return { revision, changeSetId, auditHash, atMs };
}
