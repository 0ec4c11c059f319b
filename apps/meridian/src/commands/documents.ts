// SPDX-License-Identifier: Apache-2.0

// Documents by the API: apply, describe, edit, delete, diff, history, rollback and watch.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readDocumentFiles } from "@meridian/control";
import { formatProblem, readRawDocuments, yamlText } from "@meridian/model";
import { budgetText } from "@meridian/snapshot/surface";
import { ApiRefusal, memberOf, type ApiClient } from "../api-client.ts";
import { clientOf } from "../api-target.ts";
import { progressText } from "../drain-progress.ts";
import type { CommandInput } from "../command.ts";
import { confirm } from "../confirm.ts";
import { documentPath } from "../document-target.ts";
import type { AnswerOf, Applied, Difference, QueryOf } from "../api-requests.ts";
import { waitIfTold } from "./publication.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import {
  complain,
  field,
  hasColours,
  print,
  printJson,
  rowsOf,
  tableLines,
  type Column,
  type Row,
} from "../output.ts";

/** A document of a file, and where it starts. */
export interface Placed {
  readonly raw: unknown;
  readonly place: string;
}

/** Applies the documents of files as one change. */
export async function apply(input: CommandInput): Promise<ExitCode> {
  const documents = readPlaced(input.list("file"));
  await askBefore(input, documents);
  const answer = await withPlaces(documents, () =>
    clientOf(input).post(
      "/v1/apply",
      documents.map(({ raw }) => raw),
      writeQuery(input),
    ),
  );
  showApplied(input, answer);
  return waitIfTold(input, answer);
}

/** At a terminal, unless told otherwise, shows what applying would do, and asks. Pipes are not asked, as of old. */
async function askBefore(input: CommandInput, documents: readonly Placed[]): Promise<void> {
  const isAsked = process.stdin.isTTY && process.stdout.isTTY;
  if (!isAsked || input.flag("yes") || input.flag("dryRun") || input.isJson()) return;
  const { askPlan, isNothing, planLines } = await import("./plan.ts");
  const plan = await askPlan(input, documents);
  for (const line of planLines(plan)) print(line);
  if (!isNothing(plan)) await confirm("Apply this?", false);
}

/** Shows what applying files would change, or what changed between two revisions. */
export async function diff(input: CommandInput): Promise<ExitCode> {
  const files = input.list("file");
  const from = input.text("from");
  if ((files.length === 0) === (from === undefined))
    throw new CommandError(
      ExitCode.invalid,
      "Cannot compare: expected either --file PATH or --from REVISION",
    );
  const api = clientOf(input);
  const documents = from === undefined ? readPlaced(files) : [];
  const answer = await withPlaces<Pick<AnswerOf<"get", "/v1/diff">, "changes">>(documents, () =>
    from === undefined
      ? api.post(
          "/v1/diff",
          documents.map(({ raw }) => raw),
        )
      : api.get("/v1/diff", { from, to: input.text("to") }),
  );
  const { changes } = answer;
  if (input.isJson()) printJson(answer);
  else for (const change of changes) showDifferences(change);
  return changes.length === 0 ? ExitCode.done : ExitCode.differences;
}

/** Shows a document whole. */
export async function describe(input: CommandInput): Promise<ExitCode> {
  const target = input.argument(0);
  const api = clientOf(input);
  if (target.startsWith("Shift/")) return describeShift(input, api, target.slice("Shift/".length));
  const document = await api.get(documentPath(target), { revision: input.text("revision") });
  if (input.isJson()) printJson(document);
  else {
    print(yamlText(document).trimEnd());
    const budget = target.startsWith("Record/") ? await budgetOf(api, document) : undefined;
    if (budget !== undefined) print(`# ${budgetText(budget)}`);
  }
  return ExitCode.done;
}

/** A running shift by its id or target, which no document holds, and what clients do about it. */
async function describeShift(
  input: CommandInput,
  api: ApiClient,
  targetOrId: string,
): Promise<ExitCode> {
  const shifts = (await api.list("/v1/shifts")).filter(
    ({ id, target }) => id === targetOrId || target === targetOrId,
  );
  if (shifts.length === 0)
    throw new CommandError(ExitCode.notFound, `No shift of "${targetOrId}" is running`);
  if (input.isJson()) printJson(shifts);
  else
    for (const shift of shifts) {
      print(yamlText(shift).trimEnd());
      print(`# ${progressText(shift)}`);
    }
  return ExitCode.done;
}

/** The failover budget of a Record as it is served; undefined where it has none, or the caller may not know. */
async function budgetOf(
  api: ApiClient,
  document: unknown,
): Promise<AnswerOf<"get", "/v1/explain">["budget"]> {
  const name = textOf(memberOf(memberOf(document, "spec"), "name"));
  try {
    return (await api.get("/v1/explain", { name })).budget;
  } catch (error) {
    if (error instanceof ApiRefusal) return undefined;
    throw error;
  }
}

/** Opens a document in an editor and applies what was saved. */
export async function edit(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const path = documentPath(input.argument(0));
  const before = yamlText(await api.get(path));
  const folder = mkdtempSync(join(tmpdir(), "meridian-edit-"));
  const file = join(folder, "document.yaml");
  try {
    writeFileSync(file, before, { mode: 0o600 });
    const editor = process.env["VISUAL"] ?? process.env["EDITOR"] ?? "vi";
    const { status, error } = spawnSync(editor, [file], { stdio: "inherit", shell: true });
    if (status !== 0)
      throw new CommandError(
        ExitCode.failed,
        `Cannot edit: "${editor}" ended with ${error?.message ?? String(status)}`,
      );
    if (readFileSync(file, "utf8") === before) {
      print("Nothing was changed");
      return ExitCode.done;
    }
    const documents = readPlaced([file]);
    const [document] = documents;
    if (documents.length !== 1 || document === undefined)
      throw new CommandError(ExitCode.invalid, "Cannot edit: expected one document in the file");
    const { raw } = document;
    if (typeof raw !== "object" || raw === null)
      throw new CommandError(ExitCode.invalid, "Cannot edit: expected a mapping in the file");
    // With the version that was shown: what somebody else wrote meanwhile is not lost.
    const answer = await withPlaces(documents, () => api.put(path, raw, writeQuery(input)));
    showApplied(input, answer);
    return await waitIfTold(input, answer);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Deletes documents; with --cascade what names them, after showing it. */
export async function remove(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const query = {
    ...writeQuery(input),
    ...(input.flag("cascade") ? { cascade: "true" } : {}),
  };
  let deleted: Applied | undefined;
  for (const target of input.arguments) {
    const path = documentPath(target);
    if (input.flag("cascade") && !input.flag("dryRun")) {
      const { changes } = await api.delete(path, { ...query, dryRun: "true" });
      for (const change of changes) complain(`Deletes ${nameOf(change)}`);
      if (changes.length > 1) await confirm("Delete all of these?", input.flag("yes"));
    }
    deleted = await api.delete(path, query);
    showApplied(input, deleted);
  }
  return waitIfTold(input, deleted);
}

/** Lists changes, newest first. */
export async function history(input: CommandInput): Promise<ExitCode> {
  const answer = await clientOf(input).get("/v1/history", {
    document: historyTarget(input.argument(0)),
    limit: input.text("count"),
  });
  showRows(input, answer, answer.items, [
    field("REVISION", "revision", true),
    field("TIME", "at"),
    field("VERB", "verb"),
    { title: "WHO", value: (row) => whoOf(row["who"]) },
    { title: "WHAT", value: (row) => rowsOf(row["changes"]).map(nameOf).join(" ") },
    field("WHY", "reason"),
  ]);
  return ExitCode.done;
}

/** Makes the documents what they were, after showing what that changes. */
export async function rollback(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const query = { ...writeQuery(input), revision: input.argument(0) };
  if (!input.flag("dryRun")) {
    const { changes } = await api.post("/v1/rollback", {}, { ...query, dryRun: "true" });
    for (const change of changes) complain(`${nameOf(change)} ${change.change}`);
    if (changes.length > 0) await confirm("Roll these back?", input.flag("yes"));
  }
  const answer = await api.post("/v1/rollback", {}, query);
  showApplied(input, answer);
  return waitIfTold(input, answer);
}

/** Prints changes as they come, until it is interrupted. */
export async function watch(input: CommandInput): Promise<ExitCode> {
  const kind = input.argument(0);
  const path = kind === "" ? "/v1/documents" : (`/v1/documents/${kind}` as const);
  const events = clientOf(input).stream(path, {
    watch: "true",
    revision: input.text("revision"),
    labelSelector: input.text("selector"),
    fieldSelector: input.text("fieldSelector"),
  });
  let text = "";
  for await (const piece of events) {
    text += piece;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      showEvent(input, text.slice(0, end));
      text = text.slice(end + 2);
    }
  }
  throw new CommandError(ExitCode.unreachable, "The server ended the watch");
}

/** What may lie in a zone of a view. */
const kindsOfViews: ReadonlySet<string> = new Set(["Zone", "Record", "RecordSet"]);

/** Lists documents of a kind, or shows one. */
export async function getDocuments(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  const [kind, name] = [input.argument(0), input.argument(1)];
  const namespace = input.text("namespace");
  if (name !== "") {
    const document = await api.get(documentPath(`${kind}/${name}`));
    if (input.isJson()) printJson(document);
    else print(yamlText(document).trimEnd());
    return ExitCode.done;
  }
  const place = namespace === undefined ? kind : `${kind}/${namespace}`;
  const path = `/v1/documents/${place}` as const;
  const documents = await api.list(path, {
    labelSelector: input.text("selector"),
    fieldSelector: input.text("fieldSelector"),
  });
  if (input.text("output") === "yaml") {
    print(documents.map(yamlText).join("---\n").trimEnd());
    return ExitCode.done;
  }
  const metadata = (title: string, key: string): Column => ({
    title,
    value: (row) => textOf(memberOf(row["metadata"], key)),
  });
  const view: Column = { title: "VIEW", value: (row) => textOf(memberOf(row["spec"], "view")) };
  showRows(input, documents, documents, [
    metadata("NAMESPACE", "namespace"),
    metadata("NAME", "name"),
    ...(kindsOfViews.has(kind) ? [view] : []),
    metadata("OWNER", "owner"),
    metadata("VERSION", "resourceVersion"),
    metadata("GENERATION", "generation"),
  ]);
  return ExitCode.done;
}

/** The documents of files, each with its place. Throws what cannot be read. */
export function readPlaced(paths: readonly string[]): Placed[] {
  if (paths.length === 0)
    throw new CommandError(
      ExitCode.invalid,
      "No files are given, expected --file PATH, or - to read them",
    );
  const onDisk = readDocumentFiles(paths.filter((path) => path !== "-"));
  const files = [
    ...onDisk.files,
    ...(paths.includes("-") ? [{ path: "-", bytes: readFileSync(0) }] : []),
  ];
  const read = files.map((file) => ({ file, ...readRawDocuments(file) }));
  const errors = [
    ...onDisk.errors.map(({ message }) => message),
    ...read.flatMap(({ problems }) => problems.map(formatProblem)),
  ];
  if (errors.length > 0) throw new CommandError(ExitCode.invalid, errors.join("\n"));
  return read.flatMap(({ file, documents }) =>
    documents.map(({ raw, line }) => ({ raw, place: `${file.path}:${line}` })),
  );
}

/** Says each problem of a refusal with the place of its document in the files. */
export async function withPlaces<Answer>(
  documents: readonly Placed[],
  ask: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    const problems = rowsOf(memberOf(error.body, "problems"));
    if (problems.length === 0) throw error;
    const places = new Map(documents.map(({ raw, place }) => [keyOf(raw), place]));
    const lines = problems.map((problem) => {
      const document = textOf(problem["document"]);
      const place = places.get(document) ?? document;
      return `${place === "" ? "" : `${place}: `}error: ${textOf(problem["message"])} [${textOf(problem["code"])}]`;
    });
    throw new CommandError(error.exitCode, [...lines, "Nothing was changed"].join("\n"));
  }
}

/** The key of a document as the API writes it. */
function keyOf(raw: unknown): string {
  const kind = textOf(memberOf(raw, "kind"));
  const metadata = memberOf(raw, "metadata");
  const name = textOf(memberOf(metadata, "name"));
  const namespace = textOf(memberOf(metadata, "namespace") ?? "default");
  const path = ["Site", "DataSet", "View", "Role", "Token", "Tenant", "Cell"].includes(kind)
    ? [kind, name]
    : [kind, namespace, name];
  return path.join("/");
}

function writeQuery(input: CommandInput): QueryOf<"post", "/v1/apply"> {
  const publish = input.text("publish");
  if (publish !== undefined && publish !== "immediate" && publish !== "progressive")
    throw new CommandError(
      ExitCode.invalid,
      `Cannot write: --publish is "${publish}", expected immediate or progressive`,
    );
  return {
    reason: input.text("reason"),
    publish,
    ...(input.flag("dryRun") ? { dryRun: "true" } : {}),
    ...(input.flag("allowShrink") ? { allowShrink: "true" } : {}),
    ...(input.flag("breakGlass") ? { breakGlass: "true" } : {}),
  };
}

function showApplied(input: CommandInput, answer: Applied): void {
  if (input.isJson()) {
    printJson(answer);
    return;
  }
  const suffix = answer.dryRun ? " (dry run)" : "";
  for (const change of answer.changes) print(`${nameOf(change)} ${change.change}${suffix}`);
  for (const { document, message } of answer.warnings) complain(`${document}: warning: ${message}`);
}

/** Shows what differs in a document, line by line. */
export function showDifferences(change: Difference, show: (line: string) => void = print): void {
  show(`${nameOf(change)} ${change.change}`);
  for (const { path, ...sides } of change.differences) {
    if ("before" in sides) show(`  - ${path}: ${JSON.stringify(sides.before)}`);
    if ("after" in sides) show(`  + ${path}: ${JSON.stringify(sides.after)}`);
  }
}

function showEvent(input: CommandInput, event: string): void {
  const data = /^data: (.*)$/m.exec(event)?.[1];
  const kind = /^event: (.*)$/m.exec(event)?.[1];
  if (data === undefined || kind === "bookmark") return;
  if (input.isJson()) {
    print(data);
    return;
  }
  const value: unknown = JSON.parse(data);
  if (kind === "error") throw new CommandError(ExitCode.notFound, textOf(memberOf(value, "error")));
  for (const change of rowsOf(memberOf(value, "changes")))
    print(`${textOf(memberOf(value, "revision"))} ${nameOf(change)} ${textOf(change["change"])}`);
}

function showRows(
  input: CommandInput,
  answer: unknown,
  rows: readonly Row[],
  columns: readonly Column[],
): void {
  if (input.isJson()) printJson(answer);
  else if (rows.length === 0) print("There are none");
  else for (const line of tableLines(rows, columns, hasColours())) print(line);
}

function historyTarget(text: string): string | undefined {
  return text === ""
    ? undefined
    : decodeURIComponent(documentPath(text).slice("/v1/documents/".length));
}

function nameOf(row: Row): string {
  return [row["kind"], row["namespace"], row["name"]]
    .map(textOf)
    .filter((part) => part !== "")
    .join("/");
}

function whoOf(who: unknown): string {
  const actor = textOf(memberOf(who, "actor"));
  const subject = textOf(memberOf(who, "subject"));
  return actor === "" ? subject : `${actor} (${subject})`;
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}
