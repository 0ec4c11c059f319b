// SPDX-License-Identifier: Apache-2.0
import Fastify, { type FastifyInstance } from "fastify";

/** Bytes of a request's body. */
const BODY_BYTES_MAX = 1024 * 1024;
/** Characters of one parameter of a query string, and how many there may be. */
const PARAMETER_CHARACTERS_MAX = 1024;
const PARAMETERS_MAX = 32;

/** An HTTP server whose requests are bounded in every part; what is refused says which part, as `{error}`. */
export function boundedServer(): FastifyInstance {
  const server = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: true,
    // One value a name: the default parser makes a list of a name that stands twice.
    routerOptions: { querystringParser: (text) => Object.fromEntries(new URLSearchParams(text)) },
  });
  server.addHook("onRequest", async ({ query }, reply) => {
    const parameters = typeof query === "object" && query !== null ? Object.entries(query) : [];
    const error = refusal(parameters);
    if (error !== undefined) return reply.code(400).send({ error });
    return undefined;
  });
  server.setErrorHandler((error, _request, reply) => {
    const status = error instanceof Error && "statusCode" in error ? Number(error.statusCode) : 500;
    const reason = error instanceof Error ? error.message : String(error);
    const text =
      status === 413
        ? `Body is too large, expected at most ${BODY_BYTES_MAX} bytes`
        : status < 500
          ? `Body cannot be read: ${reason}`
          : reason;
    return reply.code(status).send({ error: text });
  });
  server.setNotFoundHandler(({ method, url }, reply) =>
    reply.code(404).send({ error: `Nothing is at ${method} ${url.split("?")[0] ?? ""}` }),
  );
  return server;
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
