// SPDX-License-Identifier: Apache-2.0

// What makes the documents what they were at an earlier revision. Roles and tokens are no part of it.

import { isKind } from "@meridian/model";
import type { Caller } from "../access/caller.ts";
import type { Store, StoredDocument, Write } from "../store/store.ts";
import { denied, type Plan } from "./change-plan.ts";
import { accessTargetOf } from "./document-access.ts";
import { formatKey } from "./document-key.ts";
import type { DocumentSet } from "./document-set.ts";

/** The documents that a store held at a revision, by their keys' texts. */
export async function documentsAt(
  store: Store,
  revision: number,
): Promise<Map<string, StoredDocument>> {
  const state = new Map<string, StoredDocument>();
  let from: string | undefined;
  do {
    const page = await store.list({ revision, ...(from === undefined ? {} : { continue: from }) });
    for (const document of page.documents)
      if (isKind(document.key.kind)) state.set(formatKey(document.key), document);
    from = page.continue;
  } while (from !== undefined);
  return state;
}

/** The plan of making documents what they were `then`. */
export function planRollback(
  then: ReadonlyMap<string, StoredDocument>,
  set: DocumentSet,
  caller: Caller,
): Plan {
  const writes: Write[] = [];
  const changes: Plan["changes"][number][] = [];
  for (const document of then.values()) {
    const before = set.get(document.key);
    if (before?.text === document.text) continue;
    const { key, text } = document;
    mayRollBack(caller, document);
    if (before !== undefined) mayRollBack(caller, before);
    writes.push({ key, text, ifRevision: before?.revision ?? 0 });
    changes.push({ key, change: before === undefined ? "created" : "configured" });
  }
  for (const before of set.compiled()) {
    const { key } = before;
    if (then.has(formatKey(key))) continue;
    mayRollBack(caller, before);
    writes.push({ key, text: undefined, ifRevision: before.revision });
    changes.push({ key, change: "deleted" });
  }
  return { writes, changes };
}

function mayRollBack(caller: Caller, { key, text }: Pick<StoredDocument, "key" | "text">): void {
  if (!caller.may("rollback", accessTargetOf(key, JSON.parse(text))))
    throw denied(caller, "roll back", key);
}
