// SPDX-License-Identifier: Apache-2.0

// An edge with what is asked of it on its own machine: counters, the query log, the local socket and the HTTP listener, and the offer to hand its
// sockets over. No third-party module: it is a part of the edge's process.

import { join } from "node:path";
import { reasonOf } from "@meridian/core";
import {
  EdgeProcess,
  HandoverServer,
  LocalServer,
  pastOf,
  queryHandlerModule,
  holdFolder,
  type EdgeProcessOptions,
  type Takeover,
} from "@meridian/edge";
import { StateDir } from "@meridian/snapshot/disk";
import { EdgeGatherer } from "./edge-gatherer.ts";
import { QueryLogFile } from "./query-log-file.ts";
import { replayLine } from "./replay.ts";
import { LOG_RING_BYTES, handoverPath } from "./server-edge.ts";
import type { Standby } from "./standby.ts";

/** Where HTTP is served unless told. */
const HTTP_UNLESS_TOLD = "127.0.0.1:8055";

export interface EdgeServerOptions extends Omit<
  EdgeProcessOptions,
  "takeover" | "log" | "traffic" | "onReport" | "onRevision" | "standby"
> {
  /** This process is at a low weight until it answers. */
  readonly standby: Standby | undefined;
  readonly queryLog: { readonly path: string; readonly every: number } | undefined;
  /** `ADDRESS:PORT`, `none`, or undefined where nothing was told. */
  readonly http: string | undefined;
  /** Take the sockets over from the process that holds the state folder. */
  readonly replace: boolean;
  /** This process is told to end: it is not to take over any more. */
  readonly interrupted?: AbortSignal;
  /** Another process took the sockets over: time to end. */
  readonly onReplaced: () => void;
}

export class EdgeServer {
  readonly #options: EdgeServerOptions;
  readonly #gatherer = new EdgeGatherer();
  readonly #queryLog: QueryLogFile | undefined;
  readonly #process: EdgeProcess;
  readonly #local: LocalServer[] = [];
  #handover: HandoverServer | undefined;

  private constructor(options: EdgeServerOptions, takeover: Takeover | undefined) {
    const { queryLog } = options;
    this.#options = options;
    this.#process = new EdgeProcess(
      {
        ...options,
        takeover,
        standby: options.standby && { nice: options.standby.nice },
        ...(queryLog === undefined
          ? {}
          : {
              log: {
                every: queryLog.every,
                ringBytes: LOG_RING_BYTES,
                prefixIpv4: 24,
                prefixIpv6: 56,
              },
            }),
        traffic: (slotOf) => this.#gatherer.traffic(slotOf),
        onReport: (report) => this.#gatherer.take(report),
        onRevision: (revision, world) => {
          this.#gatherer.published(revision, world);
          this.#queryLog?.published(revision, world);
        },
      },
      queryHandlerModule,
    );
    this.#queryLog =
      queryLog === undefined
        ? undefined
        : new QueryLogFile(
            queryLog.path,
            () => this.#gatherer.logs(),
            (reason) => options.logger.error("Cannot write the query log", { reason }),
          );
  }

  /** Resolves when the sockets are open and what is stored is served. Rejects, with everything closed, where that cannot be. */
  static async start(options: EdgeServerOptions): Promise<EdgeServer> {
    const { stateFolder, logger } = options;
    try {
      const make = (takeover?: Takeover): EdgeServer => new EdgeServer(options, takeover);
      if (!options.replace) return await make().#started();
      const directory = new StateDir(stateFolder);
      const path = handoverPath(stateFolder);
      const signal = options.interrupted;
      const { made, takeover } = await holdFolder({ path, directory, logger, signal }, make);
      return await made.#started(takeover);
    } finally {
      options.standby?.comeForward();
    }
  }

  /** Idempotent, as far as its parts are. */
  async close(): Promise<void> {
    this.#handover?.close();
    await Promise.all(this.#local.map((server) => server.close()));
    await this.#process.close();
    this.#queryLog?.close();
    this.#gatherer.close();
  }

  async #started(takeover?: Takeover): Promise<this> {
    try {
      await this.#start();
      return this;
    } catch (error) {
      takeover?.abandon();
      await this.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { stateFolder, logger, standby, onReplaced } = this.#options;
    this.#gatherer.start(this.#process.edge);
    await this.#process.start();
    standby?.whenForward(() => this.#process.edge.setPatient("begins", false));
    await this.#listen();
    this.#handover = await HandoverServer.start({
      path: handoverPath(stateFolder),
      edge: this.#process.edge,
      logger,
      onTake: () => this.#process.yield(),
      onAbandoned: () => this.#process.resume(),
      onReplaced,
    });
  }

  async #listen(): Promise<void> {
    const { http, logger } = this.#options;
    if (http !== undefined) {
      const address = await this.#serve(http === "none" ? undefined : http);
      logger.info("Asked locally", { http: address });
      return;
    }
    try {
      logger.info("Asked locally", { http: await this.#serve(HTTP_UNLESS_TOLD) });
    } catch (error) {
      // Nobody asked for it: several edges of one machine are no reason for one not to answer.
      logger.warn("No metrics over HTTP: give --http", { reason: reasonOf(error) });
    }
  }

  #serve(http: string | undefined): Promise<string | undefined> {
    const { stateFolder, version } = this.#options;
    const past = pastOf(this.#process);
    const { name } = this.#process;
    const texts = { nsid: name, identity: name, version: `Meridian ${version}` };
    const server = new LocalServer({
      edge: this.#process,
      figures: this.#gatherer,
      replay: (line) => replayLine(line, { past, texts }),
      socketPath: join(stateFolder, "meridian.sock"),
      http,
    });
    this.#local.push(server);
    return server.start();
  }
}
