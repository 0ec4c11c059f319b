// SPDX-License-Identifier: Apache-2.0

// What a store refuses, each with its code (docs/reference/errors.md).

import { MeridianError } from "@meridian/core";
import type { DocumentKey } from "./store.ts";

export function keyText({ kind, namespace, name }: DocumentKey): string {
  return namespace === "" ? `${kind}/${name}` : `${kind}/${namespace}/${name}`;
}

export function documentConflict(key: DocumentKey, wanted: number, found: number): MeridianError {
  const be = (revision: number): string => (revision === 0 ? "absent" : `at revision ${revision}`);
  return new MeridianError(
    "STORE_CONFLICT",
    "user",
    `Cannot write ${keyText(key)}: it is ${be(found)}, expected ${be(wanted)}`,
  );
}

export function headConflict(wanted: number, found: number): MeridianError {
  return new MeridianError(
    "STORE_CONFLICT",
    "user",
    `Cannot commit a change set: head is revision ${found}, expected ${wanted}`,
  );
}

export function fenced(name: string, term: number): MeridianError {
  return new MeridianError(
    "STORE_FENCED",
    "system",
    `Cannot commit a change set: term ${term} of the lease "${name}" is over`,
  );
}

export function compacted(revision: number, oldest: number): MeridianError {
  return new MeridianError(
    "STORE_COMPACTED",
    "user",
    `Cannot read revision ${revision}: history begins at revision ${oldest}`,
  );
}

export function replaced(revision: number, epoch: number): MeridianError {
  return new MeridianError(
    "STORE_COMPACTED",
    "user",
    `Cannot go on after revision ${revision}: the store was restored and is in epoch ${epoch} now`,
  );
}

export function revisionUnknown(revision: number, head: number): MeridianError {
  return new MeridianError(
    "STORE_REVISION_UNKNOWN",
    "user",
    `Cannot read revision ${revision}: head is revision ${head}`,
  );
}

export function tooLarge(found: string, limit: string): MeridianError {
  return new MeridianError(
    "STORE_TOO_LARGE",
    "user",
    `Cannot commit a change set: it has ${found}, expected at most ${limit}`,
  );
}

export function invalidRequest(message: string): MeridianError {
  return new MeridianError("STORE_REQUEST_INVALID", "user", message);
}

export function unavailable(message: string, cause?: unknown): MeridianError {
  return new MeridianError("STORE_UNAVAILABLE", "system", message, { cause });
}

export function corrupt(message: string, cause?: unknown): MeridianError {
  return new MeridianError("STORE_CORRUPT", "system", message, { cause });
}

export function foreign(message: string): MeridianError {
  return new MeridianError("STORE_FOREIGN", "user", message);
}

export function inUse(what: string): MeridianError {
  return new MeridianError(
    "STORE_IN_USE",
    "user",
    `Cannot open the store ${what}: another process has it open`,
  );
}

export function notEmpty(revision: number): MeridianError {
  return new MeridianError(
    "STORE_NOT_EMPTY",
    "user",
    `Cannot load into the store: it is at revision ${revision}, expected an empty one`,
  );
}

export function accessDenied(message: string): MeridianError {
  return new MeridianError("STORE_ACCESS_DENIED", "user", message);
}
