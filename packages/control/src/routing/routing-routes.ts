// SPDX-License-Identifier: Apache-2.0
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import type { FastifyInstance } from "fastify";
import type { Caller } from "../access/caller.ts";
import type { Gatekeeper } from "../http/gatekeeper.ts";
import { parseSetRequest, type RoutingControls } from "./routing-controls.ts";

/** Routing controls as they are, and changes of them. */
export function addRoutingRoutes(
  server: FastifyInstance,
  controls: RoutingControls,
  keeper: Gatekeeper,
): void {
  server.get<{ Querystring: Record<string, string> }>(
    "/v1/routing-controls",
    ({ query }, reply) => {
      const request = parsePageRequest(query);
      return typeof request === "string"
        ? reply.code(400).send({ error: request })
        : pageOf(
            controls.views(),
            request,
            ({ name }) => name,
            (view) => view,
          );
    },
  );
  const set = async (body: unknown, caller: Caller): Promise<object> => {
    const { namespace, states, ...how } = parseSetRequest(body);
    const changed = await controls.set({ namespace, states, ...how }, caller);
    const named = new Set([...states.keys()].map((name) => `${namespace}/${name}`));
    return { changed, controls: controls.views().filter(({ name }) => named.has(name)) };
  };
  server.post("/v1/routing-controls", (request) => set(request.body, keeper.callerOf(request)));
}
