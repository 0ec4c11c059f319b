// SPDX-License-Identifier: Apache-2.0
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Embedded } from "./embedded.ts";
import type { Notifier } from "./notifications/notifier.ts";
import {
  pageOf,
  parsePageRequest,
  type EdgeFiguresSource,
  type Page,
  type PageRequest,
} from "@meridian/snapshot/surface";
import { shiftViews, type DrainWitnesses } from "./shift-views.ts";
import { endpointViews, healthViews, policyViews, poolViews, siteViews } from "./views.ts";

/** The lists of the API, each in pages: `GET /v1/KIND?limit=N&continue=TOKEN` gives `{items, continue?}`. */
export function addListRoutes(
  server: FastifyInstance,
  embedded: Embedded,
  edge: EdgeFiguresSource,
  notifier: Notifier,
  witnesses: () => Promise<DrainWitnesses>,
): void {
  const list = (
    path: string,
    pageFor: (request: PageRequest) => Page<object> | Promise<Page<object>>,
  ): void => {
    server.get(path, ({ query }: FastifyRequest<ListQuery>, reply: FastifyReply) => {
      const request = parsePageRequest(query);
      return typeof request === "string"
        ? reply.code(400).send({ error: request })
        : pageFor(request);
    });
  };
  list("/v1/endpoints", (request) => endpointViews(embedded, edge.figures(), request));
  list("/v1/pools", (request) => poolViews(embedded, edge.figures(), request));
  list("/v1/sites", (request) => siteViews(embedded, edge.figures(), request));
  list("/v1/policies", (request) => policyViews(embedded, edge.figures(), request));
  list("/v1/records", (request) => embedded.records(request));
  list("/v1/health", (request) => healthViews(embedded, request));
  list("/v1/vantages", async (request) =>
    whole((await embedded.verdicts.figures()).vantages, request, ({ name }) => name),
  );
  list("/v1/shifts", async (request) =>
    whole(await shiftViews(embedded, await witnesses()), request, ({ id }) => id),
  );
  list("/v1/notifications", (request) => whole(notifier.views(), request, ({ name }) => name));
  list("/v1/latches", (request) => whole(embedded.latches(), request, ({ name }) => name));
}

interface ListQuery {
  Querystring: Record<string, string>;
}

function whole<Item>(
  items: readonly Item[],
  request: PageRequest,
  keyOf: (item: Item) => string,
): Page<Item> {
  return pageOf(items, request, keyOf, (item) => item);
}
