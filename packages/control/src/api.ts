// SPDX-License-Identifier: Apache-2.0

// The API of the embedded control plane, over the state folder's Unix socket (file mode 0600: who opens it is an administrator) and over HTTP,
// where a bearer token says who asks. http/gatekeeper.ts stands before every route.

import { chmodSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { MeridianError } from "@meridian/core";
import type { FastifyInstance } from "fastify";
import { boundedServer } from "./bounded-server.ts";
import type { Embedded } from "./embedded.ts";
import type { DecidedPublisher } from "./publishing/decided-publisher.ts";
import type { DynamicUpdates } from "./updates/dynamic-updates.ts";
import type { SecondaryKeeper } from "./secondary/secondary-keeper.ts";
import { addSecondaryRoutes } from "./secondary/secondary-routes.ts";
import { addDnssecRoutes } from "./dnssec/dnssec-routes.ts";
import type { ZoneKeeper } from "./dnssec/zone-keeper.ts";
import { addLatencyRoute } from "./latency-route.ts";
import type { EdgeGateway } from "./edges/edge-gateway.ts";
import type { EdgeView } from "./edges/edge-hub.ts";
import { addEdgeRoutes } from "./edges/edge-routes.ts";
import { publicationOf, type PublicationView } from "./edges/publication-state.ts";
import { addListRoutes } from "./list-routes.ts";
import type { LatencySamples } from "./latency-samples.ts";
import type { Notifier } from "./notifications/notifier.ts";
import { Metrics } from "./metrics.ts";
import type { OverlayJournal } from "./overlay-journal.ts";
import {
  METRICS_TYPE,
  explainRequest,
  policyCounts,
  queryCount,
  replayAnswer,
  type EdgeFiguresSource,
  type ExplainQuestion,
  type ExplainSigning,
  type ReplayedLine,
} from "@meridian/snapshot/surface";
import { Planner } from "./plan/planner.ts";
import type { RolloutKeeper } from "./rollouts/rollout-keeper.ts";
import { addRolloutRoutes } from "./rollouts/rollout-routes.ts";
import type { WeightOverrides } from "./weights/weight-overrides.ts";
import type { HandOvers } from "./routing/hand-overs.ts";
import type { RoutingControls } from "./routing/routing-controls.ts";
import type { RecoveryRuns } from "./recovery/recovery-runs.ts";
import { addRecoveryRoutes } from "./recovery/recovery-routes.ts";
import { addRoutingRoutes } from "./routing/routing-routes.ts";
import type { DrillKeeper } from "./drills/drill-keeper.ts";
import { addDrillRoutes } from "./drills/drill-routes.ts";
import type { Approvals } from "./approvals/approvals.ts";
import { addApprovalRoutes } from "./approvals/approval-routes.ts";
import { addFailbackRoute } from "./failback-route.ts";
import { addShiftRoutes } from "./shift-routes.ts";
import { drainTallies, type DrainWitnesses } from "./shift-views.ts";
import type { World, ZoneTable } from "@meridian/snapshot";
import type { SnapshotStore } from "@meridian/snapshot/disk";
import type { TransitionHistory } from "@meridian/health";
import type { ControlReplica } from "./replicas/control-replica.ts";
import type { RefusalLog } from "./access/refusal-log.ts";
import type { DocumentService } from "./documents/document-service.ts";
import { addAccessRoutes } from "./http/access-routes.ts";
import { ConsistencyGate } from "./http/consistency.ts";
import { addDescriptionRoutes } from "./http/description-routes.ts";
import { addDocumentRoutes } from "./http/document-routes.ts";
import type { ApiTls } from "./http/api-tls.ts";
import { Oidc, type OidcOptions } from "./access/oidc.ts";
import { Gatekeeper, isLoopback } from "./http/gatekeeper.ts";
import { WriteAudit } from "./http/write-audit.ts";
import type { Store } from "./store/store.ts";
import { explainSource } from "./explain-source.ts";

/** Who may come in over HTTP, and how. */
export interface ApiAccess {
  /** TLS of the HTTP listener. */
  readonly tls?: ApiTls;
  /** Serve beyond loopback without TLS: somebody else ends it. */
  readonly isInsecureAllowed?: boolean;
  /** The OpenID provider whose tokens are taken. */
  readonly oidc?: OidcOptions;
}

export interface ApiOptions extends ApiAccess {
  readonly embedded: Embedded;
  readonly edge: EdgeFiguresSource;
  /** The edges that this process feeds, where it does. */
  readonly gateway?: () => EdgeGateway | undefined;
  /** This control among those of its store, where it shares one. */
  readonly replica?: () => ControlReplica;
  readonly notifier: Notifier;
  /** The keys of signed zones. */
  readonly zoneKeys: ZoneKeeper;
  readonly secondaries: SecondaryKeeper;
  readonly routing: RoutingControls;
  readonly weights: WeightOverrides;
  readonly approvals: Approvals;
  readonly recovery: RecoveryRuns;
  readonly handOvers: Pick<HandOvers, "figures">;
  readonly rollouts: RolloutKeeper;
  readonly drills: DrillKeeper;
  /** How answers are signed here; absent where there is no edge to ask. */
  readonly signingOf?: (
    view: { readonly world: World; readonly slots: Uint32Array },
    question: ExplainQuestion,
    zones: ZoneTable,
  ) => ExplainSigning | undefined;
  readonly updates?: Pick<DynamicUpdates, "counts">;
  readonly publisher?: Pick<DecidedPublisher, "counts" | "textOf">;
  readonly transitions: TransitionHistory;
  readonly journal: OverlayJournal;
  readonly store: SnapshotStore;
  readonly documents: DocumentService;
  /** The store of the documents. */
  readonly documentStore: () => Store;
  readonly refusals: RefusalLog;
  /** Signs the tokens of what readers have seen. */
  readonly consistencyKey: () => Uint8Array;
  /** Where measured round-trip times go that are posted; without it they are not taken. */
  readonly latency?: LatencySamples;
  readonly version: string;
  /** `HOST:PORT` of the HTTP listener; undefined for none. */
  readonly http: string | undefined;
  readonly socketPath: string;
  /** Asks a line of the query log again; a text says why it cannot. Absent where there is no edge to ask. */
  readonly replay?: (line: string) => ReplayedLine | string;
}

const ROWS_MAX = 10_000;

export class Api {
  readonly #options: ApiOptions;
  readonly #servers: FastifyInstance[] = [];
  readonly #metrics: Metrics;
  readonly #keeper: Gatekeeper;

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#metrics = new Metrics(options);
    this.#keeper = new Gatekeeper({
      documents: () => options.documents.documents,
      refusals: options.refusals,
      nowMs: Date.now,
      ...(options.oidc === undefined ? {} : { oidc: new Oidc(options.oidc, Date.now) }),
    });
  }

  /** Listens; returns the HTTP address that it got. */
  async start(): Promise<string | undefined> {
    const local = await this.#server(undefined);
    rmSync(this.#options.socketPath, { force: true });
    await local.listen({ path: this.#options.socketPath });
    chmodSync(this.#options.socketPath, 0o600);
    if (this.#options.http === undefined) return undefined;
    const { host, port } = splitHost(this.#options.http);
    const { tls, isInsecureAllowed = false } = this.#options;
    if (tls === undefined && !isLoopback(host) && !isInsecureAllowed)
      throw new MeridianError(
        "HTTP_INSECURE",
        "user",
        `Cannot serve HTTP on ${this.#options.http}: tokens would go in clear, expected loopback, or --tls-cert and --tls-key; --insecure-http where something in front ends TLS`,
      );
    return (await this.#server(host)).listen({ host, port });
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  /** A server with every route; `host` is undefined for the local socket. */
  async #server(host: string | undefined): Promise<FastifyInstance> {
    const server = boundedServer(host === undefined ? undefined : this.#options.tls);
    this.#servers.push(server);
    this.#keeper.install(server, {
      isLocalSocket: host === undefined,
      isOpenToReaders: host !== undefined && isLoopback(host),
    });
    this.#reads(server);
    this.#writes(server);
    addDnssecRoutes(server, this.#options.zoneKeys);
    addSecondaryRoutes(server, this.#options.secondaries);
    addRoutingRoutes(server, this.#options.routing, this.#keeper);
    addDrillRoutes(server, {
      ...{ drills: this.#options.drills, documents: this.#options.documents },
      ...{ approvals: this.#options.approvals, keeper: this.#keeper },
    });
    addApprovalRoutes(server, this.#options.approvals, this.#keeper);
    addRecoveryRoutes(server, this.#options.recovery, this.#keeper);
    addRolloutRoutes(server, this.#options.rollouts, this.#keeper);
    addEdgeRoutes(
      server,
      () => this.#options.gateway?.(),
      () => this.#ownEdge(),
      (revision) => this.#publicationOfAll(revision),
    );
    await this.#documentRoutes(server);
    return server;
  }

  async #documentRoutes(server: FastifyInstance): Promise<void> {
    const { documents, documentStore, refusals, consistencyKey, version } = this.#options;
    const store = documentStore();
    const keeper = this.#keeper;
    const gate = new ConsistencyGate(store, consistencyKey());
    addAccessRoutes(server, { documents, store, refusals, keeper });
    addDescriptionRoutes(server, version);
    new WriteAudit(store, keeper).install(server);
    const publication = (revision: number): PublicationView => {
      const own = this.#publication(revision);
      // Whether other controls' edges have it is not asked of each who writes.
      const isOwn = this.#options.replica === undefined || own.state !== "live";
      return isOwn ? own : { ...own, state: "pending" };
    };
    const planner = new Planner({
      embedded: this.#options.embedded,
      documents: () => documents.documents,
      routing: this.#options.routing,
      nowMs: Date.now,
    });
    await addDocumentRoutes(server, { documents, store, gate, keeper, publication, planner });
  }

  /** Routes that only read. */
  #reads(server: FastifyInstance): void {
    const { embedded, edge, transitions } = this.#options;
    server.get("/healthz", () => ({ status: "ok" }));
    server.get("/readyz", (_request, reply) =>
      reply
        .code(embedded.isReady ? 200 : 503)
        .send({ ready: embedded.isReady, revision: embedded.revision }),
    );
    server.get<{ Querystring: Record<string, string> }>("/metrics", async ({ query }, reply) => {
      const top = queryCount(query, "top", 0);
      return typeof top === "string"
        ? reply.code(400).send({ error: top })
        : reply.type(METRICS_TYPE).send(await this.#metrics.text(top));
    });
    server.get("/v1/status", () => this.#status());
    addListRoutes(server, embedded, edge, this.#options.notifier, () => this.#witnesses());
    server.get<{ Querystring: Record<string, string> }>(
      "/v1/policies/counts",
      ({ query }, reply) => {
        const name = query["policy"] ?? "";
        const { world } = embedded;
        const counts = world === undefined ? undefined : policyCounts(world, edge.figures(), name);
        return (
          counts ??
          reply.code(404).send({
            error: `No policy "${name}" is served, expected NAMESPACE/NAME of one that is`,
          })
        );
      },
    );
    server.get<{ Querystring: Record<string, string> }>(
      "/v1/health/history",
      ({ query }, reply) => {
        const count = queryCount(query, "count", 100);
        return typeof count === "string"
          ? reply.code(400).send({ error: count })
          : transitions.list(query["endpoint"] ?? "", count);
      },
    );
    server.get<{ Querystring: Record<string, string> }>("/v1/top/names", ({ query }, reply) => {
      const count = queryCount(query, "count", 20);
      return typeof count === "string"
        ? reply.code(400).send({ error: count })
        : edge.topNames(count);
    });
    server.get<{ Querystring: Record<string, string> }>("/v1/explain", async ({ query }, reply) => {
      const answer = explainRequest(explainSource(this.#options), query);
      return "error" in answer
        ? reply.code(answer.status).send({ error: answer.error })
        : answer.explanation;
    });
  }

  #writes(server: FastifyInstance): void {
    const { embedded, latency } = this.#options;
    if (latency !== undefined) addLatencyRoute(server, embedded, latency);
    const { approvals, documents, routing } = this.#options;
    const moves = { embedded, approvals, keeper: this.#keeper };
    addShiftRoutes(server, { ...moves, documents, routing });
    addFailbackRoute(server, moves);
    server.post<{ Body: unknown; Querystring: Record<string, string> }>(
      "/v1/push",
      async ({ query }, reply) => {
        const status = query["status"];
        if (status !== "healthy" && status !== "unhealthy")
          return reply
            .code(400)
            .send({ error: `Status is "${status ?? ""}", expected healthy or unhealthy` });
        const accepted = await embedded.verdicts.push({
          check: query["check"] ?? "",
          key: query["endpoint"] ?? "",
          status,
          reason: query["reason"] ?? "pushed",
        });
        return accepted
          ? { accepted }
          : reply.code(404).send({
              error: `No push check "${query["check"] ?? ""}" judges "${query["endpoint"] ?? ""}"`,
            });
      },
    );
    server.post("/v1/reload", () => embedded.reload());
    server.post("/v1/replay", ({ body }, reply) => {
      const line: unknown =
        typeof body === "object" && body !== null ? Reflect.get(body, "line") : undefined;
      if (typeof line !== "string")
        return reply.code(400).send({ error: "Line is missing, expected a line of the query log" });
      const replayed =
        this.#options.replay?.(line) ?? "Nothing here can ask again: no edge runs in this process";
      return typeof replayed === "string"
        ? reply.code(404).send({ error: replayed })
        : replayAnswer(replayed);
    });
  }

  /** How far a revision has come, at the edges of all controls; the newest one where none is named. */
  async #publicationOfAll(revision: number | undefined): Promise<PublicationView> {
    const { gateway, embedded } = this.#options;
    const edges = gateway?.();
    return edges?.publicationOfAll(revision ?? embedded.revision) ?? this.#publication(revision);
  }

  /** The same as far as this control knows by itself. */
  #publication(revision: number | undefined): PublicationView {
    const { gateway, embedded } = this.#options;
    const wanted = revision ?? embedded.revision;
    const edges = gateway?.();
    if (edges !== undefined) return edges.publication(wanted);
    const own = { name: hostname(), revision: embedded.revision, silentMs: 0 };
    return publicationOf(wanted, embedded.revision, [own]);
  }

  /** The one edge of a process that feeds no others. */
  /** What all controls have counted of shifts. */
  async #witnesses(): Promise<DrainWitnesses> {
    const { embedded, gateway } = this.#options;
    const edges = gateway?.();
    if (edges === undefined) return { tallies: drainTallies(embedded, Date.now()), silentEdges: 0 };
    const views = await edges.allViews();
    const silentEdges = views.filter(({ standing }) => standing === "silent").length;
    return { tallies: await edges.allDrains(), silentEdges };
  }

  #ownEdge(): EdgeView {
    const { embedded, edge, version } = this.#options;
    const { epoch, revision, sequence } = embedded;
    return {
      name: hostname(),
      connected: true,
      standing: "serving",
      epoch,
      revision,
      sequence,
      lastWordMs: Date.now(),
      staleMs: 0,
      answers: undefined,
      version,
      address: edge.figures().addresses[0],
      dns: edge.figures().addresses,
    };
  }

  #status(): object {
    const { embedded, edge, version } = this.#options;
    const { transport, workers, addresses } = edge.figures();
    return {
      version,
      ready: embedded.isReady,
      revision: embedded.revision,
      overlaySequence: embedded.sequence,
      servedSinceMs: embedded.servedSinceMs,
      problems: embedded.problems.slice(0, ROWS_MAX),
      fileErrors: embedded.fileErrors,
      conditions: embedded.conditions().slice(0, ROWS_MAX),
      edge: { transport, workers, addresses },
    };
  }
}

/** `127.0.0.1:8053` or `[::1]:8053`. */
function splitHost(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(":");
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(text.slice(at + 1)) };
}
