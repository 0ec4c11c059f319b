// SPDX-License-Identifier: Apache-2.0

import { decodeContinuation } from "./continuation.ts";
import type { PageQuery } from "./document-reader.ts";
import { pageDocumentsMax, type ListQuery } from "./store.ts";

const PAGE_DOCUMENTS_DEFAULT = 1000;

/** The page that a list query means where head is at `headRevision`. */
export function pageQueryOf(query: ListQuery, headRevision: number): PageQuery {
  const { kind, namespace, revision } = query;
  const limit = Math.max(1, Math.min(query.limit ?? PAGE_DOCUMENTS_DEFAULT, pageDocumentsMax));
  const from = query.continue === undefined ? undefined : decodeContinuation(query.continue);
  const at = from?.revision ?? revision ?? headRevision;
  return {
    kind,
    namespace,
    limit,
    revision: at,
    isHead: at === headRevision,
    after: from?.after,
  };
}
