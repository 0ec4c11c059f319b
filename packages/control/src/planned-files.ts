// SPDX-License-Identifier: Apache-2.0

// What documents would change if other files stood in the place of those that are watched: a file that is not there any more takes its
// documents along.

import { readRawDocuments } from "@meridian/model";
import { canonicalJson } from "./documents/canonical.ts";
import { differences, type Difference } from "./documents/document-diff.ts";
import { formatKey, keyOf } from "./documents/document-key.ts";
import { readDocumentFiles } from "./file-loader.ts";
import type { DocumentKey } from "./store/store.ts";

/** Changed documents that are shown with what differs. */
const CHANGES_MAX = 1000;

/** What happens to one document of a file. */
export interface FileChange extends DocumentKey {
  readonly change: "created" | "configured" | "deleted";
  readonly differences: readonly Difference[];
}

export interface FileChanges {
  /** The first of them, by key. */
  readonly changes: readonly FileChange[];
  readonly changedCount: number;
}

/** What differs between the documents of files as they are and those of others; what cannot be read is told by who loads it. */
export function fileChanges(paths: readonly string[], others: readonly string[]): FileChanges {
  const [before, after] = [documentsOf(paths), documentsOf(others)];
  const changed = [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => before.get(name)?.text !== after.get(name)?.text)
    .toSorted();
  const changes = changed.slice(0, CHANGES_MAX).flatMap((name): FileChange[] => {
    const [old, now] = [before.get(name), after.get(name)];
    const key = (now ?? old)?.key;
    if (key === undefined) return [];
    const change = old === undefined ? "created" : now === undefined ? "deleted" : "configured";
    const parsed = (text: string | undefined): unknown =>
      text === undefined ? undefined : JSON.parse(text);
    return [{ ...key, change, differences: differences(parsed(old?.text), parsed(now?.text)) }];
  });
  return { changes, changedCount: changed.length };
}

/** By their names: as texts, so that a million of them have a place. */
function documentsOf(
  paths: readonly string[],
): Map<string, { readonly key: DocumentKey; readonly text: string }> {
  const found = new Map<string, { readonly key: DocumentKey; readonly text: string }>();
  for (const file of readDocumentFiles(paths).files)
    for (const { raw } of readRawDocuments(file).documents) {
      const key = keyOf(raw);
      if (key !== undefined) found.set(formatKey(key), { key, text: canonicalJson(raw) });
    }
  return found;
}
