// SPDX-License-Identifier: Apache-2.0

/** What is wrong, or unwise, at one place of a document. */
export interface Problem {
  /** An error keeps the documents from being used; a warning does not. */
  readonly severity: "error" | "warning";
  /** Stable, of `problemCodes`. */
  readonly code: ProblemCode;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** As in `spec.nodes.eu.weighted.branches[0].weight`; empty for the file or document itself. */
  readonly path: string;
  /** One sentence without a full stop. */
  readonly message: string;
  readonly found?: string;
  readonly wanted?: string;
  /** The nearest word that would have been right. */
  readonly suggestion?: string;
}

/** Every code a Problem may carry, and what it means. */
export const problemCodes = {
  "file-too-large": "A file is larger than the limit",
  "file-not-text": "A file is not UTF-8 text",
  "file-unreadable": "A file, or one that a document names, cannot be read",
  "syntax-wrong": "A file is not well-formed YAML or JSON",
  "nesting-too-deep": "Mappings and lists are nested deeper than the limit",
  "alias-refused": "YAML aliases expand to more than the limit",
  "too-many-problems": "More problems were found than are shown",
  "kind-unknown": "A document is of no known kind",
  "kind-refused": "A document of this kind may not come from a file",
  "field-unknown": "A field is not part of the schema",
  "field-missing": "A field that is needed is not there",
  "value-wrong": "A value is not of the form, range or set that its field takes",
  "document-duplicate": "Two documents have one kind, namespace and name",
  "reference-unknown": "A document names another that is not there",
  "reference-cycle": "Documents or nodes lead back to themselves",
  "reference-refused": "A document may not name this other document",
  "policy-too-deep": "A policy has more levels than the limit",
  "policy-too-wide": "A policy has more ways to its leaves than the limit",
  "place-duplicate": "A place, prefix or network is listed by two branches of a node",
  "member-duplicate": "Two documents contribute a member of one name to a pool",
  "name-outside-zone": "A name lies in none of the zones",
  "name-duplicate": "An owner name and type is defined in two places",
  "cname-conflict": "A CNAME stands beside other data, or at the apex of a zone",
  "zone-wrong": "The records of a zone do not make a zone",
  "glue-missing": "A name server inside its own zone has no address",
  "check-missing": "A leaf without a health check keeps a dead branch alive",
  "health-ignored": "A branch or pool is served whatever its health",
  "budget-exceeded": "Failing over takes longer than the objective",
  "endpoint-single": "A pool has one endpoint only",
  "weight-zero": "All weights of a node or pool are 0",
  "default-missing": "A node has no branch for clients that match none",
  "load-unread": "Load is read elsewhere than a pool says",
  "threshold-unreachable": "More is asked to be healthy than there is",
  "node-unreachable": "A node of a policy is never reached",
  "data-set-old": "A data set is older than its maxAge",
  "document-unused": "Nothing names this document",
  "ttl-long": "A health-checked name may be cached for long",
  "signature-short": "Answers of a signed zone may be cached for longer than they validate",
  "signature-expires": "A signature of a zone that is signed elsewhere ends soon",
  "signature-expired": "A signature of a zone that is signed elsewhere has ended",
} as const;

export type ProblemCode = keyof typeof problemCodes;

/** `FILE:LINE:COLUMN: error: MESSAGE, did you mean "WORD"?`, the form editors jump to. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, severity, message, suggestion } = problem;
  const hint = suggestion === undefined ? "" : `, did you mean "${suggestion}"?`;
  return `${file}:${line}:${column}: ${severity}: ${message}${hint} [${problem.code}]`;
}

/** Steps from a document to a value: field names and list indexes. */
export type Path = readonly (string | number)[];

/** The text of a path, as in `spec.members["a.b"].weight` or `spec.tiers[0]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z0-9_-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** The steps of a text that `formatPath` made. */
export function parsePath(text: string): Path {
  const steps: (string | number)[] = [];
  for (const [, word, index, quoted] of text.matchAll(
    /([A-Za-z0-9_-]+)(?![^[]*"\])|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/g,
  )) {
    if (word !== undefined) steps.push(word);
    else if (index !== undefined) steps.push(Number(index));
    else if (quoted !== undefined) steps.push(String(JSON.parse(quoted)));
  }
  return steps;
}
