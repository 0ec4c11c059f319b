// SPDX-License-Identifier: Apache-2.0

// Tokens and the audit log over HTTP.

import { parseDuration } from "@meridian/core";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Caller } from "../access/caller.ts";
import type { RefusalLog } from "../access/refusal-log.ts";
import { newToken, rulesOf } from "../access/tokens.ts";
import { notFound } from "../documents/change-plan.ts";
import { fieldsOf, formatKey, isDocumentKind, member } from "../documents/document-key.ts";
import type { DocumentService } from "../documents/document-service.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { Store } from "../store/store.ts";
import { causeOf, shownSet, visible } from "./shown.ts";
import type { Gatekeeper } from "./gatekeeper.ts";

const TOKEN_MS_MAX = 366 * 24 * 3_600_000;
const TOKEN_LENGTH_UNLESS_TOLD = "720h";
const AUDIT_MAX = 1000;

export interface AccessRoutes {
  readonly documents: DocumentService;
  readonly store: Store;
  readonly refusals: RefusalLog;
  readonly keeper: Gatekeeper;
}

type Query = Readonly<Record<string, string | undefined>>;

export function addAccessRoutes(server: FastifyInstance, options: AccessRoutes): void {
  addTokenRoutes(server, options);
  addAuditRoutes(server, options);
  server.get("/v1/whoami", (request) => {
    const { subject, token, isAdmin } = options.keeper.callerOf(request);
    return { subject, ...(token === undefined ? {} : { token }), isAdmin };
  });
}

function addTokenRoutes(server: FastifyInstance, { documents, keeper }: AccessRoutes): void {
  server.get("/v1/tokens", () =>
    [...documents.documents.ofKind("Token")].map((document) => {
      const shown = visible(document);
      const spec = member(shown, "spec");
      return {
        name: document.key.name,
        subject: member(spec, "subject"),
        roles: member(spec, "roles"),
        expiresAt: member(spec, "expiresAt"),
      };
    }),
  );
  const create = async ({ body }: FastifyRequest, caller: Caller): Promise<object> => {
    const { subject, roles, expiresIn } = parseTokenRequest(body);
    for (const role of roles) refuseUnknownRole(role, documents);
    // Whoever could make tokens of any role could make one that may do everything.
    if (!caller.mayGive(rulesOf(roles, documents.documents))) throw mayLess(caller.subject);
    const token = newToken(subject, roles, Date.now() + expiresIn);
    await documents.writeToken(token.document, expiresIn, {
      caller,
      reason: `token for ${subject}`,
    });
    const { name } = token.document.metadata;
    const { expiresAt } = token.document.spec;
    return { name, subject, roles, expiresAt, token: token.secret };
  };
  const revoke = async (name: string, caller: Caller): Promise<object> => {
    const key = { kind: "Token", namespace: "", name };
    const token = documents.documents.get(key);
    if (token === undefined) throw notFound(key);
    const roles = member(member(JSON.parse(token.text), "spec"), "roles");
    const rules = rulesOf(Array.isArray(roles) ? roles.map(String) : [], documents.documents);
    if (!caller.mayGive(rules)) throw mayLess(caller.subject);
    const { revision } = await documents.revokeToken(key, { caller, reason: "revoked" });
    return { revoked: name, revision };
  };
  server.post("/v1/tokens", (request) => create(request, keeper.callerOf(request)));
  server.delete<{ Params: { name: string } }>("/v1/tokens/:name", (request) =>
    revoke(request.params.name, keeper.callerOf(request)),
  );
}

function addAuditRoutes(server: FastifyInstance, { store, refusals }: AccessRoutes): void {
  server.get<{ Querystring: Query }>("/v1/audit", async ({ query }) => {
    const limit = Math.min(AUDIT_MAX, Math.max(1, Number(query["limit"] ?? 100) || 100));
    const to = query["to"];
    const sets = await store.history({
      newestFirst: true,
      limit,
      ...(to === undefined ? {} : { to: Number(to) }),
    });
    const isFull = query["texts"] === "true";
    return sets.map((set) => ({
      ...shownSet(set),
      id: set.changeSetId,
      auditHash: set.auditHash,
      changes: set.writes
        .filter(({ key }) => isDocumentKind(key.kind))
        .map(({ key, text, before }) => ({
          document: formatKey(key),
          change: text === undefined ? "deleted" : before === undefined ? "created" : "configured",
          ...(isFull
            ? { before: shownText(key.kind, before), after: shownText(key.kind, text) }
            : {}),
        })),
      details: member(causeOf(set.cause), "before"),
      run: runIn(causeOf(set.cause)),
    }));
  });
  server.get("/v1/audit/refusals", () => refusals.list());
  server.get("/v1/audit/verify", async () => {
    const problems = [...(await store.verify()), ...refusals.verify()];
    return { ok: problems.length === 0, problems };
  });
}

/** What a change has done to a run of a recovery plan: its steps are no documents. */
function runIn(cause: unknown): object | undefined {
  const [name, state, steps] = ["run", "state", "steps"].map((field) => member(cause, field));
  if (typeof name !== "string" || typeof state !== "string") return undefined;
  return { name, state, steps: Array.isArray(steps) ? steps.map(String) : [] };
}

/** A text as the audit log shows it: of a token, without its hash. */
function shownText(kind: string, text: string | undefined): unknown {
  if (text === undefined) return undefined;
  const raw: unknown = JSON.parse(text);
  if (kind !== "Token") return raw;
  const { hash: _hash, ...spec } = fieldsOf(member(raw, "spec"));
  return { ...fieldsOf(raw), spec };
}

interface TokenRequest {
  readonly subject: string;
  readonly roles: readonly string[];
  /** Milliseconds. */
  readonly expiresIn: number;
}

function parseTokenRequest(body: unknown): TokenRequest {
  const subject = member(body, "subject");
  const roles = member(body, "roles");
  const length = member(body, "expiresIn") ?? TOKEN_LENGTH_UNLESS_TOLD;
  const expiresIn = typeof length === "string" ? parseDuration(length) : undefined;
  const wrong = (name: string, found: unknown, wanted: string): RequestRefusal =>
    new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot make a token: ${name} is ${JSON.stringify(found) ?? "missing"}, expected ${wanted}`,
    );
  if (typeof subject !== "string" || subject.length === 0 || subject.length > 253)
    throw wrong("subject", subject, "text of 1 to 253 characters");
  if (!Array.isArray(roles) || roles.length === 0 || roles.length > 64)
    throw wrong("roles", roles, "1 to 64 names of roles");
  if (expiresIn === undefined || expiresIn <= 0 || expiresIn > TOKEN_MS_MAX)
    throw wrong("expiresIn", length, "a duration such as 24h, at most 8784h");
  return { subject, roles: roles.map(String), expiresIn };
}

function refuseUnknownRole(role: string, documents: DocumentService): void {
  if (role === "admin" || role === "viewer") return;
  if (documents.documents.get({ kind: "Role", namespace: "", name: role }) !== undefined) return;
  const known = [...documents.documents.ofKind("Role")].map(({ key }) => key.name);
  throw new RequestRefusal(
    "REQUEST_INVALID",
    `Cannot make a token: role is "${role}", expected one of admin, viewer${known.map((name) => `, ${name}`).join("")}`,
  );
}

function mayLess(subject: string): RequestRefusal {
  return new RequestRefusal(
    "ACCESS_DENIED",
    `Cannot change tokens: the roles allow what "${subject}" may not do, expected no more than that`,
  );
}
