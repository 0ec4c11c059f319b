// SPDX-License-Identifier: Apache-2.0

import type { FerretCase } from "./ferret-cases.ts";

/** Cases that can be served together without changing any answer. */
export interface FerretBatch {
  readonly cases: FerretCase[];
}

interface Names {
  /** Every suffix of every name in the zone and the question. */
  readonly suffixes: ReadonlySet<string>;
  /** Where DNAMEs lead: names made from them may end in anything below. */
  readonly dnameTargets: readonly string[];
}

interface OpenBatch extends FerretBatch {
  readonly origins: Set<string>;
  readonly suffixes: Set<string>;
  readonly dnameTargets: Set<string>;
}

/**
 * Each case is a zone of its own, and many zones have the same origin or lie in one another: they are served in batches in which no
 * name of one case ends in the origin of another, so that no answer can come from a foreign zone.
 */
export function batchCases(cases: readonly FerretCase[]): readonly FerretBatch[] {
  const batches: OpenBatch[] = [];
  for (const one of cases) {
    const names = namesOf(one);
    let batch = batches.find((open) => fits(open, one, names));
    if (batch === undefined) {
      batch = { cases: [], origins: new Set(), suffixes: new Set(), dnameTargets: new Set() };
      batches.push(batch);
    }
    batch.cases.push(one);
    batch.origins.add(one.apex);
    for (const suffix of names.suffixes) batch.suffixes.add(suffix);
    for (const target of names.dnameTargets) batch.dnameTargets.add(target);
  }
  return batches;
}

function fits(batch: OpenBatch, one: FerretCase, names: Names): boolean {
  if (batch.suffixes.has(one.apex) || names.suffixes.has(".")) return false;
  for (const origin of batch.origins) {
    if (names.suffixes.has(origin)) return false;
    if (names.dnameTargets.some((target) => origin.endsWith(target))) return false;
  }
  for (const target of batch.dnameTargets) if (one.apex.endsWith(target)) return false;
  return true;
}

function namesOf(one: FerretCase): Names {
  const suffixes = new Set<string>();
  const dnameTargets: string[] = [];
  const addName = (name: string): void => {
    const labels = name.split(".");
    for (let from = 0; from < labels.length - 1; from++) suffixes.add(labels.slice(from).join("."));
    if (name === ".") suffixes.add(".");
  };
  addName(one.query.name);
  for (const line of one.zone.trim().split("\n")) {
    const fields = line.split(" ");
    for (const field of fields) if (field.endsWith(".")) addName(field);
    if (fields[3] === "DNAME") dnameTargets.push(fields[4] ?? ".");
  }
  return { suffixes, dnameTargets };
}
