// SPDX-License-Identifier: Apache-2.0

// What leaves of documents and change sets, whichever route it leaves by.

import { fieldsOf, member } from "../documents/document-key.ts";
import { shownDocument } from "../documents/document-text.ts";
import type { ChangeSet, StoredDocument } from "../store/store.ts";

/** A document as it may leave: the hash of a token is nobody's business. */
export function visible(document: StoredDocument): object {
  const shown = shownDocument(document);
  if (document.key.kind !== "Token") return shown;
  const { hash: _hash, ...spec } = fieldsOf(member(shown, "spec"));
  return { ...shown, spec };
}

/** A change set as history shows it, without its documents. */
export function shownSet({ revision, atMs, cause }: ChangeSet): object {
  const why = causeOf(cause);
  return {
    revision,
    at: new Date(atMs).toISOString(),
    verb: member(why, "verb"),
    who: member(why, "who"),
    reason: member(why, "reason"),
    breakGlass: member(why, "breakGlass"),
  };
}

export function causeOf(cause: string): unknown {
  try {
    return JSON.parse(cause);
  } catch {
    return {};
  }
}
