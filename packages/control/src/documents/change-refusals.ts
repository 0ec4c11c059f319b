// SPDX-License-Identifier: Apache-2.0

// Why a change is refused: what the compiler says of lines is said of documents, and to each caller no more than it may see.

import type { Problem } from "@meridian/model";
import type { Caller } from "../access/caller.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { DocumentKey } from "../store/store.ts";
import { invalid, type Plan } from "./change-plan.ts";
import { accessTargetOf } from "./document-access.ts";
import type { ChangeOptions } from "./document-change.ts";
import { formatKey } from "./document-key.ts";
import type { DocumentProblem } from "./document-problem.ts";
import type { CompilerFiles } from "./document-set.ts";
import type { Proposal } from "./publisher.ts";
import type { ZoneClaim } from "./zone-claims.ts";

/** A document is named by others; those of the store among them could be deleted with it. */
export class ReferencedRefusal extends RequestRefusal {
  readonly stored: readonly DocumentKey[];

  constructor(stored: readonly DocumentKey[], referrers: readonly string[]) {
    const shown = referrers.slice(0, 5).join(", ");
    const more = referrers.length > 5 ? ` and ${referrers.length - 5} more` : "";
    super(
      "DOCUMENT_REFERENCED",
      `Cannot delete: it is named by ${shown}${more}; delete these too, or with --cascade those of the store`,
      { referrers },
    );
    this.stored = stored;
  }
}

const referenceCodes: ReadonlySet<string> = new Set(["reference-unknown", "name-outside-zone"]);

/** Why a proposal was not accepted, in the words of who asked for it. */
export function refusalOf(
  proposal: Proposal,
  candidate: CompilerFiles,
  plan: Plan,
  caller: Caller,
): RequestRefusal {
  const errors = proposal.problems.filter(({ severity }) => severity === "error");
  const owned = errors.flatMap((problem) => repeatedInFile(problem, candidate));
  if (owned[0] !== undefined) return owned[0];
  const isDeleteOnly = plan.writes.every(({ text }) => text === undefined);
  const isReferences =
    isDeleteOnly && errors.length > 0 && errors.every(({ code }) => referenceCodes.has(code));
  if (isReferences) {
    const keys = errors.map(({ file, line }) => candidate.keyAt(file, line));
    const stored = keys.filter((key) => key !== undefined);
    const referrers = errors.map((problem) => documentProblem(problem, candidate).document);
    return new ReferencedRefusal(unique(stored), [...new Set(referrers)]);
  }
  const written = new Set(plan.writes.map(({ key }) => formatKey(key)));
  const problems = errors
    .map((problem) => documentProblem(problem, candidate))
    .toSorted((a, b) => (a.document < b.document ? -1 : Number(a.document > b.document)));
  for (const message of proposal.errors)
    problems.push({ severity: "error", code: "file-refused", document: "", path: "", message });
  // A tenant learns what is wrong with its own documents, not what others' hold.
  const maySeeAll = caller.may("get", { kind: "*", namespace: undefined });
  const visible = problems.filter(({ document }) => maySeeAll || written.has(document));
  const hidden = problems.length - visible.length;
  if (hidden > 0)
    visible.push({
      severity: "error",
      code: "reference-refused",
      document: "",
      path: "",
      message: `It would break ${hidden} places in documents that "${caller.subject}" may not see`,
    });
  return invalid(visible);
}

/** The refusal of what would leave much less than is served. */
export function shrunk(shrinking: string): RequestRefusal {
  return new RequestRefusal(
    "DOCUMENTS_SHRINK",
    `Cannot change documents: ${shrinking}; ask with allowShrink=true, or --allow-shrink, to mean it`,
  );
}

/** A document that a file has already. */
function repeatedInFile(problem: Problem, candidate: CompilerFiles): RequestRefusal[] {
  const key = candidate.keyAt(problem.file, problem.line);
  const [, file = "", line = ""] = /again after ([^\0]+):([0-9]+)$/.exec(problem.found ?? "") ?? [];
  if (key === undefined || file === "" || problem.path !== "metadata.name") return [];
  return [ownedByFile(key, file, Number(line))];
}

/** The refusal of what a file holds. */
export function ownedByFile(key: DocumentKey, file: string, line: number): RequestRefusal {
  return new RequestRefusal(
    "DOCUMENT_OWNED",
    `Cannot change ${formatKey(key)}: its owner is file:${file}, line ${line}; change that file`,
  );
}

/** A problem of the compiler, said of the document that it is in. */
export function documentProblem(problem: Problem, candidate: CompilerFiles): DocumentProblem {
  const { severity, code, file, line, path, message, found, wanted, suggestion } = problem;
  const key = candidate.keyAt(file, line);
  const plain = (text: string): string =>
    text.replaceAll(/(\0store-[0-9]+\.jsonl):([0-9]+)/g, (all, name: string, at: string) => {
      const other = candidate.keyAt(name, Number(at));
      return other === undefined ? all : formatKey(other);
    });
  return {
    severity,
    code,
    document: key === undefined ? `${file}:${line}` : formatKey(key),
    path,
    message: plain(message),
    ...(found === undefined ? {} : { found: plain(found) }),
    ...(wanted === undefined ? {} : { wanted }),
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function unique(keys: readonly DocumentKey[]): DocumentKey[] {
  return [...new Map(keys.map((key) => [formatKey(key), key])).values()];
}

/** Zones within another namespace's zone take its names: only who may write zones there as well may do that. */
export function refuseClaims(
  claims: readonly ZoneClaim[],
  plan: Plan,
  { caller, isDiff = false }: ChangeOptions,
): void {
  const verb = isDiff ? "diff" : "apply";
  const zones = plan.writes.filter(({ key, text }) => key.kind === "Zone" && text !== undefined);
  for (const { key, text } of zones) {
    const origin = originOf(text ?? "");
    for (const claim of claims) {
      const isInside = claim.origin === origin && claim.namespace === key.namespace;
      const isAround = claim.within === origin && claim.withinNamespace === key.namespace;
      if (!isInside && !isAround) continue;
      const [other, namespace] = isInside
        ? [claim.within, claim.withinNamespace]
        : [claim.origin, claim.namespace];
      if (caller.may(verb, { kind: "Zone", namespace, domain: other })) continue;
      throw new RequestRefusal(
        "ACCESS_DENIED",
        `Cannot apply ${formatKey(key)}: its names overlap with the zone "${other}" of another namespace, which "${caller.subject}" may not change`,
      );
    }
  }
}

function originOf(text: string): string {
  const raw: unknown = JSON.parse(text);
  const { domain = "" } = accessTargetOf({ kind: "Zone", namespace: "", name: "" }, raw);
  return domain.toLowerCase().replace(/(?<=.)\.$/, "");
}
