// SPDX-License-Identifier: Apache-2.0

// The edge of a server that answers DNS itself: workers, what they count and log, and the offer to hand their sockets over.

import { hostname } from "node:os";
import { join } from "node:path";
import type { Publication } from "@meridian/control";
import {
  Edge,
  EdgeFront,
  EdgeSigning,
  HandoverServer,
  formatEdgeAddress,
  isHandlerReport,
  isTransferNotice,
  isZoneNotified,
  isUpdateNotice,
  queryHandlerModule,
  type EdgeLogger,
  type EdgeStatus,
  type HandlerData,
  type Takeover,
  type SecretsMessage,
  type SigningView,
  type UpdateNotice,
  type UpdatedMessage,
} from "@meridian/edge";
import { ExtendedError, Rcode } from "@meridian/dns";
import type { UpdateAnswer, World, ZoneTable } from "@meridian/snapshot";
import type { ExplainQuestion, ExplainSigning } from "@meridian/snapshot/surface";
import { EdgeGatherer } from "./edge-gatherer.ts";
import { QueryLogFile } from "./query-log-file.ts";
import type { ServerOptions } from "./server-options.ts";
import { ownVersion } from "./version.ts";

/** Bytes of a worker's ring of logged queries. */
export const LOG_RING_BYTES: number = 1024 * 1024;

/** What a server's edge is made of. */
export interface ServerEdgeOptions {
  readonly server: ServerOptions;
  readonly logger: EdgeLogger;
  /** From the process that this one replaces. */
  readonly takeover: Takeover | undefined;
}

/** Who is told of workers, as soon as there is somebody. */
export interface WorkerListener {
  readonly onWorkerExit: (worker: number) => void;
  /** A primary says that a secondary zone has changed. */
  readonly onNotified: (zone: string) => void;
  /** Does a dynamic update. Never rejects. */
  readonly onUpdate: (packet: Uint8Array, client: string, view?: string) => Promise<UpdateAnswer>;
}

const notReady: UpdateAnswer = {
  rcode: Rcode.SERVFAIL,
  ede: ExtendedError.NOT_READY,
  text: "control is not there yet: send it again",
};

/** The edge in this process; without addresses to listen on it answers nothing and only has counters that stay 0. */
export class ServerEdge {
  readonly gatherer: EdgeGatherer = new EdgeGatherer();
  readonly #options: ServerEdgeOptions;
  readonly #front: EdgeFront;
  readonly #edge: Edge | undefined;
  readonly #queryLog: QueryLogFile | undefined;
  #isStarted = false;
  #started: Promise<void> | undefined;
  #listener: WorkerListener | undefined;
  /** The overlay that workers were sent last. */
  #overlay: SharedArrayBuffer | undefined;
  readonly #signing: EdgeSigning;
  #served: { readonly revision: number; readonly world: World } | undefined;
  #handover: HandoverServer | undefined;

  constructor(options: ServerEdgeOptions) {
    this.#options = options;
    this.#signing = new EdgeSigning(options.logger);
    const { listen, queryLog } = options.server;
    this.#queryLog =
      queryLog === undefined
        ? undefined
        : new QueryLogFile(
            queryLog.path,
            () => this.gatherer.logs(),
            (reason) => options.logger.error("Cannot write the query log", { reason }),
          );
    this.#front = new EdgeFront(options.server.front ?? {}, options.logger);
    this.#edge = listen.length === 0 ? undefined : this.#makeEdge();
  }

  /** What is listened on for DNS. */
  get addresses(): readonly string[] {
    return this.#edge?.addresses().map(formatEdgeAddress) ?? [];
  }

  /** Undefined where none is there to answer. */
  get transport(): EdgeStatus["transport"] {
    return this.#edge?.status().transport;
  }

  /** Workers that answer here. */
  get workers(): number {
    return this.#edge?.handlerCount ?? 0;
  }

  get isAnswering(): boolean {
    return this.#edge !== undefined;
  }

  /** Whether the sockets of a process that is replaced are this edge's to close. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** From now on somebody is told. */
  listen(listener: WorkerListener): void {
    this.#listener = listener;
  }

  /** Opens the sockets and starts the workers, once. Rejects, with everything closed, where that cannot be. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Resolves when queries over UDP are answered from what is served. */
  async whenAnswering(): Promise<void> {
    await Promise.race([this.#edge?.whenAnswering(), this.start()]);
  }

  async #start(): Promise<void> {
    this.#isStarted = true;
    this.gatherer.start(this.#edge);
    await this.#edge?.start();
    if (this.#edge !== undefined) this.#front.start(this.#edge);
    this.#options.server.standby?.whenForward(() => this.#edge?.setPatient("begins", false));
  }

  /** From now on another process may take the sockets over. */
  async offer(): Promise<void> {
    if (this.#edge === undefined) return;
    const { server, logger } = this.#options;
    this.#handover = await HandoverServer.start({
      path: handoverPath(server.stateDir),
      edge: this.#edge,
      logger,
      onReplaced: () => server.onReplaced?.(),
    });
  }

  /** Has every worker serve a revision. */
  serve({ manifest: _, ...message }: Publication, world: World | undefined): void {
    // Else served since before the control plane was loaded.
    const isServed = message.overlay === this.#overlay;
    if (!isServed) {
      this.#overlay = message.overlay;
      const orders = world === undefined ? undefined : this.#signing.ordersOf(world);
      const snapshot = {
        kind: "snapshot",
        ...message,
        ...(orders === undefined ? {} : { orders }),
      } as const;
      this.#edge?.post(snapshot);
      this.#signing.follow(snapshot);
    }
    if (world === undefined) return;
    this.#served = { revision: message.revision, world };
    // Names could not be put in order until now.
    const signing = isServed ? this.#signing.message(message.revision, world) : undefined;
    if (signing !== undefined) this.#edge?.post(signing);
    this.gatherer.published(message.revision, world);
    this.#queryLog?.published(message.revision, world);
  }

  /** Has every worker sign with these from now on: all there are (`encodeSigningMaterial()`). */
  sign(materials: readonly string[]): void {
    if (!this.#signing.takeTexts(materials)) return;
    const { revision = 0, world } = this.#served ?? {};
    const message = this.#signing.message(revision, world);
    if (message !== undefined) this.#edge?.post(message);
  }

  /** Secrets with which cookies are made and taken (hexadecimal digits), unless a file has them. */
  setCookieSecrets(secrets: readonly string[]): void {
    if (this.#edge !== undefined) this.#front.setCookieSecrets(this.#edge, secrets);
  }

  /** How the answer to a question is signed; undefined where the zone is not, or nothing is answered here. */
  signingOf(
    view: SigningView,
    question: ExplainQuestion,
    zones: ZoneTable,
  ): ExplainSigning | undefined {
    return this.#edge === undefined ? undefined : this.#signing.explain(view, question, zones);
  }

  /** Secrets by which zones are signed on their way to others. */
  setSecrets(secrets: ReadonlyMap<string, string>): void {
    const message: SecretsMessage = { kind: "secrets", secrets };
    this.#edge?.post(message);
  }

  /** Takes no more offers to be replaced. */
  withdraw(): void {
    this.#handover?.close();
  }

  async close(): Promise<void> {
    this.#front.close();
    await this.#signing.close();
    await this.#edge?.close();
    this.#queryLog?.close();
    this.gatherer.close();
  }

  #makeEdge(): Edge {
    const { server, takeover, logger } = this.#options;
    const { listen, workers, transport, passed = [], standby } = server;
    return new Edge({
      listen,
      workers,
      transport,
      handlerModule: queryHandlerModule,
      handlerData: { ...handlerDataOf(server), ...this.#front.handlerData(workers) },
      ...this.#front.edgeOptions,
      logger,
      onMessage: (message, worker) => this.#take(message, worker),
      onWorkerExit: (worker) => this.#listener?.onWorkerExit(worker),
      ...(takeover === undefined
        ? { inherited: passed }
        : { inherited: takeover.sockets, joinExisting: takeover.joinExisting }),
      ...(standby === undefined ? {} : { standby: { nice: standby.nice } }),
    });
  }

  async #update({ id, packet, client, view }: UpdateNotice, worker: number): Promise<void> {
    const answer = (await this.#listener?.onUpdate(packet, client, view)) ?? notReady;
    const message: UpdatedMessage = { kind: "updated", id, answer };
    this.#edge?.tell(worker, message);
  }

  #take(message: unknown, sender: number): void {
    if (isUpdateNotice(message)) void this.#update(message, sender);
    if (isTransferNotice(message)) {
      const { what, zone, client, outcome } = message;
      this.#options.logger.info(what, { zone, client, outcome });
    }
    if (isZoneNotified(message)) this.#listener?.onNotified(message.zone);
    if (!isHandlerReport(message)) return;
    this.gatherer.take(message);
    this.#front.take(message);
    if (message.kind !== "refused") return;
    const { worker, revision, error } = message;
    this.#options.logger.error("A worker refused a snapshot", { worker, revision, error });
  }
}

/** Where a process offers its sockets. */
export function handoverPath(stateDir: string): string {
  return join(stateDir, "handover.sock");
}

/** What the server says of itself in answers. */
export function serverTexts(): { nsid: string; identity: string; version: string } {
  return { nsid: hostname(), identity: hostname(), version: `Meridian ${ownVersion()}` };
}

function handlerDataOf({ diagnosis, queryLog }: ServerOptions): HandlerData {
  return {
    kind: "query",
    ...serverTexts(),
    ...(diagnosis === undefined ? {} : { diagnosis }),
    ...(queryLog === undefined
      ? {}
      : {
          log: { every: queryLog.every, ringBytes: LOG_RING_BYTES, prefixIpv4: 24, prefixIpv6: 56 },
        }),
  };
}
