// SPDX-License-Identifier: Apache-2.0
import { lintDocuments } from "./lints/documents.ts";
import { lintPolicies } from "./lints/policies.ts";
import { lintPools } from "./lints/pools.ts";
import { lintRecords } from "./lints/records.ts";
import type { Model } from "./model.ts";
import type { Problem } from "./problem.ts";
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
  lintDocuments(model, now, facts, report);
  return report.finish();
}
