// SPDX-License-Identifier: Apache-2.0
import { pageOf, parsePageRequest } from "@meridian/snapshot/surface";
import type { FastifyInstance } from "fastify";
import type { SecondaryKeeper } from "./secondary-keeper.ts";

/** What is known of secondary zones. */
export function addSecondaryRoutes(server: FastifyInstance, keeper: SecondaryKeeper): void {
  server.get<{ Querystring: Record<string, string> }>("/v1/secondaries", ({ query }, reply) => {
    const request = parsePageRequest(query);
    if (typeof request === "string") return reply.code(400).send({ error: request });
    return pageOf(
      keeper.views(),
      request,
      ({ name }) => name,
      (view) => view,
    );
  });
}
