// SPDX-License-Identifier: Apache-2.0
import { createServer } from "node:http";
import type { Socket } from "node:net";
import Fastify, { type FastifyInstance } from "fastify";
import { tlsServer, type ApiTls } from "./http/api-tls.ts";

/** Bytes of a request's body. */
const BODY_BYTES_MAX = 1024 * 1024;
/** Characters of one parameter of a query string, and how many there may be. */
const PARAMETER_CHARACTERS_MAX = 1024;
const PARAMETERS_MAX = 32;
/** Names of Records have up to 253 characters, some of which take three in a path. */
const PATH_PART_LENGTH_MAX = 800;

/** An HTTP server whose requests are bounded in every part; what is refused says which part, as `{error}` (http/gatekeeper.ts). */
export function boundedServer(tls?: ApiTls): FastifyInstance {
  const server = Fastify({
    serverFactory: (listener) =>
      tls === undefined ? createServer(listener) : tlsServer(tls, listener),
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: true,
    clientErrorHandler: refuseUnreadable,
    // One value a name: the default parser makes a list of a name that stands twice.
    routerOptions: {
      querystringParser: (text) => Object.fromEntries(new URLSearchParams(text)),
      maxParamLength: PATH_PART_LENGTH_MAX,
    },
  });
  server.addHook("onRequest", async ({ query }, reply) => {
    const parameters = typeof query === "object" && query !== null ? Object.entries(query) : [];
    const error = refusal(parameters);
    if (error !== undefined) return reply.code(400).send({ error });
    return undefined;
  });
  server.setNotFoundHandler(({ method, url }, reply) =>
    reply.code(404).send({ error: `Nothing is at ${method} ${url.split("?")[0] ?? ""}` }),
  );
  return server;
}

/** What is no HTTP, or has too long a head, never becomes a request. */
function refuseUnreadable(error: Error, socket: Socket): void {
  const code = "code" in error ? error.code : undefined;
  if (code === "ECONNRESET" || socket.destroyed) return;
  const status =
    code === "HPE_HEADER_OVERFLOW"
      ? "431 Request Header Fields Too Large"
      : code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "408 Request Timeout"
        : "400 Bad Request";
  const body = JSON.stringify({ error: `Cannot read the request: ${status.slice(4)}` });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function refusal(parameters: readonly (readonly [string, unknown])[]): string | undefined {
  if (parameters.length > PARAMETERS_MAX)
    return `Request has ${parameters.length} parameters, expected at most ${PARAMETERS_MAX}`;
  for (const [name, value] of parameters) {
    const { length } = String(value);
    if (length > PARAMETER_CHARACTERS_MAX)
      return `Parameter "${name.slice(0, 40)}" has ${length} characters, expected at most ${PARAMETER_CHARACTERS_MAX}`;
  }
  return undefined;
}
