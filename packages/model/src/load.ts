// SPDX-License-Identifier: Apache-2.0
import { type LintFacts, lint } from "./lint.ts";
import { Model } from "./model.ts";
import { DocumentReader, type FilePart, type InputFile, locateProblems } from "./parse.ts";
import type { Problem } from "./problem.ts";
import { hasErrors } from "./reading.ts";
import type { ReadFile } from "./zone-data.ts";

/** What a set of files is read with. */
export interface LoadOptions {
  /** Unix milliseconds, which ages of data sets are counted to. */
  readonly now: number;
  /** Reads master files; without it they are not looked at. */
  readonly readFile?: ReadFile;
  readonly facts?: LintFacts;
  /** Remembers files from one load to the next. */
  readonly reader?: DocumentReader;
}

/** What came of a set of files. */
export interface Loaded {
  /** There if no problem is an error. */
  readonly model?: Model;
  /** How many documents are right by themselves. */
  readonly documentCount: number;
  /** Errors and warnings with their exact places, by file and line. */
  readonly problems: readonly Problem[];
  /** What each file holds that is right in all. */
  readonly parts: ReadonlyMap<string, FilePart>;
}

/** Reads files, puts their documents together and lints them: all problems at once. */
export function loadModel(files: readonly InputFile[], options: LoadOptions): Loaded {
  const { readFile, reader = new DocumentReader() } = options;
  const { documents, records, broken, problems: unread, parts } = reader.read(files);
  const documentCount = documents.length + records.count;
  const built = Model.build(documents, {
    records,
    broken,
    ...(readFile === undefined ? {} : { readFile }),
  });
  // Lints of a model of which parts are missing would warn of just that.
  const isWhole = built.model !== undefined && !hasErrors(unread);
  const lints = isWhole ? lint(built.model, options.now, options.facts) : [];
  const located = locateProblems([...built.problems, ...lints], files);
  const problems = inOrder([...unread, ...located], files);
  if (built.model === undefined || hasErrors(problems)) return { documentCount, problems, parts };
  return { model: built.model, documentCount, problems, parts };
}

function inOrder(problems: readonly Problem[], files: readonly InputFile[]): Problem[] {
  const order = new Map(files.map(({ path }, index) => [path, index]));
  const rank = ({ file }: Problem): number => order.get(file) ?? files.length;
  return problems.toSorted((a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column);
}
