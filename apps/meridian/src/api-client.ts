// SPDX-License-Identifier: Apache-2.0

// The one client of the API that every command uses: over the Unix socket of a state folder, or over HTTP with a token. Commands have no
// rules of their own: they ask here.

import { request as requestHttp, type ClientRequest, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import { userInfo } from "node:os";
import { join } from "node:path";
import { CommandError, ExitCode } from "./exit-code.ts";
import type { AnswerOf, ItemOf, PathOf, QueryOf } from "./api-requests.ts";

const TIMEOUT_MS = 60_000;
/** Items asked for at once. */
const PAGE_ITEMS = 1000;

/** Where a server is: by its state folder on this machine, or by its address. */
export type ApiTarget =
  | { readonly stateDir: string }
  | {
      readonly server: URL;
      /** A token, or what gives one that holds. */
      readonly token: string | (() => Promise<string>) | undefined;
      readonly tls?: ClientTls;
    };

/** Whom a client of HTTPS believes besides the system's authorities, and what it shows; each in PEM. */
export interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

const exitCodeOfStatus: Readonly<Record<number, ExitCode>> = {
  400: ExitCode.invalid,
  401: ExitCode.refused,
  403: ExitCode.refused,
  404: ExitCode.notFound,
  409: ExitCode.refused,
  410: ExitCode.notFound,
  412: ExitCode.refused,
  413: ExitCode.invalid,
  429: ExitCode.refused,
  503: ExitCode.unreachable,
};

interface Page<Item> {
  readonly items: readonly Item[];
  readonly continue?: string;
}
type Query = Readonly<Record<string, string | undefined>>;
/** A query may be left out where nothing in it is required. */
type QueryArguments<Wanted> = {} extends Wanted ? [query?: Wanted] : [query: Wanted];

/** The API refused; `body` is all that it said. */
export class ApiRefusal extends CommandError {
  readonly body: unknown;

  constructor(exitCode: ExitCode, message: string, body: unknown) {
    super(exitCode, message);
    this.body = body;
  }
}

export class ApiClient {
  readonly #target: ApiTarget;

  constructor(target: ApiTarget) {
    this.#target = target;
  }

  get<Path extends PathOf<"get">>(
    path: Path,
    ...[query]: QueryArguments<QueryOf<"get", Path>>
  ): Promise<AnswerOf<"get", Path>> {
    return this.#ask("GET", path, { ...query });
  }

  /** Every item of a list, page by page. */
  async list<Path extends PathOf<"get">>(
    path: Path,
    ...[query]: QueryArguments<QueryOf<"get", Path>>
  ): Promise<ItemOf<Path>[]> {
    const rows: ItemOf<Path>[] = [];
    for (let token: string | undefined = ""; token !== undefined;) {
      const page: Page<ItemOf<Path>> = await this.#ask("GET", path, {
        ...query,
        limit: String(PAGE_ITEMS),
        ...(token === "" ? {} : { continue: token }),
      });
      for (const row of page.items) rows.push(row);
      token = page.continue;
    }
    return rows;
  }

  post<Path extends PathOf<"post">>(
    path: Path,
    body: object,
    ...[query]: QueryArguments<QueryOf<"post", Path>>
  ): Promise<AnswerOf<"post", Path>> {
    return this.#ask("POST", path, { ...query }, JSON.stringify(body));
  }

  put<Path extends PathOf<"put">>(
    path: Path,
    body: object,
    ...[query]: QueryArguments<QueryOf<"put", Path>>
  ): Promise<AnswerOf<"put", Path>> {
    return this.#ask("PUT", path, { ...query }, JSON.stringify(body));
  }

  /** What comes of a path that never ends, in pieces as they come. */
  async *stream<Path extends PathOf<"get">>(
    path: Path,
    query: QueryOf<"get", Path>,
  ): AsyncGenerator<string> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const asked = this.#request("GET", withQuery(path, { ...query }), await this.#authorization());
    asked.on("response", resolve);
    asked.on("error", (error) => reject(this.#unreachable(error)));
    asked.end();
    const response = await promise;
    response.setEncoding("utf8");
    let text = "";
    for await (const piece of response) {
      if (response.statusCode === 200) yield String(piece);
      else text += String(piece);
    }
    if (response.statusCode !== 200) throw refusalOf(response.statusCode ?? 0, text);
  }

  delete<Path extends PathOf<"delete">>(
    path: Path,
    ...[query]: QueryArguments<QueryOf<"delete", Path>>
  ): Promise<AnswerOf<"delete", Path>> {
    return this.#ask("DELETE", path, { ...query });
  }

  /** Throws an ApiRefusal with the API's own words. What a server answers is as it describes it, to which its own tests hold it. */
  async #ask<Answer>(method: string, path: string, query: Query, body?: string): Promise<Answer> {
    const { status, text } = await this.#exchange(method, withQuery(path, query), body);
    if (status >= 400) throw refusalOf(status, text);
    try {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place where an answer gets its type
      return JSON.parse(text) as Answer;
    } catch {
      throw new CommandError(
        ExitCode.unreachable,
        `Cannot read the answer: it is "${text.slice(0, 80)}", expected JSON; is this the API of Meridian?`,
      );
    }
  }

  async #authorization(): Promise<Readonly<Record<string, string>>> {
    const target = this.#target;
    const given = "server" in target ? target.token : undefined;
    const token = typeof given === "function" ? await given() : given;
    return token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async #exchange(
    method: string,
    path: string,
    body: string | undefined,
  ): Promise<{ status: number; text: string }> {
    const authorization = await this.#authorization();
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const asked = this.#request(
      method,
      path,
      body === undefined
        ? authorization
        : {
            ...authorization,
            "content-type": "application/json",
            "content-length": Buffer.byteLength(body),
          },
    );
    asked.on("response", (response: IncomingMessage) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    asked.setTimeout(TIMEOUT_MS, () =>
      asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)),
    );
    asked.on("error", (error) => reject(this.#unreachable(error)));
    asked.end(body);
    return promise;
  }

  #request(
    method: string,
    path: string,
    headers: Readonly<Record<string, string | number>>,
  ): ClientRequest {
    const target = this.#target;
    const common = { path, method, agent: false };
    if ("stateDir" in target)
      return requestHttp({
        ...common,
        socketPath: join(target.stateDir, "meridian.sock"),
        headers: { ...headers, "meridian-actor": userInfo().username },
      });
    const { server, tls } = target;
    const send = server.protocol === "https:" ? requestHttps : requestHttp;
    return send({
      ...common,
      ...tls,
      hostname: server.hostname.replace(/^\[|\]$/g, ""),
      port: server.port,
      headers,
    });
  }

  #unreachable(error: Error): CommandError {
    const target = this.#target;
    const isAbsent = "code" in error && (error.code === "ENOENT" || error.code === "ECONNREFUSED");
    const reason =
      "server" in target
        ? `${target.server.origin} does not answer: ${error.message}`
        : isAbsent
          ? `no process holds the state folder "${target.stateDir}"; start one with "meridian up", or name its folder with --state`
          : error.message;
    return new CommandError(ExitCode.unreachable, `Cannot reach Meridian: ${reason}`);
  }
}

function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`;
}

function refusalOf(status: number, text: string): ApiRefusal {
  const body = parseJson(text);
  const said = memberOf(body, "error");
  return new ApiRefusal(
    exitCodeOfStatus[status] ?? ExitCode.failed,
    typeof said === "string" ? said : `The server answered ${status}: ${text}`,
    body,
  );
}

/** A field of an answer; undefined where it has none. */
export function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
