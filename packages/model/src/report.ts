// SPDX-License-Identifier: Apache-2.0
import { type Document, documentIdOf, formatDocumentId } from "./documents.ts";
import { describeValue } from "./issues.ts";
import { limits } from "./limits.ts";
import { formatPath, type Path, type Problem, type ProblemCode } from "./problem.ts";
import { suggest } from "./suggest.ts";

/** What is wrong with one field of a document. */
export interface Fault {
  readonly code: ProblemCode;
  readonly path: Path;
  /** The value found; text is put in quotes unless it is `said`. */
  readonly found: unknown;
  /** Whether `found` is already words rather than a value. */
  readonly said?: boolean;
  readonly wanted: string;
  /** Words of which the nearest to `found` is suggested. */
  readonly candidates?: Iterable<string>;
}

/** A mistake in a file that a document names. */
export interface Mistake {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** A whole sentence. */
  readonly message: string;
  readonly found: string;
  readonly wanted: string;
}

/** Problems found in documents that are right by themselves, up to a limit. */
export class Report {
  readonly #problems: Problem[] = [];
  #unshown = 0;

  /** Notes an error: `Cannot use KIND "NAME": PATH is FOUND, expected WANTED`. */
  error(document: Document, fault: Fault): void {
    this.#add(document, "error", fault, "Cannot use ");
  }

  /** Notes a warning, in the same words without the `Cannot use`. */
  warning(document: Document, fault: Fault): void {
    this.#add(document, "warning", fault, "");
  }

  /** Notes an error in a file that a document names, at its place there. */
  mistake(code: ProblemCode, { file, line, column, message, found, wanted }: Mistake): void {
    if (this.#problems.length >= limits.problemsMax) this.#unshown += 1;
    else {
      const place = { file, line, column, path: "" };
      this.#problems.push({ severity: "error", code, ...place, message, found, wanted });
    }
  }

  finish(): Problem[] {
    const last = this.#problems.at(-1);
    if (this.#unshown === 0 || last === undefined) return this.#problems;
    const message = `Cannot show all problems: there are ${this.#unshown} more`;
    const { severity, file, line } = last;
    const more = { code: "too-many-problems", file, line, column: 1, path: "", message } as const;
    return [...this.#problems, { severity, ...more }];
  }

  #add(document: Document, severity: Problem["severity"], fault: Fault, verb: string): void {
    if (this.#problems.length >= limits.problemsMax) {
      this.#unshown += 1;
      return;
    }
    const { code, path, found: value, said = false, wanted, candidates = [] } = fault;
    const found = said ? String(value) : describeValue(value);
    const suggestion = typeof value === "string" ? suggest(value, candidates) : undefined;
    const subject = `${verb}${formatDocumentId(documentIdOf(document))}`;
    this.#problems.push({
      severity,
      code,
      ...document.source,
      column: 1,
      path: formatPath(path),
      message: `${subject}: ${formatPath(path)} is ${found}, expected ${wanted}`,
      found,
      wanted,
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }
}
