// SPDX-License-Identifier: Apache-2.0

// A whole edge: sockets and workers, the pair on disk, and the link to control.

import { key64, reasonOf } from "@meridian/core";
import {
  RevisionRehearsal,
  TransitionHistory,
  type HealthRunner,
  type Verdict as VerdictWord,
} from "@meridian/health";
import { loadNative } from "@meridian/native";
import {
  COOKIE_SECRETS,
  transferSecrets,
  Verdict,
  type AnswerCounts,
  type TrafficCounts,
  type Position,
  type World,
  type ZoneTable,
  fencedSlots,
} from "@meridian/snapshot";
import type { ExplainQuestion, ExplainSigning } from "@meridian/snapshot/surface";
import type { SigningView } from "../dnssec/signing-explanation.ts";
import { StateDir } from "@meridian/snapshot/disk";
import { AnswerCounter, type AnswerTotals } from "../answer-counter.ts";
import { Edge, formatEdgeAddress, type EdgeOptions } from "../edge.ts";
import type { EdgeLogger } from "../edge-logger.ts";
import { EdgeFront, type FrontOptions } from "../edge-front.ts";
import {
  isHandlerReport,
  isTransferNotice,
  isZoneNotified,
  isUpdateNotice,
  type HandlerData,
  type HandlerReport,
  type SecretsMessage,
} from "../handler.ts";
import type { UpdateNotice, UpdatedMessage } from "../updates/update-requests.ts";
import type { Takeover } from "../handover.ts";
import { takeFolderBack } from "../handover-wait.ts";
import type { LinkState, LocalEdge, ServedEdge } from "../local/local-edge.ts";
import { processEnded } from "../process-ended.ts";
import type { OpenSocket } from "../transport-sockets.ts";
import { CertificateRenewal } from "./certificate-renewal.ts";
import { ControlCopy } from "./control-copy.ts";
import { ControlLink } from "./control-link.ts";
import { EdgeFence } from "./edge-fence.ts";
import { ToldControlsFile, type ToldState } from "./told-controls.ts";
import { readIdentity, type EdgeIdentity } from "./edge-identity.ts";
import { EdgeSigning } from "../dnssec/edge-signing.ts";
import { SecretStore, SIGNING_FILE } from "../vantage/secret-store.ts";
import { EdgeReplica } from "./edge-replica.ts";
import { EdgeState } from "./edge-state.ts";
import { Isolation, type IsolationMode } from "./isolation.ts";
import type { OverlayMirror } from "./overlay-mirror.ts";
import { rehearseRevision } from "./revision-rehearsal.ts";
import type { VantageAgent } from "../vantage/vantage-agent.ts";

/**
 * Revisions, up to twice as many, after which the whole heap is looked through as soon as it is calm. Otherwise V8 does so after some
 * tens, at all edges within two seconds, as they have the same garbage.
 */
const WHOLE_EVERY = 20;
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
  /** This process is told to end. */
  readonly interrupted?: AbortSignal;
  /** See `EdgeOptions.standby`. */
  readonly standby?: EdgeOptions["standby"] | undefined;
  /** What is done about who asks. */
  readonly front?: FrontOptions;
  /** Where clients were sent since the last call, as far as workers' counters are gathered in this process. */
  readonly traffic?: (
    slotOf: (world: World, endpoint: number) => number,
  ) => Omit<TrafficCounts, "epoch"> | undefined;
  /** A worker has said something. */
  readonly onReport?: (report: HandlerReport) => void;
  /** Workers were just sent another revision. */
  readonly onRevision?: (revision: number, world: World) => void;
}

/** Of 3 ms that others have where nothing else is said. */
const SLICE_NS = 500_000;
/** A control of which nothing is heard for this long is not waited for by a process that takes over. */
const CURRENT_MS_MAX = 2000;

export class EdgeProcess implements LocalEdge {
  readonly edge: Edge;
  readonly transitions: TransitionHistory = new TransitionHistory();

  readonly #directory: StateDir;
  readonly #state: EdgeState;
  readonly #replica: EdgeReplica;
  readonly #rehearsal: RevisionRehearsal;
  readonly #renewal: CertificateRenewal;
  readonly #link: ControlLink;
  readonly #copy: ControlCopy;
  readonly #options: EdgeProcessOptions;
  readonly #front: EdgeFront;
  readonly #isolation: Isolation;
  readonly #fence: EdgeFence;
  #hasStarted = false;
  readonly #controls: ToldControlsFile;
  readonly #answers = new AnswerCounter();
  readonly #signing: EdgeSigning;
  /** What zones are signed with, as control said it last. */
  readonly #materials: SecretStore;
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
  #zoneSecrets: ReadonlySet<string> = new Set();
  /** The process that this one replaces, until it has ended. */
  readonly #predecessor: number | undefined;
  #agent: VantageAgent | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  /** Holds the state folder from now on. Throws EDGE_NOT_JOINED, STATE_LOCKED, STATE_UNUSABLE. */
  constructor(options: EdgeProcessOptions, handlerModule: URL) {
    this.#options = options;
    this.#signing = new EdgeSigning(options.logger);
    this.#told = { revision: 0, atMs: performance.now(), queries: 0, servfail: 0, empty: 0 };
    const { logger, stateFolder, version, listen, workers, transport, controls } = options;
    const identity = readIdentity(stateFolder, "edge");
    this.#front = new EdgeFront(options.front ?? {}, logger);
    this.#directory = new StateDir(stateFolder);
    const { takeover } = options;
    this.#predecessor = takeover === undefined ? undefined : this.#directory.holder();
    if (takeover === undefined) this.#directory.lock();
    else this.#directory.takeLock();
    this.#state = new EdgeState(stateFolder, logger, (name) => this.#replica.doubt(name));
    const { edge: name } = identity;
    const handlerData: HandlerData = {
      kind: "query",
      nsid: name,
      identity: name,
      version: `Meridian ${version}`,
      ...this.#front.handlerData(workers),
      ...(options.log === undefined ? {} : { log: options.log }),
    };
    this.edge = new Edge({
      listen,
      workers,
      transport,
      handlerModule,
      handlerData,
      ...this.#front.edgeOptions,
      logger,
      onMessage: (message, worker) => this.#report(message, worker),
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
    this.#rehearsal = new RevisionRehearsal({
      rehearse: () => {
        const { resting } = this.#replica;
        if (resting !== undefined) rehearseRevision(resting);
        return resting !== undefined;
      },
      onFailed: (reason) => logger.warn("Rehearses no more revisions", { reason }),
      wholeEvery: WHOLE_EVERY + Math.floor(Math.random() * WHOLE_EVERY),
    });
    this.#controls = new ToldControlsFile(stateFolder, logger);
    this.#fence = new EdgeFence({
      // Those that are to start begin with what was served last.
      workers: () => (this.#hasStarted ? this.edge.handlerCount : 0),
      sequence: () => this.#replica.followedSequence,
      keep: () => this.#state.flush(),
      ask: () => this.#link.askLease(),
    });
    this.#replica = new EdgeReplica({
      state: this.#state,
      logger,
      serve: (message) => {
        const { world, mirror, isNew } = this.#served ?? {};
        const orders = world === undefined ? undefined : this.#signing.ordersOf(world);
        const snapshot = orders === undefined ? message : { ...message, orders };
        this.edge.post(snapshot);
        this.#signing.follow(snapshot);
        // What workers say of it comes in a later turn.
        if (isNew === true && world !== undefined && mirror !== undefined)
          options.onRevision?.(mirror.revision, world);
      },
      onPosition: () => {
        this.#link.acknowledge();
        this.#fence.look();
      },
      onSynced: () => this.#link.acknowledge(),
      onMirror: (world, mirror) => {
        // A section that was fetched again makes another world of the same revision.
        const isNew = world !== this.#served?.world;
        this.#served = { world, mirror, isNew, sinceMs: Date.now() };
        if (isNew) {
          this.#zoneSecrets = transferSecrets(world);
          this.#rehearsal.follow();
        }
        this.#isolation.served(world, mirror);
        this.#fence.served(mirror);
      },
      onChecked: (status) => this.#link.report(status),
      nowMs: () => performance.now(),
      ...(onSlab === undefined ? {} : { onSlab }),
    });
    this.#renewal = new CertificateRenewal({
      controls,
      stateFolder,
      identity,
      logger,
      wallMs: () => Date.now(),
      onRenewed: () => {
        this.#agent?.renewed();
        this.#materials.reseal();
      },
    });
    this.#materials = new SecretStore(
      stateFolder,
      () => this.#renewal.identity,
      logger,
      SIGNING_FILE,
    );
    this.#copy = new ControlCopy({
      ...{ controls, stateFolder, logger },
      identity: () => this.#renewal.identity,
    });
    this.#link = new ControlLink({
      controls,
      identity: () => this.#renewal.identity,
      version,
      replica: this.#replica,
      fence: this.#fence,
      logger,
      onWord: (url) => {
        this.#state.heard();
        this.#isolation.heard(url);
      },
      onOpen: () => this.#isolation.opened(),
      onTable: (url) => this.#isolation.told(url),
      counts: () => this.#countedSince(),
      traffic: () => this.#trafficSince(),
      trouble: () => this.#state.troubles.worst,
      dns: () => this.edge.addresses().map(formatEdgeAddress),
      onControls: (payload) => {
        if (!this.#controls.take(payload))
          logger.error("Passed over what control says of routing controls", {});
      },
      onSigning: (sealed, shown) => this.#takeSigning(sealed, shown),
    });
  }

  /** Control says what zones are signed with. */
  #takeSigning(sealed: Uint8Array, identity: EdgeIdentity): void {
    const isNew = this.#materials.takeAll(identity, sealed);
    if (isNew === undefined)
      this.#options.logger.error("Passed over signing material that is sealed to another key", {});
    else if (isNew) this.#sign();
  }

  #sign(): void {
    const { [COOKIE_SECRETS]: cookies, ...texts } = Object.fromEntries(this.#materials.values);
    if (cookies !== undefined) this.#front.setCookieSecrets(this.edge, cookies.split(" "));
    if (!this.#signing.takeTexts(Object.values(texts))) return;
    const { world, mirror } = this.#served ?? {};
    const message = this.#signing.message(mirror?.revision ?? 0, world);
    if (message !== undefined) this.edge.post(message);
  }

  signingOf(
    view: SigningView,
    question: ExplainQuestion,
    zones: ZoneTable,
  ): ExplainSigning | undefined {
    return this.#signing.explain(view, question, zones);
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
    const { current } = mirror;
    const isFenced = mirror.fencedCount > 0 && !this.#fence.isHeld;
    return { world, slots: isFenced ? fencedSlots(world, current) : current, sinceMs };
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
      disk: this.#state.troubles.worst,
      leaseMs: this.#fence.leftMs,
      fencedEndpoints: this.#fence.fencedCount,
    };
  }

  get routingControls(): ToldState | undefined {
    return this.#controls.state;
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
    this.#fence.start();
    this.#controls.load();
    this.#materials.load();
    if (this.#materials.values.size > 0) this.#sign();
    const isRestored = this.#replica.restore();
    if (takeover !== undefined) {
      // The other process follows control no more: this one is to know all of it before it answers.
      this.#link.start();
      await Promise.race([this.#link.whenCurrent, passed(CURRENT_MS_MAX)]);
      // What is fenced is answered on without a break.
      await this.#fence.whenHeld(CURRENT_MS_MAX);
    }
    this.#hasStarted = true;
    await this.edge.start();
    // Not before its workers were started, whose slices are as others'.
    shortenSlices();
    this.#front.start(this.edge);
    await takeover?.finish();
    if (this.#predecessor !== undefined)
      await processEnded(this.#predecessor, {
        warn: (message) => logger.warn(message),
        isStopped: () => this.#isClosed || this.#options.interrupted?.aborted === true,
      });
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
    this.#state.pause();
    this.#state.flush();
  }

  /** It did not come to that. */
  resume(): void {
    this.#link.resume();
    this.#state.resume();
    // The other process had taken the folder already.
    const { logger } = this.#options;
    takeFolderBack(this.#directory, logger, () => !this.#isClosed).catch((error: unknown) => {
      logger.error("Cannot take the state folder back", { reason: reasonOf(error) });
    });
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
      zoneSecrets: () => this.#zoneSecrets,
      onSecrets: (secrets) => {
        const message: SecretsMessage = { kind: "secrets", secrets };
        this.edge.post(message);
      },
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
    this.#fence.close();
    this.#renewal.close();
    this.#front.close();
    await this.#agent?.close();
    this.#link.close();
    this.#copy.close();
    await this.#signing.close();
    try {
      await this.edge.close();
    } catch (error) {
      this.#options.logger.error("Cannot close the sockets", { reason: reasonOf(error) });
    }
    this.#rehearsal.close();
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

  #trafficSince(): TrafficCounts | undefined {
    const found = this.#options.traffic?.((world, endpoint) => this.#slotOf(world, endpoint));
    return found && { epoch: this.#replica.position.epoch, ...found };
  }

  /** What is served now of an endpoint of a world that may be another one. */
  #slotOf(world: World, endpoint: number): number {
    const served = this.#served;
    if (served === undefined) return 0;
    const slot =
      served.world === world
        ? endpoint
        : served.world.pools.endpointIndexOf(key64(world.endpointName(endpoint)));
    return slot < 0 ? 0 : served.mirror.read(slot);
  }

  /** A worker cannot wait for control; this thread can. */
  async #handOn({ id, packet, client, view }: UpdateNotice, worker: number): Promise<void> {
    const answer = await this.#link.handOn(packet, client, view);
    const message: UpdatedMessage = { kind: "updated", id, answer };
    this.edge.tell(worker, message);
  }

  #report(message: unknown, worker: number): void {
    if (isUpdateNotice(message)) void this.#handOn(message, worker);
    if (isTransferNotice(message)) {
      const { what, zone, client, outcome } = message;
      this.#options.logger.info(what, { zone, client, outcome });
    }
    if (isZoneNotified(message)) this.#link.notified(message.zone);
    if (!isHandlerReport(message)) return;
    this.#answers.take(message);
    this.#front.take(message);
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

/** What control sends is taken in soon after it has come, also where others share the core. */
function shortenSlices(): void {
  const loaded = loadNative();
  if (loaded.kind === "missing") return;
  try {
    loaded.native.setSlice(SLICE_NS);
  } catch {
    // A sandbox may forbid it.
  }
}

function passed(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms).unref();
  return promise;
}
