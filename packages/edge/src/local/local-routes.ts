// SPDX-License-Identifier: Apache-2.0

// What an edge answers on its own machine: a part of control's API, with the same paths and shapes, so that the same commands read it. All
// of it only reads; what is to change is told to control.

import {
  METRICS_TYPE,
  explainRequest,
  pageOf,
  parsePageRequest,
  policyCounts,
  queryCount,
  replayAnswer,
  type EdgeFiguresSource,
  type ReplayedLine,
} from "@meridian/snapshot/surface";
import type { LocalEdge } from "./local-edge.ts";
import { localMetrics } from "./local-metrics.ts";
import { pastOf } from "./local-past.ts";
import { localHealth, localViews } from "./local-views.ts";

/** One answer over HTTP; an object goes out as JSON. */
export interface LocalAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body: object | string;
}

export type LocalQuery = Readonly<Record<string, string>>;

export interface LocalRoutesOptions {
  readonly edge: LocalEdge;
  readonly figures: EdgeFiguresSource;
  /** Asks a line of the query log again; a text says why it cannot. */
  readonly replay: (line: string) => ReplayedLine | string;
}

const TOP_UNLESS_TOLD = 20;
const HISTORY_UNLESS_TOLD = 100;

export class LocalRoutes {
  readonly #options: LocalRoutesOptions;

  constructor(options: LocalRoutesOptions) {
    this.#options = options;
  }

  /** What anybody may see who reaches the listener: no name of a client, nothing of what is configured but what metrics name. */
  open(path: string, query: LocalQuery): LocalAnswer | undefined {
    const { edge, figures } = this.#options;
    const isReady = edge.served !== undefined;
    switch (path) {
      case "/healthz":
        return { status: 200, body: { status: "ok" } };
      case "/readyz":
        return {
          status: isReady ? 200 : 503,
          body: { ready: isReady, revision: edge.position.revision },
        };
      case "/metrics": {
        const top = queryCount(query, "top", 0);
        return typeof top === "string"
          ? refused(400, top)
          : { status: 200, type: METRICS_TYPE, body: localMetrics(edge, figures, top) };
      }
      default:
        return undefined;
    }
  }

  /** What who may open the local socket sees besides. */
  read(path: string, query: LocalQuery): LocalAnswer | undefined {
    const { edge, figures } = this.#options;
    switch (path) {
      case "/v1/status":
        return { status: 200, body: this.#status() };
      case "/v1/explain": {
        const answer = explainRequest(pastOf(edge), query);
        return "error" in answer
          ? refused(answer.status, answer.error)
          : { status: 200, body: answer.explanation };
      }
      case "/v1/health/history":
        return counted(query, "count", HISTORY_UNLESS_TOLD, (count) =>
          edge.transitions.list(query["endpoint"] ?? "", count),
        );
      case "/v1/top/names":
        return counted(query, "count", TOP_UNLESS_TOLD, (count) => figures.topNames(count));
      case "/v1/policies/counts":
        return this.#policyCounts(query["policy"] ?? "");
      default:
        return this.#list(path, query);
    }
  }

  /** Asks a logged query again. */
  replay(body: unknown): LocalAnswer {
    const line: unknown =
      typeof body === "object" && body !== null ? Reflect.get(body, "line") : undefined;
    if (typeof line !== "string")
      return refused(400, "Line is missing, expected a line of the query log");
    const replayed = this.#options.replay(line);
    return typeof replayed === "string"
      ? refused(404, replayed)
      : { status: 200, body: replayAnswer(replayed) };
  }

  #list(path: string, query: LocalQuery): LocalAnswer | undefined {
    const { edge, figures } = this.#options;
    const kind = path.startsWith("/v1/") ? path.slice("/v1/".length) : "";
    const view = Object.hasOwn(localViews, kind) ? localViews[kind] : undefined;
    if (kind === "routing-controls") return this.#routingControls(query);
    if (view === undefined && kind !== "health" && kind !== "edges") return undefined;
    const request = parsePageRequest(query);
    if (typeof request === "string") return refused(400, request);
    if (kind === "edges") return { status: 200, body: { items: [this.#own()] } };
    if (view === undefined) return { status: 200, body: localHealth(edge, request) };
    const { served } = edge;
    return served === undefined
      ? { status: 200, body: { items: [] } }
      : { status: 200, body: view(edge, served, figures.figures(), request) };
  }

  /** As control said them last: the same rows, and of when they are. */
  #routingControls(query: LocalQuery): LocalAnswer {
    const request = parsePageRequest(query);
    if (typeof request === "string") return refused(400, request);
    const { items = [], epoch, revision, ageMs } = this.#options.edge.routingControls ?? {};
    const page = pageOf(
      items,
      request,
      (item) => String(Reflect.get(item, "name")),
      (item) => item,
    );
    return {
      status: 200,
      body: { ...page, ...(ageMs === undefined ? {} : { asOf: { epoch, revision, ageMs } }) },
    };
  }

  #policyCounts(policy: string): LocalAnswer {
    const { edge, figures } = this.#options;
    const counts =
      edge.served === undefined
        ? undefined
        : policyCounts(edge.served.world, figures.figures(), policy);
    return counts === undefined
      ? refused(404, `No policy "${policy}" is served, expected NAMESPACE/NAME of one that is`)
      : { status: 200, body: counts };
  }

  #status(): object {
    const { edge, figures } = this.#options;
    const { transport, workers, addresses } = figures.figures();
    const { revision, sequence } = edge.position;
    return {
      version: edge.version,
      ready: edge.served !== undefined,
      revision,
      overlaySequence: sequence,
      servedSinceMs: edge.served?.sinceMs,
      link: edge.link,
      edge: { transport, workers, addresses },
    };
  }

  /** This edge as `get edges` shows it. */
  #own(): object {
    const { edge, figures } = this.#options;
    const { control, lastWordAgeMs, staleMs, disk } = edge.link;
    return {
      name: edge.name,
      ...(control === undefined ? {} : { control }),
      connected: control !== undefined,
      standing: edge.link.isIsolated ? "isolated" : "serving",
      ...edge.position,
      lastWordMs: lastWordAgeMs === undefined ? undefined : Math.round(Date.now() - lastWordAgeMs),
      staleMs,
      ...(disk === undefined
        ? {}
        : {
            disk: {
              ...{ what: disk.what, reason: disk.reason },
              sinceMs: Math.round(Date.now() - disk.forMs),
            },
          }),
      version: edge.version,
      address: figures.figures().addresses[0],
      dns: figures.figures().addresses,
    };
  }
}

/** A refusal in the API's words. */
export function refused(status: number, error: string): LocalAnswer {
  return { status, body: { error } };
}

function counted(
  query: LocalQuery,
  name: "count",
  unless: number,
  rows: (count: number) => readonly object[],
): LocalAnswer {
  const count = queryCount(query, name, unless);
  return typeof count === "string" ? refused(400, count) : { status: 200, body: rows(count) };
}
