// SPDX-License-Identifier: Apache-2.0

// The edge of a server that answers DNS itself: workers, what they count and log, and the offer to hand their sockets over.

import { hostname } from "node:os";
import { join } from "node:path";
import type { Publication } from "@meridian/control";
import {
  Edge,
  HandoverServer,
  formatEdgeAddress,
  isHandlerReport,
  queryHandlerModule,
  type EdgeLogger,
  type EdgeStatus,
  type HandlerData,
  type HandlerReport,
  type Takeover,
} from "@meridian/edge";
import type { World } from "@meridian/snapshot";
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
  readonly onWorkerExit: (worker: number) => void;
  /** A worker cannot serve a snapshot. */
  readonly onRefused: (refused: Extract<HandlerReport, { kind: "refused" }>) => void;
}

/** The edge in this process; without addresses to listen on it answers nothing and only has counters that stay 0. */
export class ServerEdge {
  readonly gatherer: EdgeGatherer = new EdgeGatherer();
  readonly #options: ServerEdgeOptions;
  readonly #edge: Edge | undefined;
  readonly #queryLog: QueryLogFile | undefined;
  #isStarted = false;
  #handover: HandoverServer | undefined;

  constructor(options: ServerEdgeOptions) {
    this.#options = options;
    const { listen, queryLog } = options.server;
    this.#queryLog =
      queryLog === undefined
        ? undefined
        : new QueryLogFile(queryLog.path, () => this.gatherer.logs());
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

  get isAnswering(): boolean {
    return this.#edge !== undefined;
  }

  /** Whether the sockets of a process that is replaced are this edge's to close. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  async start(): Promise<void> {
    this.#isStarted = true;
    this.gatherer.start(this.#edge);
    await this.#edge?.start();
    this.#options.server.standby?.whenForward(() => this.#edge?.setPatient(false));
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
    if (world !== undefined) {
      this.gatherer.published(message.revision, world);
      this.#queryLog?.published(message.revision, world);
    }
    this.#edge?.post({ kind: "snapshot", ...message });
  }

  /** Takes no more offers to be replaced. */
  withdraw(): void {
    this.#handover?.close();
  }

  async close(): Promise<void> {
    await this.#edge?.close();
    this.#queryLog?.close();
    this.gatherer.close();
  }

  #makeEdge(): Edge {
    const { server, takeover, logger, onWorkerExit } = this.#options;
    const { listen, workers, transport, passed = [], standby } = server;
    return new Edge({
      listen,
      workers,
      transport,
      handlerModule: queryHandlerModule,
      handlerData: handlerDataOf(server),
      logger,
      onMessage: (message) => this.#take(message),
      onWorkerExit,
      ...(takeover === undefined
        ? { inherited: passed }
        : { inherited: takeover.sockets, joinExisting: takeover.joinExisting }),
      ...(standby === undefined ? {} : { standby: { nice: standby.nice } }),
    });
  }

  #take(message: unknown): void {
    if (!isHandlerReport(message)) return;
    this.gatherer.take(message);
    if (message.kind === "refused") this.#options.onRefused(message);
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
