// SPDX-License-Identifier: Apache-2.0

// A whole edge: sockets and workers, the pair on disk, and the link to control.

import { key64, reasonOf } from "@meridian/core";
import {
  TransitionHistory,
  type HealthRunner,
  type Verdict as VerdictWord,
} from "@meridian/health";
import { loadNative } from "@meridian/native";
import { Verdict, type AnswerCounts, type Position, type World } from "@meridian/snapshot";
import { StateDir } from "@meridian/snapshot/disk";
import { AnswerCounter, type AnswerTotals } from "../answer-counter.ts";
import { Edge, formatEdgeAddress, type EdgeOptions } from "../edge.ts";
import type { EdgeLogger } from "../edge-logger.ts";
import { isHandlerReport, type HandlerData, type HandlerReport } from "../handler.ts";
import type { Takeover } from "../handover.ts";
import type { LinkState, LocalEdge, ServedEdge } from "../local/local-edge.ts";
import { processEnded } from "../process-ended.ts";
import type { OpenSocket } from "../transport-sockets.ts";
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
  /** What of the queries is logged; nothing where left out. */
  readonly log?: HandlerData["log"];
  /** Sockets that a service manager passed, among those of `listen`. */
  readonly passed?: readonly OpenSocket[];
  /** From the process that this one replaces. */
  readonly takeover?: Takeover | undefined;
  /** See `EdgeOptions.standby`. */
  readonly standby?: EdgeOptions["standby"] | undefined;
  /** A worker has said something. */
  readonly onReport?: (report: HandlerReport) => void;
  /** Workers were just sent another revision. */
  readonly onRevision?: (revision: number, world: World) => void;
}

/** A control of which nothing is heard for this long is not waited for by a process that takes over. */
const CURRENT_MS_MAX = 2000;

export class EdgeProcess implements LocalEdge {
  readonly edge: Edge;
  readonly transitions: TransitionHistory = new TransitionHistory();

  readonly #directory: StateDir;
  readonly #state: EdgeState;
  readonly #replica: EdgeReplica;
  readonly #renewal: CertificateRenewal;
  readonly #link: ControlLink;
  readonly #copy: ControlCopy;
  readonly #options: EdgeProcessOptions;
  readonly #isolation: Isolation;
  readonly #answers = new AnswerCounter();
  /** What control was last told of how it is answered here. */
  #told: AnswerTotals & { readonly revision: number; readonly atMs: number };
  #served:
    | {
        readonly world: World;
        readonly mirror: OverlayMirror;
        /** Of another revision than what was served before. */
        readonly isNew: boolean;
        readonly sinceMs: number;
      }
    | undefined;
  /** The process that this one replaces, until it has ended. */
  readonly #predecessor: number | undefined;
  #agent: VantageAgent | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  /** Holds the state folder from now on. Throws EDGE_NOT_JOINED, STATE_LOCKED, STATE_UNUSABLE. */
  constructor(options: EdgeProcessOptions, handlerModule: URL) {
    this.#options = options;
    this.#told = { revision: 0, atMs: performance.now(), queries: 0, servfail: 0, empty: 0 };
    const { logger, stateFolder, version, listen, workers, transport, controls } = options;
    const identity = readIdentity(stateFolder, "edge");
    this.#directory = new StateDir(stateFolder);
    const { takeover } = options;
    this.#predecessor = takeover === undefined ? undefined : this.#directory.holder();
    if (takeover === undefined) this.#directory.lock();
    else this.#directory.takeLock();
    this.#state = new EdgeState(stateFolder, logger);
    const { edge: name } = identity;
    const handlerData: HandlerData = {
      kind: "query",
      nsid: name,
      identity: name,
      version: `Meridian ${version}`,
      ...(options.log === undefined ? {} : { log: options.log }),
    };
    this.edge = new Edge({
      listen,
      workers,
      transport,
      handlerModule,
      handlerData,
      logger,
      onMessage: (message) => this.#report(message),
      onWorkerExit: (worker) => this.#replica.forgetWorker(worker),
      ...(takeover === undefined
        ? { inherited: options.passed ?? [] }
        : { inherited: takeover.sockets, joinExisting: takeover.joinExisting }),
      ...(options.standby === undefined ? {} : { standby: options.standby }),
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
      serve: (message) => {
        this.edge.post(message);
        const { world, mirror, isNew } = this.#served ?? {};
        // What workers say of it comes in a later turn.
        if (isNew === true && world !== undefined && mirror !== undefined)
          options.onRevision?.(mirror.revision, world);
      },
      onPosition: () => this.#link.acknowledge(),
      onSynced: () => this.#link.acknowledge(),
      onMirror: (world, mirror) => {
        const isNew = mirror.revision !== this.#served?.mirror.revision;
        this.#served = { world, mirror, isNew, sinceMs: Date.now() };
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
      onRenewed: () => this.#agent?.renewed(),
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
      onOpen: () => this.#isolation.opened(),
      onTable: (url) => this.#isolation.told(url),
      counts: () => this.#countedSince(),
    });
  }

  get name(): string {
    return this.#renewal.identity.edge;
  }

  get version(): string {
    return this.#options.version;
  }

  get position(): Position {
    return this.#replica.position;
  }

  get served(): ServedEdge | undefined {
    if (this.#served === undefined) return undefined;
    const { world, mirror, sinceMs } = this.#served;
    return { world, slots: mirror.current, sinceMs };
  }

  get link(): LinkState {
    const nowMs = performance.now();
    const { restoredAtMs } = this.#state;
    const before = restoredAtMs === undefined ? undefined : Math.max(0, Date.now() - restoredAtMs);
    const { currentAtMs } = this.#link;
    const { heardAtMs, isIsolated } = this.#isolation;
    return {
      control: this.#link.followed,
      lastWordAgeMs: heardAtMs === undefined ? before : Math.round(nowMs - heardAtMs),
      staleMs: currentAtMs === undefined ? before : Math.round(nowMs - currentAtMs),
      isIsolated,
    };
  }

  get health(): HealthRunner | undefined {
    return this.#agent?.vantage.runner;
  }

  get state(): EdgeState {
    return this.#state;
  }

  /** Resolves when the sockets are open and what is stored is served; in place of another process when that one has ended. */
  async start(): Promise<void> {
    const { logger, takeover } = this.#options;
    const isRestored = this.#replica.restore();
    if (takeover !== undefined) {
      // The other process follows control no more: this one is to know all of it before it answers.
      this.#link.start();
      await Promise.race([this.#link.whenCurrent, passed(CURRENT_MS_MAX)]);
    }
    await this.edge.start();
    await takeover?.finish();
    if (this.#predecessor !== undefined) await processEnded(this.#predecessor);
    this.#renewal.start();
    if (takeover === undefined) this.#link.start();
    this.#copy.start();
    const { revision, sequence } = this.#replica.position;
    const dns = this.edge.addresses().map(formatEdgeAddress);
    if (isRestored || revision > 0) logger.info("Answering", { dns, revision, sequence });
    else logger.info("Waiting for a revision from control", { dns });
    await this.#startVantage();
  }

  /** Another process is about to take over: it finds on disk what is served here, and follows control in place of this one. */
  yield(): void {
    this.#link.pause();
    this.#state.flush();
  }

  /** It did not come to that. */
  resume(): void {
    this.#link.resume();
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
      onTransitions: (batch) => {
        this.transitions.add(batch);
        this.#isolation.transitions(batch);
      },
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
      await this.edge.close();
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
    this.#options.onReport?.(message);
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

function passed(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms).unref();
  return promise;
}
