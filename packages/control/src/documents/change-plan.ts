// SPDX-License-Identifier: Apache-2.0

// What documents as they are applied become in the store: pure, so that it can be done again when the store has moved on.

import { createHash, randomUUID } from "node:crypto";
import { isStoreKind, limits, parseStoreDocument, type AccessVerb } from "@meridian/model";
import type { Act } from "../approvals/act.ts";
import type { Caller } from "../access/caller.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { ChangeSetRequest, DocumentKey, StoredDocument, Write } from "../store/store.ts";
import { canonicalJson } from "./canonical.ts";
import { accessTargetOf } from "./document-access.ts";
import {
  fieldsOf,
  formatKey,
  isClusterKind,
  isDocumentKind,
  keyOf,
  member,
} from "./document-key.ts";
import type { DocumentProblem } from "./document-problem.ts";
import type { DocumentSet } from "./document-set.ts";
import { plainDocument, serverMetadataOf, storedText } from "./document-text.ts";
import { filePaths } from "./file-paths.ts";

/** Documents of one change set, and the bytes of one document. */
export const DOCUMENTS_MAX = 10_000;
const DOCUMENT_BYTES_MAX = 1024 * 1024;

export type ChangeKind = "created" | "configured" | "unchanged" | "deleted";

/** What a write did to a document, by its text now and before. */
export function changeKindOf(text: string | undefined, before: string | undefined): ChangeKind {
  if (text === undefined) return "deleted";
  return before === undefined ? "created" : "configured";
}

/** What happens to one document. */
export interface PlannedChange {
  readonly key: DocumentKey;
  readonly change: ChangeKind;
}

/** What a change set will write, and why it looks so. */
export interface Plan {
  readonly changes: readonly PlannedChange[];
  readonly writes: readonly Write[];
  /** What its writer must hold. */
  readonly lease?: ChangeSetRequest["lease"];
  /** As change policies look at it, where that is not its writes: such as are others each time. */
  readonly act?: Act;
}

/** Whose documents a writer's are: `api`, or `operator:CLUSTER`. */
export type Owner = string;

/** The plan of applying documents. Everything that can be said without the others is said at once. */
export function planApply(
  documents: readonly unknown[],
  set: DocumentSet,
  {
    caller,
    owner,
    verb,
  }: { readonly caller: Caller; readonly owner: Owner; readonly verb: AccessVerb },
): Plan {
  if (documents.length > DOCUMENTS_MAX)
    throw new RequestRefusal(
      "REQUEST_TOO_LARGE",
      `Cannot apply: there are ${documents.length} documents, expected at most ${DOCUMENTS_MAX} in one change`,
    );
  const problems = documents.flatMap(problemsOf);
  const keys = documents.map(keyOf).filter((key) => key !== undefined);
  problems.push(...repeated(keys));
  if (problems.length > 0) throw invalid(problems);
  const changes: PlannedChange[] = [];
  const writes: Write[] = [];
  for (const [index, key] of keys.entries()) {
    const raw = documents[index];
    const before = set.get(key);
    authorizeWrite(caller, verb, key, raw, before);
    refuseForeign(key, owner, before);
    refuseStale(key, raw, before);
    const write = writeOf(key, raw, before, owner);
    const change = before === undefined ? "created" : "configured";
    changes.push({ key, change: write === undefined ? "unchanged" : change });
    if (write !== undefined) writes.push(write);
  }
  return { changes, writes };
}

/** The plan of deleting documents that are there. */
export function planDelete(
  keys: readonly DocumentKey[],
  set: DocumentSet,
  caller: Caller,
  owner: Owner,
): Plan {
  const writes = keys.map((key): Write => {
    const before = set.get(key);
    if (before === undefined) throw notFound(key);
    const raw: unknown = JSON.parse(before.text);
    const isAllowed = isForAdministrators(key.kind, raw)
      ? caller.isAdmin
      : caller.may("delete", accessTargetOf(key, raw));
    if (!isAllowed) throw denied(caller, "delete", key);
    refuseForeign(key, owner, before);
    return { key, text: undefined, ifRevision: before.revision };
  });
  return { changes: keys.map((key) => ({ key, change: "deleted" })), writes };
}

/** Refuses to delete what was changed since it was looked at. */
export function refuseOther(
  key: DocumentKey,
  set: DocumentSet,
  resourceVersion: string | undefined,
): void {
  const present = set.get(key)?.revision;
  if (resourceVersion === undefined || present === undefined) return;
  if (String(present) === resourceVersion) return;
  throw new RequestRefusal(
    "DOCUMENT_CONFLICT",
    `Cannot delete ${formatKey(key)}: resourceVersion is "${resourceVersion}", expected "${present}": it was changed since`,
  );
}

/** A refusal that lists what is wrong; its message has the first in full. */
export function invalid(problems: readonly DocumentProblem[]): RequestRefusal {
  const [first] = problems;
  const more = problems.length > 1 ? `, and ${problems.length - 1} more` : "";
  const message = `Cannot apply: ${first?.message ?? "something is wrong"}${more}`;
  return new RequestRefusal("DOCUMENTS_INVALID", message, { problems });
}

export function notFound(key: DocumentKey): RequestRefusal {
  return new RequestRefusal(
    "DOCUMENT_NOT_FOUND",
    `Cannot find ${formatKey(key)}: no such document is in the store`,
  );
}

export function denied(caller: Caller, verb: string, key: DocumentKey): RequestRefusal {
  return new RequestRefusal(
    "ACCESS_DENIED",
    `Cannot ${verb} ${formatKey(key)}: no role of "${caller.subject}" allows it`,
  );
}

/** SHA-256 of a stored text, as the audit log names what was there before. */
export function textHash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function problemsOf(raw: unknown, index: number): DocumentProblem[] {
  const key = keyOf(raw);
  const document = key === undefined ? `document ${index + 1}` : formatKey(key);
  const problem = (path: string, found: string, wanted: string): DocumentProblem => ({
    severity: "error",
    code: "value-wrong",
    document,
    path,
    message: `Cannot use ${document}: ${path === "" ? "it" : path} is ${found}, expected ${wanted}`,
    found,
    wanted,
  });
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    return [problem("", Array.isArray(raw) ? "a list" : typeof raw, "a mapping with a kind")];
  if (key === undefined)
    return [problem("", "without kind or metadata.name", "text in both of them")];
  if (!isDocumentKind(key.kind) || key.kind === "Token")
    return [problem("kind", JSON.stringify(key.kind), "a kind that is applied")];
  const problems: DocumentProblem[] = [];
  const bytes = Buffer.byteLength(JSON.stringify(raw));
  if (bytes > DOCUMENT_BYTES_MAX)
    problems.push(problem("", `${bytes} bytes long`, `at most ${DOCUMENT_BYTES_MAX}`));
  if (depthOf(raw, 0) > limits.nestingMax)
    return [problem("", "nested deeper", `at most ${limits.nestingMax} levels`)];
  for (const path of filePaths(key.kind, raw))
    problems.push(problem(path, "a path of this machine", "no file: only files may name files"));
  const { kind } = key;
  if (isStoreKind(kind)) {
    const parsed = parseStoreDocument(kind, plainDocument(raw));
    if ("findings" in parsed)
      for (const { code, path, message, found, wanted, suggestion } of parsed.findings)
        problems.push({
          severity: "error",
          code,
          document,
          path: path.join("."),
          message,
          ...(found === undefined ? {} : { found }),
          ...(wanted === undefined ? {} : { wanted }),
          ...(suggestion === undefined ? {} : { suggestion }),
        });
  }
  return problems;
}

function repeated(keys: readonly DocumentKey[]): DocumentProblem[] {
  const seen = new Set<string>();
  return keys.flatMap((key) => {
    const document = formatKey(key);
    if (!seen.has(document)) {
      seen.add(document);
      return [];
    }
    const message = `Cannot use ${document}: it is in the request again, expected each document once`;
    return [{ severity: "error", code: "document-duplicate", document, path: "", message }];
  });
}

function depthOf(value: unknown, depth: number): number {
  if (typeof value !== "object" || value === null || depth > limits.nestingMax) return depth;
  return Math.max(depth, ...Object.values(value).map((each) => depthOf(each, depth + 1)));
}

type Before = Pick<StoredDocument, "key" | "text" | "revision"> | undefined;

function authorizeWrite(
  caller: Caller,
  verb: AccessVerb,
  key: DocumentKey,
  raw: unknown,
  before: Before,
): void {
  const texts: readonly unknown[] = before === undefined ? [raw] : [raw, JSON.parse(before.text)];
  const isAllowed = texts.every((each) =>
    isForAdministrators(key.kind, each)
      ? caller.isAdmin
      : caller.may(verb, accessTargetOf(key, each)),
  );
  if (!isAllowed) throw denied(caller, verb, key);
}

/** Who may not do everything could give itself more by a Role or Tenant, or learn by a Notification what it may not see. A plan does what its writer may. */
function isForAdministrators(kind: string, raw: unknown): boolean {
  if (kind === "Notification") return member(member(raw, "spec"), "scope") === "all";
  return isStoreKind(kind) && kind !== "Grant" && kind !== "RecoveryPlan";
}

function refuseForeign(key: DocumentKey, owner: Owner, before: Before): void {
  if (before === undefined) return;
  const { owner: present } = serverMetadataOf(before.text);
  if (present === owner) return;
  throw new RequestRefusal(
    "DOCUMENT_OWNED",
    `Cannot change ${formatKey(key)}: its owner is ${present}, expected ${owner}`,
  );
}

function refuseStale(key: DocumentKey, raw: unknown, before: Before): void {
  const wanted = member(member(raw, "metadata"), "resourceVersion");
  if (wanted === undefined) return;
  const present = String(before?.revision ?? 0);
  if (wanted === present || wanted === Number(present)) return;
  throw new RequestRefusal(
    "DOCUMENT_CONFLICT",
    `Cannot apply ${formatKey(key)}: metadata.resourceVersion is ${JSON.stringify(wanted)}, expected ${before === undefined ? "none: there is no such document" : `"${present}": it was changed since`}`,
  );
}

function writeOf(key: DocumentKey, raw: unknown, before: Before, owner: Owner): Write | undefined {
  const named = withNamespace(key, raw);
  if (before === undefined) {
    const server = { owner, uid: randomUUID(), generation: 1 };
    return { key, text: storedText(named, server), ifRevision: 0 };
  }
  const known: unknown = JSON.parse(before.text);
  const server = serverMetadataOf(before.text);
  const isSame = canonicalJson(plainDocument(known)) === canonicalJson(plainDocument(named));
  if (isSame) return undefined;
  const isSameSpec = canonicalJson(member(known, "spec")) === canonicalJson(member(named, "spec"));
  const generation = server.generation + (isSameSpec ? 0 : 1);
  return {
    key,
    text: storedText(named, { ...server, generation }),
    ifRevision: before.revision,
  };
}

/** With the namespace written out, so that equal documents are equal texts. */
function withNamespace(key: DocumentKey, raw: unknown): object {
  const plain = plainDocument(raw);
  if (isClusterKind(key.kind)) return plain;
  const metadata = member(plain, "metadata");
  return { ...plain, metadata: { ...fieldsOf(metadata), namespace: key.namespace } };
}
