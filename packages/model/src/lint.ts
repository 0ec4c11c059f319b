// SPDX-License-Identifier: Apache-2.0
import { lintDocuments } from "./lints/documents.ts";
import { lintPolicies } from "./lints/policies.ts";
import { lintPool, lintPools } from "./lints/pools.ts";
import { lintPresigned } from "./lints/presigned.ts";
import { lintRecords } from "./lints/records.ts";
import { lintZones } from "./lints/zones.ts";
import type { Model } from "./model.ts";
import type { Document } from "./documents.ts";
import type { Problem } from "./problem.ts";
import type { RecordTable } from "./record-table.ts";
import { Report } from "./report.ts";

/** What lints need that documents do not say. */
export interface LintFacts {
  /** When the data of a data set was made, in Unix milliseconds. */
  readonly dataSetTime?: (name: string) => number | undefined;
}

/** Warnings of what is legal but unwise; `now` in Unix milliseconds. */
export function lint(model: Model, now: number, facts: LintFacts = {}): Problem[] {
  const report = new Report();
  lintPolicies(model, report);
  lintPools(model, report);
  lintRecords(model, report);
  lintZones(model, report);
  lintPresigned(model, now, report);
  lintDocuments(model, now, facts, report);
  return report.finish();
}

/** The warnings of some documents of a model; what depends on all others (whether anything names a document, say) is left out. */
export function lintSome(
  model: Model,
  documents: readonly Document[],
  records: RecordTable,
): Problem[] {
  const report = new Report();
  const policies = documents.filter((each) => each.kind === "TrafficPolicy");
  lintPolicies(model, report, policies);
  for (const { kind, metadata } of documents) {
    const pool = kind === "Pool" ? model.pool(metadata.namespace, metadata.name) : undefined;
    if (pool !== undefined) lintPool(model, pool, report);
  }
  lintRecords(model, report, records);
  return report.finish();
}
