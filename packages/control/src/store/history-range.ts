// SPDX-License-Identifier: Apache-2.0

import type { StoreDatabase } from "./store-database.ts";
import { historyMax, type HistoryQuery } from "./store.ts";

/** First and last revision of a history that was asked for, and how many of them. Throws where one of them is not known. */
export function historyRange(
  { id, from, to, limit = historyMax }: HistoryQuery,
  database: StoreDatabase,
): { readonly from: number; readonly to: number; readonly limit: number } {
  if (id !== undefined) {
    const revision = database.reader.headOfId(id)?.revision;
    return { from: revision ?? 1, to: revision ?? 0, limit: 1 };
  }
  const { base, head } = database;
  for (const revision of [from, to]) if (revision !== undefined) database.checkReadable(revision);
  return {
    from: from ?? base.revision,
    to: to ?? head.revision,
    limit: Math.max(1, Math.min(limit, historyMax)),
  };
}
