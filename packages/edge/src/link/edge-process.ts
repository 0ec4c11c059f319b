// SPDX-License-Identifier: Apache-2.0

// A whole edge: sockets and workers, the pair on disk, and the link to control.

import { reasonOf } from "@meridian/core";
import { loadNative } from "@meridian/native";
import { StateDir } from "@meridian/snapshot/disk";
import { Edge, formatEdgeAddress } from "../edge.ts";
import type { EdgeLogger } from "../edge-logger.ts";
import type { HandlerData } from "../handler.ts";
import { CertificateRenewal } from "./certificate-renewal.ts";
import { ControlCopy } from "./control-copy.ts";
import { ControlLink } from "./control-link.ts";
import { readIdentity } from "./edge-identity.ts";
import { EdgeReplica } from "./edge-replica.ts";
import { EdgeState } from "./edge-state.ts";

export interface EdgeProcessOptions {
  readonly controls: readonly string[];
  readonly stateFolder: string;
  readonly listen: readonly string[];
  readonly workers: number;
  readonly transport: "auto" | "native" | "dgram";
  readonly version: string;
  readonly logger: EdgeLogger;
}

export class EdgeProcess {
  readonly #directory: StateDir;
  readonly #state: EdgeState;
  readonly #replica: EdgeReplica;
  readonly #renewal: CertificateRenewal;
  readonly #link: ControlLink;
  readonly #copy: ControlCopy;
  readonly #edge: Edge;
  readonly #options: EdgeProcessOptions;
  #closing: Promise<void> | undefined;

  /** Holds the state folder from now on. Throws EDGE_NOT_JOINED, STATE_LOCKED, STATE_UNUSABLE. */
  constructor(options: EdgeProcessOptions, handlerModule: URL) {
    this.#options = options;
    const { logger, stateFolder, version, listen, workers, transport, controls } = options;
    const identity = readIdentity(stateFolder);
    this.#directory = new StateDir(stateFolder);
    this.#directory.lock();
    this.#state = new EdgeState(stateFolder, logger);
    const { edge: name } = identity;
    const handlerData: HandlerData = {
      kind: "query",
      nsid: name,
      identity: name,
      version: `Meridian ${version}`,
    };
    this.#edge = new Edge({
      listen,
      workers,
      transport,
      handlerModule,
      handlerData,
      logger,
      onMessage: (message) => this.#report(message),
      onWorkerExit: (worker) => this.#replica.forgetWorker(worker),
    });
    const onSlab = adviceForSlabs();
    this.#replica = new EdgeReplica({
      state: this.#state,
      logger,
      serve: (message) => this.#edge.post(message),
      onPosition: () => this.#link.acknowledge(),
      ...(onSlab === undefined ? {} : { onSlab }),
    });
    this.#renewal = new CertificateRenewal({
      controls,
      stateFolder,
      identity,
      logger,
      wallMs: () => Date.now(),
    });
    this.#copy = new ControlCopy({
      ...{ controls, stateFolder, logger },
      identity: () => this.#renewal.identity,
    });
    this.#link = new ControlLink({
      controls,
      identity: () => this.#renewal.identity,
      version,
      replica: this.#replica,
      logger,
      onWord: () => this.#state.heard(),
    });
  }

  /** Resolves when the sockets are open and what is stored is served. */
  async start(): Promise<void> {
    const isRestored = this.#replica.restore();
    await this.#edge.start();
    this.#renewal.start();
    this.#link.start();
    this.#copy.start();
    const { logger } = this.#options;
    const { revision, sequence } = this.#replica.position;
    const dns = this.#edge.addresses().map(formatEdgeAddress);
    if (isRestored) logger.info("Answering", { dns, revision, sequence });
    else logger.info("Waiting for a revision from control", { dns });
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#renewal.close();
    this.#link.close();
    this.#copy.close();
    try {
      await this.#edge.close();
    } catch (error) {
      this.#options.logger.error("Cannot close the sockets", { reason: reasonOf(error) });
    }
    this.#replica.close();
    this.#state.close();
    this.#directory.unlock();
  }

  #report(message: unknown): void {
    if (typeof message !== "object" || message === null) return;
    if (Reflect.get(message, "kind") !== "refused") return;
    const fields = Object.fromEntries(Object.entries(message));
    this.#options.logger.error("A worker refused a snapshot", fields);
  }
}

/** Huge pages under the sections, where the add-on is there. */
function adviceForSlabs(): ((slab: SharedArrayBuffer) => void) | undefined {
  const loaded = loadNative();
  return loaded.kind === "loaded"
    ? (slab) => loaded.native.adviseHugePages(new Uint8Array(slab))
    : undefined;
}
