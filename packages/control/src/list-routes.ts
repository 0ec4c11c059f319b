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
import { precedenceOf, rankedShifts } from "./shift-precedence.ts";
import type { Shift } from "./shift-effects.ts";
import { endpointViews, healthViews, policyViews, poolViews, siteViews } from "./views.ts";

/** The lists of the API, each in pages: `GET /v1/KIND?limit=N&continue=TOKEN` gives `{items, continue?}`. */
export function addListRoutes(
  server: FastifyInstance,
  embedded: Embedded,
  edge: EdgeFiguresSource,
  notifier: Notifier,
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
  list("/v1/shifts", (request) => whole(shiftViews(embedded), request, ({ id }) => id));
  list("/v1/notifications", (request) => whole(notifier.views(), request, ({ name }) => name));
  list("/v1/latches", (request) => whole(embedded.latches(), request, ({ name }) => name));
}

interface ShiftView extends Shift {
  /** Share that it moves away now. */
  readonly moves: number;
  /** The shift of the same target that decides instead. */
  readonly overruledBy?: string;
}

/** Shifts as they are shown: with who decides where several name one target. */
function shiftViews(embedded: Embedded): ShiftView[] {
  return rankedShifts(embedded.shifts(), Date.now()).map(({ shift, percent, overruledBy }) => ({
    ...shift,
    precedence: precedenceOf(shift),
    moves: overruledBy === undefined ? percent : 0,
    ...(overruledBy === undefined ? {} : { overruledBy }),
  }));
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
