// SPDX-License-Identifier: Apache-2.0
import type { Finding } from "./issues.ts";
import type { Path, Problem } from "./problem.ts";

/** A place in a file, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Finds the value at a path of one document, or the name of its last field. */
export type Locate = (path: Path, atKey: boolean) => Position;

/** What the readers of the file formats hand over, document by document. */
export interface Reading {
  /** A document as it was written; `locate` is only called, at once, if something is wrong. */
  document(raw: unknown, line: number, locate: Locate): void;
  /** Something that keeps the file, or a part of it, from being read. */
  problem(problem: Pick<Finding, "code" | "message" | "found" | "wanted"> & Position): void;
}

/** Whether a set of problems keeps the documents from being used. */
export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === "error");
}
