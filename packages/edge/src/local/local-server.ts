// SPDX-License-Identifier: Apache-2.0

// The two listeners of an edge: the Unix socket of its state folder (0600: who opens it is an administrator), with everything, and an address,
// loopback unless told, with what a load balancer and Prometheus ask for. Requests are bounded in every part.

import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { MeridianError, reasonOf } from "@meridian/core";
import { parseListenAddress } from "../transport-address.ts";
import { errorCode } from "../transport-error.ts";
import { LocalRoutes, refused, type LocalAnswer, type LocalRoutesOptions } from "./local-routes.ts";

const HEADER_BYTES_MAX = 16 * 1024;
const BODY_BYTES_MAX = 1024 * 1024;
const PARAMETERS_MAX = 32;
const PARAMETER_CHARACTERS_MAX = 1024;
const REQUEST_MS_MAX = 10_000;
const CONNECTIONS_MAX = 256;

export interface LocalServerOptions extends LocalRoutesOptions {
  readonly socketPath: string;
  /** `ADDRESS:PORT`; undefined for none. */
  readonly http: string | undefined;
}

export class LocalServer {
  readonly #options: LocalServerOptions;
  readonly #routes: LocalRoutes;
  readonly #servers: Server[] = [];

  constructor(options: LocalServerOptions) {
    this.#options = options;
    this.#routes = new LocalRoutes(options);
  }

  /** Listens; returns the HTTP address that it got. Throws HTTP_ADDRESS_IN_USE. */
  async start(): Promise<string | undefined> {
    const { socketPath, http } = this.#options;
    rmSync(socketPath, { force: true });
    await this.#listen(true, { path: socketPath });
    chmodSync(socketPath, 0o600);
    if (http === undefined) return undefined;
    const { address, port } = parseListenAddress(http);
    const server = await this.#listen(false, { host: address, port }).catch((error: unknown) => {
      if (errorCode(error) !== "EADDRINUSE") throw error;
      throw new MeridianError(
        "HTTP_ADDRESS_IN_USE",
        "user",
        `Cannot serve HTTP on ${http}: the address is in use, expected a free one with --http, or "none"`,
      );
    });
    const bound = server.address();
    return typeof bound === "object" && bound !== null
      ? `http://${bound.family === "IPv6" ? `[${bound.address}]` : bound.address}:${bound.port}`
      : undefined;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map((server) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        server.close(() => resolve());
        server.closeAllConnections();
        return promise;
      }),
    );
  }

  #listen(isLocal: boolean, where: object): Promise<Server> {
    const server = createServer(
      { maxHeaderSize: HEADER_BYTES_MAX, requestTimeout: REQUEST_MS_MAX },
      (request, response) => this.#serve(isLocal, request, response),
    );
    server.maxConnections = CONNECTIONS_MAX;
    this.#servers.push(server);
    const { promise, resolve, reject } = Promise.withResolvers<Server>();
    server.once("error", reject);
    server.listen(where, () => resolve(server));
    return promise;
  }

  #serve(isLocal: boolean, request: IncomingMessage, response: ServerResponse): void {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      text += chunk;
      if (text.length > BODY_BYTES_MAX) request.destroy();
    });
    request.on("error", () => undefined);
    request.on("end", () => {
      if (text.length <= BODY_BYTES_MAX) send(response, this.#tryAnswer(isLocal, request, text));
    });
  }

  /** Whatever a request meets, such as a file that is torn, the edge goes on answering. */
  #tryAnswer(isLocal: boolean, request: IncomingMessage, body: string): WrittenAnswer {
    try {
      return written(this.#answer(isLocal, request, body));
    } catch (error) {
      return written(refused(500, `Cannot answer: ${reasonOf(error)}`));
    }
  }

  #answer(isLocal: boolean, { method = "", url = "" }: IncomingMessage, body: string): LocalAnswer {
    const [path = "", parameters = ""] = url.split("?", 2);
    const query = queryIn(parameters);
    if (typeof query === "string") return refused(400, query);
    const found =
      method === "POST" && path === "/v1/replay" && isLocal
        ? this.#routes.replay(jsonIn(body))
        : method === "GET"
          ? (this.#routes.open(path, query) ??
            (isLocal ? this.#routes.read(path, query) : undefined))
          : undefined;
    return (
      found ??
      refused(
        404,
        `Nothing is at ${method} ${path} of an edge: it has what it serves, expected control for documents and changes`,
      )
    );
  }
}

interface WrittenAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** Throws where the body cannot be written as JSON. */
function written({ status, type, body }: LocalAnswer): WrittenAnswer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { status, type: type ?? "application/json; charset=utf-8", text };
}

function send(response: ServerResponse, { status, type, text }: WrittenAnswer): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** One value a name; a text says what is too much. */
function queryIn(text: string): Readonly<Record<string, string>> | string {
  const parameters = [...new URLSearchParams(text)];
  if (parameters.length > PARAMETERS_MAX)
    return `Request has ${parameters.length} parameters, expected at most ${PARAMETERS_MAX}`;
  const long = parameters.find(([, value]) => value.length > PARAMETER_CHARACTERS_MAX);
  return long === undefined
    ? Object.fromEntries(parameters)
    : `Parameter "${long[0].slice(0, 40)}" has ${long[1].length} characters, expected at most ${PARAMETER_CHARACTERS_MAX}`;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
