// SPDX-License-Identifier: Apache-2.0

// Documents over HTTP. Paths are kind, then namespace, then name, as in /v1/documents/Pool/default/web; kinds that belong to no namespace
// have none in their path: /v1/documents/Site/eu.

import { hostname } from "node:os";
import {
  fieldsOf,
  formatKey,
  isClusterKind,
  isDocumentKind,
  keyOf,
  member,
} from "../documents/document-key.ts";
import { isKind, kinds, storeKinds, readRawDocuments, formatProblem } from "@meridian/model";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { accessTargetOf } from "../documents/document-access.ts";
import { changeKindOf, denied, notFound } from "../documents/change-plan.ts";
import type { Applied, ChangeOptions } from "../documents/document-change.ts";
import type { DocumentService } from "../documents/document-service.ts";
import { differences } from "../documents/document-diff.ts";
import { plainDocument } from "../documents/document-text.ts";
import { fieldSelector, labelSelector, type Selector } from "../documents/selector.ts";
import { RequestRefusal } from "../request-refusal.ts";
import type { ChangeSet, DocumentKey, Store } from "../store/store.ts";
import type { VersionedLoad } from "../adopted-model.ts";
import type { Planner } from "../plan/planner.ts";
import type { PublicationView } from "../edges/publication-state.ts";
import type { ConsistencyGate, ReadView } from "./consistency.ts";
import type { Gatekeeper } from "./gatekeeper.ts";
import { shownSet, visible } from "./shown.ts";
import { isWatch, watchDocuments } from "./watch-route.ts";

/** Body of an apply: more than this is to be sent in several changes. */
export const APPLY_BYTES_MAX: number = 32 * 1024 * 1024;
const PAGE_UNLESS_TOLD = 500;
const PAGE_MAX = 1000;
/** Pages of the store that one answer looks through for documents that are selected. */
const PAGES_LOOKED_AT_MAX = 20;
const HISTORY_MAX = 1000;

export interface DocumentRoutes {
  readonly documents: DocumentService;
  readonly store: Store;
  readonly gate: ConsistencyGate;
  readonly keeper: Gatekeeper;
  /** How far a snapshot revision has come at the edges. */
  readonly publication: (revision: number) => PublicationView;
  readonly planner: Planner;
}

type Query = Readonly<Record<string, string | undefined>>;
interface Shape {
  Querystring: Query;
  Params: Readonly<Record<string, string>>;
}

/** Adds the routes; their bodies are read by themselves, with positions. */
export async function addDocumentRoutes(
  server: FastifyInstance,
  options: DocumentRoutes,
): Promise<void> {
  await server.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      "*",
      { parseAs: "buffer", bodyLimit: APPLY_BYTES_MAX },
      (_request, body, finish) => finish(null, body),
    );
    new Routes(options).add(scope);
    done();
  });
}

class Routes {
  readonly #documents: DocumentService;
  readonly #store: Store;
  readonly #gate: ConsistencyGate;
  readonly #keeper: Gatekeeper;
  readonly #publication: DocumentRoutes["publication"];
  readonly #planner: Planner;

  constructor({ documents, store, gate, keeper, publication, planner }: DocumentRoutes) {
    this.#documents = documents;
    this.#store = store;
    this.#gate = gate;
    this.#keeper = keeper;
    this.#publication = publication;
    this.#planner = planner;
  }

  add(server: FastifyInstance): void {
    const base = "/v1/documents";
    for (const path of [base, `${base}/:kind`])
      server.get<Shape>(path, (request, reply) => this.#list(request, reply));
    server.get<Shape>(`${base}/:kind/:first`, (request, reply) =>
      isClusterKind(request.params["kind"] ?? "")
        ? this.#get(request, reply)
        : this.#list(request, reply),
    );
    server.get<Shape>(`${base}/:kind/:first/:name`, (request, reply) => this.#get(request, reply));
    for (const path of [`${base}/:kind/:first`, `${base}/:kind/:first/:name`]) {
      server.put<Shape>(path, (request, reply) => this.#put(request, reply));
      server.delete<Shape>(path, (request, reply) => this.#delete(request, reply));
    }
    const bodyLimit = APPLY_BYTES_MAX;
    server.post<Shape>("/v1/apply", { bodyLimit }, (request, reply) => this.#apply(request, reply));
    server.post<Shape>("/v1/diff", { bodyLimit }, (request) => this.#diffApply(request));
    server.post<Shape>("/v1/plans", { bodyLimit }, (request) => this.#plan(request));
    server.get<Shape>("/v1/diff", (request, reply) => this.#diffRevisions(request, reply));
    server.get<Shape>("/v1/history", (request, reply) => this.#history(request, reply));
    server.post<Shape>("/v1/rollback", async (request, reply) => {
      const revision = wholeNumber(request.query, "revision", undefined, Number.MAX_SAFE_INTEGER);
      const applied = await this.#documents.rollback(revision, this.#change(request));
      return this.#answer(request, reply, applied);
    });
  }

  async #list(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<unknown> {
    const { kind, first: namespace } = request.params;
    const { query } = request;
    if (kind !== undefined) refuseUnknownKind(kind);
    const select = selectorOf(query);
    const caller = this.#keeper.callerOf(request);
    if (isWatch(request)) {
      const filter = { kind, namespace, select, caller };
      return watchDocuments(this.#store, request, reply, filter);
    }
    if (!caller.mayAnyOf("list", kind ?? "*")) throw denied(caller, "list", listKey(kind));
    const view = await this.#read(request, reply);
    const limit = wholeNumber(query, "limit", PAGE_UNLESS_TOLD, PAGE_MAX);
    const items: object[] = [];
    let from = query["continue"];
    let revision = query["revision"] === undefined ? view.revision : Number(query["revision"]);
    // A page that a selector leaves empty is no answer; but one answer does not look through everything either.
    for (let pages = 0; pages < PAGES_LOOKED_AT_MAX; pages++) {
      const page = await this.#store.list({
        ...(kind === undefined ? {} : { kind }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(from === undefined ? { revision } : { continue: from }),
        limit: limit - items.length,
        stale: view.isStale,
      });
      revision = page.revision;
      for (const document of page.documents) {
        const raw: unknown = JSON.parse(document.text);
        const { key } = document;
        if (!isDocumentKind(key.kind) || !select(raw)) continue;
        if (caller.may("list", accessTargetOf(key, raw))) items.push(visible(document));
      }
      from = page.continue;
      if (from === undefined || items.length >= limit) break;
    }
    return { revision, items, ...(from === undefined ? {} : { continue: from }) };
  }

  async #get(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<unknown> {
    const key = keyOfPath(request.params);
    const caller = this.#keeper.callerOf(request);
    await this.#read(request, reply);
    const { revision } = request.query;
    const found = await this.#documents.get(
      key,
      revision === undefined ? undefined : wholeNumber(request.query, "revision", 0, 2 ** 52),
    );
    const raw: unknown = "text" in found ? JSON.parse(found.text) : found.document;
    // Who may not see it is not told whether it is there.
    if (!caller.may("get", accessTargetOf(key, raw)))
      throw caller.subject === "anonymous" ? denied(caller, "get", key) : notFound(key);
    if ("text" in found) return visible(found);
    const metadata = member(found.document, "metadata");
    return {
      ...found.document,
      metadata: { ...fieldsOf(metadata), owner: `file:${found.file}`, line: found.line },
    };
  }

  async #put(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<unknown> {
    const key = keyOfPath(request.params);
    const documents = rawDocuments(request);
    const [document] = documents;
    const named = keyOf(document);
    if (documents.length !== 1 || named === undefined || formatKey(named) !== formatKey(key))
      throw new RequestRefusal(
        "REQUEST_INVALID",
        `Cannot apply ${formatKey(key)}: the body is ${documents.length === 1 && named !== undefined ? formatKey(named) : "something else"}, expected that one document`,
      );
    const applied = await this.#documents.apply([document], this.#change(request));
    return this.#answer(request, reply, applied);
  }

  async #apply(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<unknown> {
    const applied = await this.#documents.apply(rawDocuments(request), this.#change(request));
    return this.#answer(request, reply, applied);
  }

  async #delete(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<unknown> {
    const { resourceVersion, cascade } = request.query;
    const applied = await this.#documents.delete([keyOfPath(request.params)], {
      ...this.#change(request),
      isCascade: cascade === "true",
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    });
    return this.#answer(request, reply, applied);
  }

  /** What an apply would change, place by place. */
  #diffApply(request: FastifyRequest<Shape>): Promise<unknown> {
    return this.#difference(rawDocuments(request), this.#change(request));
  }

  /** The same, and what it would do to traffic; without documents what drains and switches would. */
  async #plan(request: FastifyRequest<Shape>): Promise<unknown> {
    const { profile, drain, startsAt, off, files } = request.query;
    if (files !== undefined) {
      if (!this.#keeper.isLocal(request))
        throw new RequestRefusal(
          "ACCESS_DENIED",
          "Cannot plan files over HTTP: the server would read paths of its machine, expected the socket of its state folder",
        );
      const allowShrink = request.query["allowShrink"] === "true";
      return this.#planner.planFiles(files, { profile, drain, startsAt, off, allowShrink });
    }
    const mayBeNone = (drain ?? off) !== undefined;
    const documents = rawDocuments(request, mayBeNone);
    let trial: VersionedLoad | undefined;
    const onTrial = (found: VersionedLoad): void => {
      trial = found;
    };
    const difference = await this.#difference(documents, { ...this.#change(request), onTrial });
    return {
      ...difference,
      ...(await this.#planner.plan({ trial, documents, profile, drain, startsAt, off })),
    };
  }

  async #difference(documents: readonly unknown[], options: ChangeOptions): Promise<object> {
    const applied = await this.#documents.apply(documents, {
      ...options,
      isDryRun: true,
      isDiff: true,
    });
    const set = this.#documents.documents;
    const changes = applied.changes.flatMap(({ change, ...key }, index) => {
      if (change === "unchanged") return [];
      const before = set.get(key);
      const old: unknown =
        before === undefined ? undefined : plainDocument(JSON.parse(before.text));
      const now = withNamespace(documents[index], key);
      return [{ ...key, change, differences: differences(old, now) }];
    });
    return { revision: applied.revision, changes, warnings: applied.warnings };
  }

  async #diffRevisions(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<unknown> {
    const { query } = request;
    const view = await this.#read(request, reply);
    const from = wholeNumber(query, "from", undefined, Number.MAX_SAFE_INTEGER);
    const to = wholeNumber(query, "to", view.revision, Number.MAX_SAFE_INTEGER);
    const caller = this.#keeper.callerOf(request);
    const [first, last] = from < to ? [from, to] : [to, from];
    const keys = new Map<string, DocumentKey>();
    for (let at = first + 1; at <= last;) {
      const page = await this.#store.history({ from: at, to: last, limit: HISTORY_MAX });
      for (const { writes } of page)
        for (const { key } of writes) if (isKind(key.kind)) keys.set(formatKey(key), key);
      const newest = page.at(-1);
      if (newest === undefined) break;
      at = newest.revision + 1;
    }
    const changes: object[] = [];
    for (const key of keys.values()) {
      const [old, now] = [await this.#plainAt(key, from), await this.#plainAt(key, to)];
      const found = differences(old, now);
      if (found.length === 0 || !caller.may("diff", accessTargetOf(key, now ?? old))) continue;
      const change = old === undefined ? "created" : now === undefined ? "deleted" : "configured";
      changes.push({ ...key, change, differences: found });
    }
    return { from, to, changes };
  }

  async #plainAt(key: DocumentKey, revision: number): Promise<unknown> {
    const found = revision === 0 ? undefined : await this.#store.get(key, { revision });
    return found === undefined ? undefined : plainDocument(JSON.parse(found.text));
  }

  async #history(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<unknown> {
    const { query } = request;
    const view = await this.#read(request, reply);
    const caller = this.#keeper.callerOf(request);
    const document = query["document"];
    const sets = await this.#store.history({
      newestFirst: true,
      limit: wholeNumber(query, "limit", 100, HISTORY_MAX),
      ...(query["to"] === undefined
        ? {}
        : { to: wholeNumber(query, "to", 0, Number.MAX_SAFE_INTEGER) }),
      ...(document === undefined ? {} : { key: keyOfText(document) }),
      stale: view.isStale,
    });
    const items = sets.flatMap((set) => {
      const changes = visibleChanges(set, (key, text) =>
        caller.may("history", accessTargetOf(key, JSON.parse(text))),
      );
      return changes.length === 0 ? [] : [{ ...shownSet(set), changes }];
    });
    return { revision: view.revision, items };
  }

  #change(request: FastifyRequest<Shape>): ChangeOptions {
    const { query, headers } = request;
    const { dryRun, owner, reason, publish, allowShrink, breakGlass } = query;
    const id = headers["idempotency-key"];
    const actor = headers["meridian-actor"];
    if (owner !== undefined && !/^(api|operator:[a-z0-9-]{1,63})$/.test(owner))
      throw new RequestRefusal(
        "REQUEST_INVALID",
        `Cannot apply: owner is "${owner}", expected api or operator:CLUSTER`,
      );
    if (publish !== undefined && publish !== "immediate" && publish !== "progressive")
      throw new RequestRefusal(
        "REQUEST_INVALID",
        `Cannot apply: publish is "${publish}", expected immediate or progressive`,
      );
    return {
      caller: this.#keeper.callerOf(request),
      ...(publish === undefined ? {} : { publish }),
      ...(allowShrink === "true" ? { allowShrink: true } : {}),
      ...(breakGlass === "true" ? { breakGlass: true } : {}),
      isDryRun: dryRun === "true" || dryRun === "All",
      ...(owner === undefined ? {} : { owner }),
      ...(reason === undefined ? {} : { reason: reason.slice(0, 1024) }),
      ...(typeof id === "string" ? { id } : {}),
      ...(typeof actor === "string" ? { actor: actor.slice(0, 256) } : {}),
    };
  }

  async #read(request: FastifyRequest<Shape>, reply: FastifyReply): Promise<ReadView> {
    const { consistency, maxStaleness } = request.query;
    const view = await this.#gate.read({ consistency, maxStaleness, token: tokenOf(request) });
    void reply.headers({
      "meridian-served-by": hostname(),
      "meridian-revision": view.revision,
      "meridian-staleness-ms": view.ageMs,
      "meridian-seen": view.token,
    });
    return view;
  }

  async #answer(
    request: FastifyRequest<Shape>,
    reply: FastifyReply,
    applied: Applied,
  ): Promise<object> {
    await this.#sign(request, reply, applied.revision);
    // Not more: who may write a document need not know of edges.
    return { ...applied, publication: this.#publication(applied.snapshot).state };
  }

  async #sign(
    request: FastifyRequest<Shape>,
    reply: FastifyReply,
    revision: number,
  ): Promise<void> {
    void reply.headers({
      "meridian-served-by": hostname(),
      "meridian-revision": revision,
      "meridian-seen": await this.#gate.tokenAt(revision, tokenOf(request)),
    });
  }
}

function visibleChanges(
  { writes }: ChangeSet,
  may: (key: DocumentKey, text: string) => boolean,
): object[] {
  return writes.flatMap(({ key, text, before }) => {
    const some = text ?? before;
    if (!isDocumentKind(key.kind) || some === undefined || !may(key, some)) return [];
    return [{ ...key, change: changeKindOf(text, before) }];
  });
}

function tokenOf({ headers }: FastifyRequest): string | undefined {
  const token = headers["meridian-seen"];
  return typeof token === "string" ? token : undefined;
}

function withNamespace(raw: unknown, key: DocumentKey): object {
  const plain = plainDocument(raw);
  if (key.namespace === "") return plain;
  const metadata = member(plain, "metadata");
  return { ...plain, metadata: { ...fieldsOf(metadata), namespace: key.namespace } };
}

/** The documents of a body: YAML, JSON or JSON lines, by its content type. */
function rawDocuments({ body, headers }: FastifyRequest, mayBeNone = false): unknown[] {
  const type = headers["content-type"] ?? "";
  const suffix = /jsonl|ndjson/.test(type) ? "jsonl" : /json/.test(type) ? "json" : "yaml";
  const bytes = body instanceof Uint8Array ? body : new Uint8Array();
  const path = `body.${suffix}`;
  const { documents, problems } = readRawDocuments({ path, bytes });
  if (problems.length > 0) {
    const first = problems[0];
    const shown = first === undefined ? "" : formatProblem(first);
    throw new RequestRefusal("DOCUMENTS_INVALID", `Cannot apply: ${shown}`, {
      problems: problems.map(({ severity, code, message, line }) => ({
        severity,
        code,
        document: `${path}:${line}`,
        path: "",
        message,
      })),
    });
  }
  if (documents.length > 0 || mayBeNone) return documents.map(({ raw }) => raw);
  throw new RequestRefusal("REQUEST_INVALID", "Cannot apply: the body holds no document");
}

function keyOfPath(params: Readonly<Record<string, string>>): DocumentKey {
  const { kind = "", first = "", name } = params;
  refuseUnknownKind(kind);
  const isCluster = isClusterKind(kind);
  if (isCluster !== (name === undefined))
    throw new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot find the document: the path is for ${isCluster ? `${kind}/NAMESPACE/NAME, expected ${kind}/NAME` : `${kind}/NAME, expected ${kind}/NAMESPACE/NAME`}`,
    );
  return isCluster
    ? { kind, namespace: "", name: first }
    : { kind, namespace: first, name: name ?? "" };
}

/** The key in `KIND/NAMESPACE/NAME` or `KIND/NAME`. */
function keyOfText(text: string): DocumentKey {
  const [kind = "", first = "", name] = text.split("/");
  return keyOfPath({ kind, first, ...(name === undefined ? {} : { name }) });
}

function refuseUnknownKind(kind: string): void {
  if (isDocumentKind(kind)) return;
  const known = [...kinds.filter((each) => each !== "Shift"), ...storeKinds].join(", ");
  throw new RequestRefusal(
    "REQUEST_INVALID",
    `Cannot find documents: kind is "${kind}", expected one of ${known}`,
  );
}

function listKey(kind: string | undefined): DocumentKey {
  return { kind: kind ?? "*", namespace: "", name: "*" };
}

function selectorOf(query: Query): Selector {
  const selectors = [
    labelSelector(query["labelSelector"] ?? ""),
    fieldSelector(query["fieldSelector"] ?? ""),
  ];
  return (document) => selectors.every((each) => each(document));
}

/** A whole number of a query from 0; `unless` where it is left out, refused where that is undefined. */
function wholeNumber(query: Query, name: string, unless: number | undefined, most: number): number {
  const text = query[name];
  if (text === undefined && unless !== undefined) return unless;
  const value = Number(text ?? "");
  if (text !== undefined && /^[0-9]+$/.test(text) && value <= most) return value;
  throw new RequestRefusal(
    "REQUEST_INVALID",
    `Cannot answer: ${name} is "${text ?? ""}", expected a whole number from 0 to ${most}`,
  );
}
