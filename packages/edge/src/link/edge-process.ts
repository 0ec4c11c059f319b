// SPDX-License-Identifier: Apache-2.0

// A whole edge: sockets and workers, the pair on disk, and the link to control.

import { key64, reasonOf } from "@meridian/core";
import type { Verdict as VerdictWord } from "@meridian/health";
import { loadNative } from "@meridian/native";
import { Verdict, type AnswerCounts, type World } from "@meridian/snapshot";
import { StateDir } from "@meridian/snapshot/disk";
import { AnswerCounter, type AnswerTotals } from "../answer-counter.ts";
import { Edge, formatEdgeAddress } from "../edge.ts";
import type { EdgeLogger } from "../edge-logger.ts";
import { isHandlerReport, type HandlerData } from "../handler.ts";
import { CertificateRenewal } from "./certificate-renewal.ts";
import { ControlCopy } from "./control-copy.ts";
import { ControlLink } from "./control-link.ts";
import { readIdentity } from "./edge-identity.ts";
import { EdgeReplica } from "./edge-replica.ts";
import { EdgeState } from "./edge-state.ts";
import { Isolation, type IsolationMode } from "./isolation.ts";
import type { OverlayMirror } from "./overlay-mirror.ts";
import type { VantageAgent } from "../vantage/vantage-agent.ts";

/** How often it is looked at whether control is heard of. */
const ISOLATION_TICK_MS = 500;

export interface EdgeProcessOptions {
  readonly controls: readonly string[];
  readonly stateFolder: string;
  readonly listen: readonly string[];
  readonly workers: number;
  readonly transport: "auto" | "native" | "dgram";
  /** Where it is, as a vantage; empty where that is not told. */
  readonly site: string;
  readonly isolation: IsolationMode;
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
  readonly #isolation: Isolation;
  readonly #answers = new AnswerCounter();
  /** What control was last told of how it is answered here. */
  #told: AnswerTotals & { readonly revision: number; readonly atMs: number };
  #served: { readonly world: World; readonly mirror: OverlayMirror } | undefined;
  #agent: VantageAgent | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  /** Holds the state folder from now on. Throws EDGE_NOT_JOINED, STATE_LOCKED, STATE_UNUSABLE. */
  constructor(options: EdgeProcessOptions, handlerModule: URL) {
    this.#options = options;
    this.#told = { revision: 0, atMs: performance.now(), queries: 0, servfail: 0, empty: 0 };
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
    this.#isolation = new Isolation({
      mode: options.isolation,
      nowMs: () => performance.now(),
      logger,
      suspicion: () => this.#agent?.vantage.runner.suspicion ?? { kind: "trusting" },
      onChange: (isIsolated) => this.#agent?.vantage.runner.setIsolated(isIsolated),
    });
    this.#replica = new EdgeReplica({
      state: this.#state,
      logger,
      serve: (message) => this.#edge.post(message),
      onPosition: () => this.#link.acknowledge(),
      onMirror: (world, mirror) => {
        this.#served = { world, mirror };
        this.#isolation.served(world, mirror);
      },
      onChecked: (status) => this.#link.report(status),
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
      onWord: (url) => {
        this.#state.heard();
        this.#isolation.heard(url);
      },
      counts: () => this.#countedSince(),
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
    await this.#startVantage();
  }

  /** After the first answers: what probes need is loaded then. */
  async #startVantage(): Promise<void> {
    const { VantageAgent } = await import("../vantage/vantage-agent.ts");
    const { controls, stateFolder, site, version, logger } = this.#options;
    const agent = await VantageAgent.start({
      controls,
      stateFolder,
      site,
      version,
      logger,
      identity: () => this.#renewal.identity,
      restored: (key) => this.#verdictOf(key),
      onPlan: ({ latches = [] }) => this.#isolation.planned(new Map(latches)),
      onTransitions: (batch) => this.#isolation.transitions(batch),
      onSettled: (url) => this.#isolation.settled(url),
      onStore: (url, isCurrent) => this.#link.heardOfStore(url, isCurrent),
    });
    this.#agent = agent;
    if (this.#isClosed) {
      await agent.close();
      return;
    }
    this.#timer = setInterval(() => this.#isolation.tick(), ISOLATION_TICK_MS).unref();
  }

  /** What is served of an endpoint: this edge goes on from there. */
  #verdictOf(key: string): VerdictWord | undefined {
    const { world, mirror } = this.#served ?? {};
    const slot = world?.pools.endpointIndexOf(key64(key)) ?? -1;
    if (slot < 0 || mirror === undefined) return undefined;
    const verdict = mirror.read(slot) & 3;
    return verdict === Verdict.healthy
      ? "healthy"
      : verdict === Verdict.unhealthy
        ? "unhealthy"
        : undefined;
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#isolation.close();
    this.#renewal.close();
    await this.#agent?.close();
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

  /** How it was answered from what is served now since control was last told. */
  #countedSince(): AnswerCounts {
    const { epoch, revision } = this.#replica.position;
    const totals = this.#answers.of(revision);
    const nowMs = performance.now();
    const { atMs, ...told } = this.#told;
    const before = told.revision === revision ? told : { queries: 0, servfail: 0, empty: 0 };
    this.#told = { ...totals, revision, atMs: nowMs };
    return {
      epoch,
      revision,
      elapsedMs: Math.round(nowMs - atMs),
      queries: totals.queries - before.queries,
      servfail: totals.servfail - before.servfail,
      empty: totals.empty - before.empty,
    };
  }

  #report(message: unknown): void {
    if (!isHandlerReport(message)) return;
    this.#answers.take(message);
    if (message.kind === "refused")
      this.#options.logger.error("A worker refused a snapshot", { ...message });
  }
}

/** Huge pages under the sections, where the add-on is there. */
function adviceForSlabs(): ((slab: SharedArrayBuffer) => void) | undefined {
  const loaded = loadNative();
  return loaded.kind === "loaded"
    ? (slab) => loaded.native.adviseHugePages(new Uint8Array(slab))
    : undefined;
}
