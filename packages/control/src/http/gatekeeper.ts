// SPDX-License-Identifier: Apache-2.0

// Before any route: who asks, how fast, and whether a role allows it. After it: what was refused goes to the log, and answers hold only what
// their reader may see. The local socket has the permissions of its file, so whoever opened it is an administrator.

import { TLSSocket } from "node:tls";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { Caller, builtinRoles, type AccessTarget } from "../access/caller.ts";
import { Members, type RoleDocuments } from "../access/members.ts";
import { isJwt, type Oidc, type OidcIdentity } from "../access/oidc.ts";
import { RateLimit, type Rate } from "../access/rate-limit.ts";
import type { RefusalLog } from "../access/refusal-log.ts";
import { routeNeed, type RouteNeed } from "../access/route-access.ts";
import { readToken, type AccessDocuments } from "../access/tokens.ts";
import { fieldsOf, member } from "../documents/document-key.ts";
import { RequestRefusal, refusalBody, statusOf } from "../request-refusal.ts";
import { isWatch } from "./watch-route.ts";
import { SealedText } from "./sealed-text.ts";
import { rowTarget } from "./row-target.ts";

const KEYS_MAX = 10_000;

/** Requests of one token, or of one address without a token. */
const requestRate: Rate = { perSecond: 1000, burst: 2000 };
/** Tokens that are not taken, by address: slow enough to guess nothing, 2^256 apart. */
const failureRate: Rate = { perSecond: 5, burst: 20 };

export interface GatekeeperOptions {
  readonly documents: () => AccessDocuments & RoleDocuments;
  /** Takes tokens of an OpenID provider. */
  readonly oidc?: Oidc;
  readonly refusals: RefusalLog;
  readonly nowMs: () => number;
  readonly rate?: Rate;
}

/** How requests come in. */
export interface Entrance {
  readonly isLocalSocket: boolean;
  /** Who has no token may read: the listener is on loopback alone. */
  readonly isOpenToReaders: boolean;
}

export class Gatekeeper {
  readonly #options: GatekeeperOptions;
  readonly #requests: RateLimit;
  readonly #failures: RateLimit = new RateLimit(failureRate, KEYS_MAX);
  readonly #callers = new WeakMap<FastifyRequest, Caller>();
  readonly #members = new Members();
  readonly #sealed = new SealedText();

  constructor(options: GatekeeperOptions) {
    this.#options = options;
    this.#requests = new RateLimit(options.rate ?? requestRate, KEYS_MAX);
  }

  /** Stands before all routes of a server; to be called before they are added. */
  install(server: FastifyInstance, entrance: Entrance): void {
    server.addHook("onRequest", async (request) => {
      const caller = entrance.isLocalSocket ? local : await this.#authenticate(request, entrance);
      this.#callers.set(request, caller);
      const need = needOf(request);
      if (need !== undefined && !mayEnter(caller, need, request)) throw refusedAt(caller, request);
      this.#openContinue(request);
    });
    // oxlint-disable-next-line require-await -- an asynchronous hook is one without a callback
    server.addHook("preHandler", async (request) => {
      const need = needOf(request);
      if (need?.target === undefined || need.verb === undefined) return;
      const { from, field, namespaceAt } = need.target;
      const text = member(request[from], field);
      const namespace = namespaceOf(typeof text === "string" ? text : "", namespaceAt);
      const target = { kind: need.kind, namespace };
      const caller = this.callerOf(request);
      if (!caller.may(need.verb, target)) throw refusedAt(caller, request);
    });
    // oxlint-disable-next-line require-await -- as above
    server.addHook("preSerialization", async (request, _reply, payload: unknown) =>
      this.#sealContinue(request, visibleRows(this.callerOf(request), needOf(request), payload)),
    );
    server.setErrorHandler((error, request, reply) => this.#refuse(error, request, reply));
  }

  /** Who sent a request that passed. */
  callerOf(request: FastifyRequest): Caller {
    return this.#callers.get(request) ?? nobody(request.ip);
  }

  /** Whether a request came over the local socket. */
  isLocal(request: FastifyRequest): boolean {
    return this.callerOf(request) === local;
  }

  /** Where a page ends is a name that its reader may not be allowed to see. */
  #sealContinue(request: FastifyRequest, payload: unknown): unknown {
    const text = member(payload, "continue");
    const caller = this.callerOf(request);
    if (typeof text !== "string" || caller.may("list", { kind: "*", namespace: undefined }))
      return payload;
    return { ...fieldsOf(payload), continue: this.#sealed.seal(text) };
  }

  #openContinue({ query }: FastifyRequest): void {
    const text = member(query, "continue");
    if (typeof query !== "object" || query === null || typeof text !== "string") return;
    const opened = this.#sealed.open(text);
    if (opened !== undefined) Reflect.set(query, "continue", opened);
  }

  async #authenticate(request: FastifyRequest, entrance: Entrance): Promise<Caller> {
    const { nowMs, documents } = this.#options;
    const address = request.ip;
    const header = request.headers.authorization;
    if (header === undefined) {
      const certified = this.#certified(request);
      if (certified !== undefined) return certified;
      this.#limit(`address ${address}`);
      return entrance.isOpenToReaders ? reader(address) : nobody(address);
    }
    const text = /^Bearer ([\x21-\x7e]+)$/i.exec(header)?.[1] ?? "";
    if (this.#options.oidc !== undefined && isJwt(text))
      return this.#identified(await this.#asked(this.#options.oidc, text, address), address);
    const token = readToken(text, documents(), nowMs());
    if (typeof token !== "string") {
      this.#limit(`token ${token.name}`);
      return new Caller(token.subject, token.name, address, token.rules);
    }
    throw this.#unauthenticated(
      address,
      `Cannot take the token: ${token}; make one with "meridian token create"`,
    );
  }

  /** A provider that is away is not to be asked as fast as somebody can send nonsense. */
  async #asked(oidc: Oidc, text: string, address: string): Promise<OidcIdentity | string> {
    try {
      return await oidc.read(text);
    } catch (error) {
      const waitMs = this.#failures.take(address, this.#options.nowMs());
      throw waitMs > 0 ? limited(waitMs) : error;
    }
  }

  #identified(identity: OidcIdentity | string, address: string): Caller {
    if (typeof identity === "string")
      throw this.#unauthenticated(address, `Cannot take the token: ${identity}`);
    this.#limit(identity.subject);
    const rules = this.#members.rulesOf(identity.proofs, this.#options.documents());
    return new Caller(identity.subject, undefined, address, rules);
  }

  /** Whom a client certificate stands for; undefined where none was shown. */
  #certified({ raw: { socket }, ip: address }: FastifyRequest): Caller | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    // Without a certificate the object is empty, whatever its type says.
    const subject = member(socket.getPeerCertificate(), "subject");
    if (subject === undefined) return undefined;
    if (!socket.authorized)
      throw this.#unauthenticated(
        address,
        `Cannot take the client certificate: ${String(socket.authorizationError)}`,
      );
    const name = member(subject, "CN");
    if (typeof name !== "string" || name === "")
      throw this.#unauthenticated(
        address,
        "Cannot take the client certificate: it has no common name, or several",
      );
    const certificate = `certificate:${name}`;
    this.#limit(certificate);
    const rules = this.#members.rulesOf([{ certificate: name }], this.#options.documents());
    return new Caller(certificate, undefined, address, rules);
  }

  #unauthenticated(address: string, message: string): RequestRefusal {
    const waitMs = this.#failures.take(address, this.#options.nowMs());
    return waitMs > 0 ? limited(waitMs) : new RequestRefusal("ACCESS_UNAUTHENTICATED", message);
  }

  #limit(key: string): void {
    const waitMs = this.#requests.take(key, this.#options.nowMs());
    if (waitMs > 0) throw limited(waitMs);
  }

  #refuse(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const known = toRefusal(error, request.routeOptions.bodyLimit);
    const status = statusOf(known);
    if (status === 500) request.log.error(error);
    if (status === 401) void reply.header("www-authenticate", "Bearer");
    if (status === 429) void reply.header("retry-after", "1");
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (known instanceof RequestRefusal && status !== 429 && (!isRead || status < 404)) {
      const { subject, address } = this.callerOf(request);
      this.#options.refusals.add({
        atMs: this.#options.nowMs(),
        subject,
        address,
        request: `${request.method} ${request.url.split("?", 1)[0] ?? ""}`,
        code: known.code,
        message: known.message,
      });
    }
    void reply.code(status).send(refusalBody(known));
  }
}

/** Whether an address to listen on is this machine's own. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

const local = new Caller("local", undefined, "", builtinRoles["admin"] ?? []);

function reader(address: string): Caller {
  return new Caller("anonymous", undefined, address, builtinRoles["viewer"] ?? []);
}

function nobody(address: string): Caller {
  return new Caller("anonymous", undefined, address, []);
}

function needOf(request: FastifyRequest): RouteNeed | undefined {
  const { url } = request.routeOptions;
  // A path without a route: it is answered that there is none.
  if (url === undefined) return undefined;
  const need = routeNeed(request.method, url);
  if (need === undefined) return { verb: "token", kind: "Token", isAdminOnly: true };
  const isDocuments = need.verb === "list" && need.kind === "*";
  return isDocuments && isWatch(request) ? { ...need, verb: "watch" } : need;
}

function mayEnter(caller: Caller, need: RouteNeed, request: FastifyRequest): boolean {
  if (need.verb === undefined) return true;
  if (need.isAdminOnly === true) return caller.isAdmin;
  if (need.isFiltered === true || need.target !== undefined)
    return caller.mayAnyOf(need.verb, need.kind);
  const name = need.isNamed === true ? member(request.query, "name") : undefined;
  const domain = typeof name === "string" ? { domain: name } : {};
  return caller.may(need.verb, { kind: need.kind, namespace: undefined, ...domain });
}

function refusedAt(caller: Caller, request: FastifyRequest): RequestRefusal {
  const what = `${request.method} ${request.url.split("?", 1)[0] ?? ""}`;
  if (caller.subject === "anonymous")
    return new RequestRefusal(
      "ACCESS_UNAUTHENTICATED",
      `Cannot ${what}: no token was sent, expected the header "Authorization: Bearer TOKEN"`,
    );
  return new RequestRefusal(
    "ACCESS_DENIED",
    `Cannot ${what}: no role of "${caller.subject}" allows it`,
  );
}

function limited(waitMs: number): RequestRefusal {
  return new RequestRefusal(
    "ACCESS_LIMITED",
    `Cannot answer: there were too many requests; try again in ${waitMs} ms`,
  );
}

/** Fastify's own refusals in our words. */
function toRefusal(error: unknown, bodyBytesMax: number): unknown {
  const code = member(error, "code");
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new RequestRefusal(
      "REQUEST_TOO_LARGE",
      `Cannot take the request: its body is too large, expected at most ${bodyBytesMax} bytes; send it in parts`,
    );
  if (typeof code === "string" && code.startsWith("FST_ERR_CTP_"))
    return new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot read the request: ${error instanceof Error ? error.message : code}`,
    );
  const status = member(error, "statusCode");
  if (typeof status === "number" && status >= 400 && status < 500)
    return new RequestRefusal(
      "REQUEST_INVALID",
      `Cannot read the request: ${error instanceof Error ? error.message : ""}`,
    );
  return error;
}

function visibleRows(caller: Caller, need: RouteNeed | undefined, payload: unknown): unknown {
  if (need?.isFiltered !== true || need.verb !== "list") return payload;
  const { kind, verb } = need;
  if (kind === "*" || caller.may(verb, { kind, namespace: undefined })) return payload;
  const isVisible = (row: unknown): boolean => caller.may(verb, rowTarget(kind, row));
  if (Array.isArray(payload)) return payload.filter(isVisible);
  const items = member(payload, "items");
  return Array.isArray(items) ? { ...fieldsOf(payload), items: items.filter(isVisible) } : payload;
}

/** The namespace in `pool/NS/NAME` and the like; undefined where none is there, so that only who may all may this. */
function namespaceOf(text: string, at: number): AccessTarget["namespace"] {
  const parts = text.split("/");
  return parts[0] === "site" || parts.length < 3 ? undefined : parts[at];
}
