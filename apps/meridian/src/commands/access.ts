// SPDX-License-Identifier: Apache-2.0

// Tokens, the audit log, and the contexts that name servers.

import { parseDuration } from "@meridian/core";
import type { AnswerOf } from "../api-requests.ts";
import { clientOf, contextFiles, readContexts, writeContexts } from "../api-target.ts";
import type { CommandInput } from "../command.ts";
import { CommandError, ExitCode } from "../exit-code.ts";
import {
  field,
  hasColours,
  print,
  printJson,
  rowsOf,
  tableLines,
  type Column,
  type Row,
} from "../output.ts";

/** Makes a token, with which an edge may join once or somebody may use the API, and prints it, once. */
export async function tokenCreate(input: CommandInput): Promise<ExitCode> {
  const answer =
    input.flag("edge") || input.flag("probe") ? await inviteEdge(input) : await makeToken(input);
  if (input.isJson()) printJson(answer);
  else print(answer.token);
  return ExitCode.done;
}

function makeToken(input: CommandInput): Promise<AnswerOf<"post", "/v1/tokens">> {
  return clientOf(input).post("/v1/tokens", {
    subject: input.argument(0),
    roles: input.list("role"),
    expiresIn: input.text("for") ?? "720h",
  });
}

function inviteEdge(input: CommandInput): Promise<AnswerOf<"post", "/v1/edges/invitations">> {
  const text = input.text("for") ?? "10m";
  const forMs = parseDuration(text);
  if (input.list("role").length > 0)
    throw new CommandError(
      ExitCode.invalid,
      "Cannot make a token: --role is given with --edge, expected one of them",
    );
  if (forMs === undefined)
    throw new CommandError(
      ExitCode.invalid,
      `Cannot make a token: --for is "${text}", expected a duration such as 10m`,
    );
  return clientOf(input).post("/v1/edges/invitations", {
    edge: input.argument(0),
    forMs,
    role: input.flag("probe") ? "probe" : "edge",
  });
}

export async function tokenList(input: CommandInput): Promise<ExitCode> {
  const answer = await clientOf(input).get("/v1/tokens");
  show(input, answer, [
    field("NAME", "name"),
    field("SUBJECT", "subject"),
    field("ROLES", "roles"),
    field("EXPIRES", "expiresAt"),
  ]);
  return ExitCode.done;
}

export async function tokenRevoke(input: CommandInput): Promise<ExitCode> {
  const name = input.argument(0);
  const answer = await clientOf(input).delete(`/v1/tokens/${encodeURIComponent(name)}`, {});
  if (input.isJson()) printJson(answer);
  else print(`Token ${name} is revoked`);
  return ExitCode.done;
}

/** A run of a recovery plan, and what became of its steps. */
function runText({ name, state, steps }: Row): string {
  const became = Array.isArray(steps) && steps.length > 0 ? steps.join(", ") : String(state);
  return `run ${String(name)}: ${became}`;
}

export async function auditList(input: CommandInput): Promise<ExitCode> {
  const isRefusals = input.flag("refusals");
  const path = isRefusals ? "/v1/audit/refusals" : "/v1/audit";
  const answer = await clientOf(input).get(path, { limit: input.text("count") });
  const what: Column = {
    title: "WHAT",
    value: ({ changes, run }) =>
      [
        ...rowsOf(changes).map(({ document }) => String(document)),
        ...rowsOf(run === undefined ? [] : [run]).map(runText),
      ].join(" "),
  };
  const subject: Column = {
    title: "WHO",
    value: ({ who }) => {
      const [name = ""] = rowsOf([who]).map(({ actor, subject: itself }) => actor ?? itself);
      return String(name);
    },
  };
  const time: Column = {
    title: "TIME",
    value: ({ atMs }) => new Date(Number(atMs)).toISOString(),
  };
  show(
    input,
    answer,
    isRefusals
      ? [time, field("WHO", "subject"), field("REQUEST", "request"), field("WHY", "message")]
      : [
          field("REVISION", "revision", true),
          field("TIME", "at"),
          subject,
          field("VERB", "verb"),
          what,
          field("WHY", "reason"),
        ],
  );
  return ExitCode.done;
}

/** Walks the hash chains. */
export async function auditVerify(input: CommandInput): Promise<ExitCode> {
  const answer = await clientOf(input).get("/v1/audit/verify");
  if (input.isJson()) printJson(answer);
  else if (answer.ok) print("The audit chains are whole");
  else for (const problem of answer.problems) print(problem);
  return answer.ok ? ExitCode.done : ExitCode.failed;
}

/** Prints every write as JSON lines, newest first, with the documents before and after. */
export async function auditExport(input: CommandInput): Promise<ExitCode> {
  const api = clientOf(input);
  let to: string | undefined;
  for (;;) {
    const rows = await api.get("/v1/audit", { limit: "500", texts: "true", to });
    for (const row of rows) print(JSON.stringify(row));
    const oldest = rows.at(-1)?.revision ?? 1;
    if (rows.length === 0 || oldest <= 1) return ExitCode.done;
    to = String(oldest - 1);
  }
}

export function contextSet(input: CommandInput): Promise<ExitCode> {
  const { current, contexts } = readContexts();
  const name = input.argument(0);
  const context = { server: input.requiredText("server"), ...contextFiles(input) };
  writeContexts({ current: current ?? name, contexts: { ...contexts, [name]: context } });
  if (input.isJson()) printJson({ context: name, server: context.server });
  else print(`Context ${name} is ${context.server}`);
  return Promise.resolve(ExitCode.done);
}

export function contextUse(input: CommandInput): Promise<ExitCode> {
  const { contexts } = readContexts();
  const name = input.argument(0);
  if (contexts[name] === undefined)
    throw new CommandError(
      ExitCode.notFound,
      `Cannot use the context "${name}": expected one of ${Object.keys(contexts).join(", ") || "none yet"}`,
    );
  writeContexts({ current: name, contexts });
  if (input.isJson()) printJson({ context: name, server: contexts[name].server });
  else print(`Commands ask ${name} from now on`);
  return Promise.resolve(ExitCode.done);
}

export function contextList(input: CommandInput): Promise<ExitCode> {
  const { current, contexts } = readContexts();
  const rows = Object.entries(contexts).map(([name, { server }]) => ({
    name,
    server,
    current: name === current ? "*" : "",
  }));
  show(input, rows, [field("", "current"), field("NAME", "name"), field("SERVER", "server")]);
  return Promise.resolve(ExitCode.done);
}

function show(input: CommandInput, rows: readonly Row[], columns: readonly Column[]): void {
  if (input.isJson()) printJson(rows);
  else if (rows.length === 0) print("There are none");
  else for (const line of tableLines(rows, columns, hasColours())) print(line);
}
