// SPDX-License-Identifier: Apache-2.0

// The embedded server: control plane, edge and API in one process, around one state folder.
//
//   lock the folder (or take the sockets over) ─► open the sockets ─► stored snapshot ─► store, API ─► files ─► first round of probes
//   └────────────────────────── FirstAnswers ─────────────────────────────────────┘
//
// The sockets come first: a query that arrives before there is a snapshot is told SERVFAIL, so that its resolver asks elsewhere.

import { hostname } from "node:os";
import { join } from "node:path";
import { reasonOf, systemClock } from "@meridian/core";
import {
  Api,
  Approvals,
  DrillKeeper,
  Secrets,
  type DiskPersistence,
  DocumentService,
  DynamicUpdates,
  EdgeGateway,
  drainTallies,
  HandOvers,
  certificateFileEnd,
  controlVantage,
  Embedded,
  type StateDir,
  TransitionHistory,
  LatencySamples,
  Notifier,
  RefusalLog,
  RoutingControls,
  ShrinkAllowance,
  ControlReplica,
  WeightOverrides,
  type WeightsReach,
  RolloutKeeper,
  StateDocuments,
  type ControlView,
  type EdgeFigures,
  type EmbeddedOptions,
  type Fleet,
  type Leading,
  type Logger,
  type Publication,
  type ServedOverlay,
} from "@meridian/control";
import { processEnded, type Takeover } from "@meridian/edge";
import { DocumentStore } from "./document-store.ts";
import { FirstAnswers, adviceForSlabs } from "./first-answers.ts";
import { keyPlaceOf } from "./key-place.ts";
import { LocalTraffic } from "./local-traffic.ts";
import { processLogger } from "./process-logger.ts";
import { journalPast, replayLine } from "./replay.ts";
import { RollOuts } from "./roll-outs.ts";
import { transferSecrets } from "@meridian/snapshot";
import { serverTexts, type ServerEdge } from "./server-edge.ts";
import { Recovery } from "./recovery.ts";
import type { ServerOptions } from "./server-options.ts";
import { sharedPublication } from "./shared-control.ts";
import { startApi, startControl } from "./server-start.ts";
import { ownVersion } from "./version.ts";
import { ZoneWork } from "./zone-work.ts";

export class Server {
  readonly embedded: Embedded;
  readonly #options: ServerOptions;
  readonly #first: FirstAnswers;
  readonly #directory: StateDir;
  readonly #persistence: DiskPersistence;
  readonly #edge: ServerEdge;
  readonly #traffic: LocalTraffic;
  readonly #api: Api;
  readonly #documents: DocumentService;
  readonly #updates: DynamicUpdates;
  readonly #notifier: Notifier;
  readonly #zones: ZoneWork;
  readonly #refusals: RefusalLog;
  readonly #state: StateDocuments;
  readonly #approvals: Approvals;
  readonly #drills: DrillKeeper;
  readonly #routing: RoutingControls;
  readonly #handOvers: HandOvers;
  readonly #weights: WeightOverrides;
  readonly #rollouts: RolloutKeeper;
  readonly #recovery: Recovery;
  readonly #store: DocumentStore;
  /** Among the controls of a shared store. */
  readonly #replica: ControlReplica | undefined;
  readonly #latency: LatencySamples;
  readonly #logger: Logger;
  #gateway: EdgeGateway | undefined;
  readonly #rollOuts: RollOuts;
  #httpAddress: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: ServerOptions, first: FirstAnswers) {
    const { directory, persistence, edge } = first;
    const logger = processLogger(options.logLevel);
    this.#options = options;
    this.#first = first;
    this.#directory = directory;
    this.#logger = logger;
    this.#persistence = persistence;
    this.#store = new DocumentStore(options, (message) => logger.warn({}, message));
    this.#edge = edge;
    edge.listen({
      onWorkerExit: (worker) => this.embedded.forgetWorker(worker),
      onNotified: (zone) => this.#zones.secondaries.notify(zone),
      onUpdate: (packet, client, view) => this.#updates.apply(packet, client, view),
    });
    this.#refusals = new RefusalLog(join(directory.path, "audit"));
    const transitions = new TransitionHistory();
    this.#latency = new LatencySamples({
      folder: join(directory.path, "latency"),
      onChange: () => this.embedded.recompile(),
    });
    this.embedded = new Embedded({
      files: options.files,
      stored: () => this.#documents.compilerFiles,
      epoch: () => this.#documents.epoch,
      ...(options.store === undefined
        ? { latencyFolder: join(directory.path, "latency") }
        : { shared: sharedPublication(() => this.#replica) }),
      edge: { publish: (publication) => this.#publish(publication) },
      logger: logger,
      persistence: this.#persistence,
      mapsFolder: join(directory.path, "maps"),
      probing: options.probing,
      secrets: { folder: join(directory.path, "secrets"), environment: process.env },
      onSecrets: (secrets) => this.#edge.setSecrets(secrets),
      allowEmpty: options.allowEmpty,
      switchedOff: () => this.#routing.off(),
      fencedTargets: () => this.#routing.fencedTargets(),
      weights: () => this.#weights.all(),
      ...this.#judging(options),
      clock: systemClock,
      onTransitions: (batch) => transitions.add(batch),
      onChangeSet: (changeSet) => this.#gateway?.changed(changeSet),
      servedByEdges: () => this.#rollOuts.servedRevisions,
      onSlab: adviceForSlabs(),
      ...(first.restored === undefined ? {} : { restored: first.restored }),
    });
    this.#documents = new DocumentService(
      () => this.#store.store,
      this.embedded,
      new ShrinkAllowance(join(directory.path, "allowed-change")),
      () => {
        void this.#routing.look();
        this.#handOvers.look();
        this.#rollouts.look();
        void this.#weights.look();
        this.#recovery.runs.look();
      },
      (act, caller, how) => this.#approvals.admit(act, caller, how),
    );
    this.#updates = new DynamicUpdates({
      documents: this.#documents,
      declared: (origin, names) => this.embedded.declaredZone(origin, names),
      secrets: () => this.embedded.secretsOf("edge"),
      logger,
    });
    this.#state = new StateDocuments(this.#documents);
    this.#approvals = new Approvals(this.#state, Date.now);
    this.#drills = new DrillKeeper({
      ...{ state: this.#state, embedded: this.embedded, off: () => this.#routing.off() },
      leading: () => this.#leading(),
      secrets: new Secrets(join(directory.path, "secrets"), process.env),
      logger,
      nowMs: () => systemClock.wallMs(),
    });
    this.#routing = new RoutingControls(
      this.#state,
      Date.now,
      (text) => this.embedded.followShifts(text),
      (act, caller, how) => this.#approvals.admit(act, caller, how),
    );
    this.#handOvers = new HandOvers({
      ...{ state: this.#state, routing: this.#routing, logger, clock: systemClock },
      served: () => this.#servedOverlay(),
      gateway: () => this.#gateway,
      epoch: () => this.#documents.epoch,
      leading: () => this.#leading(),
    });
    this.#weights = new WeightOverrides(this.#state, (text) => this.embedded.followWeights(text));
    this.#recovery = new Recovery({
      embedded: this.embedded,
      state: this.#state,
      routing: this.#routing,
      weights: this.#weights,
      isShared: options.store !== undefined,
      leading: () => this.#leading(),
      gateway: () => this.#gateway,
      answersItself: options.edges === undefined,
      name: options.name ?? hostname(),
      secretsFolder: join(directory.path, "secrets"),
      gate: (act, caller, how) => this.#approvals.admit(act, caller, how),
      logger,
    });
    const replica = options.store === undefined ? undefined : this.#makeReplica();
    this.#replica = replica;
    this.#rollOuts = new RollOuts({
      stateFolder: directory.path,
      persistence: this.#persistence,
      embedded: this.embedded,
      documents: this.#documents,
      state: this.#state,
      replica,
      gateway: () => this.#gateway,
      logger: logger,
    });
    this.#notifier = new Notifier({
      embedded: this.embedded,
      isLeader: () => this.#replica?.leadership.isLeader !== false,
      documents: () => this.#documents.documents,
      alerts: () => [...this.#approvals.alerts(), ...this.#drills.alerts()],
      transitions,
      fleet: () => this.#fleet(),
      withdrawn: (revision) => this.#gateway?.publication(revision).reason,
      stateFolder: directory.path,
      logger: logger,
      nowMs: Date.now,
      environment: process.env,
    });
    this.#rollouts = new RolloutKeeper({
      state: this.#state,
      approvals: this.#approvals,
      weights: this.#weights,
      served: () => {
        const { model, world } = this.embedded;
        return model === undefined || world === undefined ? undefined : { model, world };
      },
      leading: () => this.#leading(),
      reach: (asOf) => this.#weightsReach(asOf),
      secrets: { folder: join(directory.path, "secrets"), environment: process.env },
      board: this.#notifier.board,
      logger,
      nowMs: () => systemClock.wallMs(),
    });
    this.#zones = new ZoneWork({
      server: options,
      stateFolder: directory.path,
      secretsFolder: join(directory.path, "secrets"),
      embedded: this.embedded,
      state: this.#state,
      documents: this.#documents,
      edge,
      gateway: () => this.#gateway,
      leading: () => this.#leading(),
      board: this.#notifier.board,
      logger,
    });
    this.#traffic = new LocalTraffic(this.embedded, this.#edge.gatherer);
    this.#api = new Api({
      embedded: this.embedded,
      notifier: this.#notifier,
      zoneKeys: this.#zones.keys,
      secondaries: this.#zones.secondaries,
      updates: this.#updates,
      publisher: this.#zones.publisher,
      documents: this.#documents,
      documentStore: () => this.#store.store,
      refusals: this.#refusals,
      consistencyKey: () => this.#store.consistencyKey,
      edge: this.#edge.gatherer,
      gateway: () => this.#gateway,
      ...(replica === undefined ? {} : { replica: () => replica }),
      routing: this.#routing,
      handOvers: this.#handOvers,
      weights: this.#weights,
      approvals: this.#approvals,
      rollouts: this.#rollouts,
      drills: this.#drills,
      recovery: this.#recovery.runs,
      signingOf: (view, question, zones) => this.#edge.signingOf(view, question, zones),
      transitions,
      journal: this.#persistence.journal,
      store: this.#persistence.store,
      ...(options.store === undefined ? { latency: this.#latency } : {}),
      version: ownVersion(),
      http: options.http,
      ...options.access,
      socketPath: directory.socketPath,
      replay: (line) =>
        replayLine(line, {
          past: journalPast(this.#persistence.store, this.#persistence.journal),
          texts: serverTexts(),
        }),
    });
  }

  /** Alone, or with those that report to it. */
  #judging({
    edges,
    site = "",
    name = hostname(),
    store,
  }: ServerOptions): Pick<
    EmbeddedOptions,
    "vantage" | "quorum" | "onRoster" | "onReport" | "onPlanKept"
  > {
    if (edges === undefined) return { vantage: hostname() };
    return {
      vantage: controlVantage(name),
      quorum: () => ({
        site,
        expectedCount: this.#gateway?.expectedCount ?? 0,
        isReporting: store !== undefined,
      }),
      onReport: (payload) => this.#gateway?.report(payload),
      onRoster: (roster) => this.#gateway?.rosterChanged(roster),
      onPlanKept: () => {
        this.#gateway?.planKept().catch((error: unknown) => {
          this.#logger.error({ reason: reasonOf(error) }, "Cannot send vantages a plan");
        });
      },
    };
  }

  /** Resolves when answers come from a snapshot. Rejects, with everything closed, where that cannot be. */
  static async start(options: ServerOptions, given?: FirstAnswers): Promise<Server> {
    const first = given ?? (await FirstAnswers.start(options));
    let server: Server | undefined;
    try {
      server = new Server(options, first);
      await server.#start();
      return server;
    } catch (error) {
      // From its start on the edge closes the sockets, which are its own then.
      if (!first.edge.isStarted) first.takeover?.abandon();
      if (server === undefined) await first.close();
      await server?.close();
      throw error;
    }
  }

  /** What is listened on for DNS. */
  get addresses(): readonly string[] {
    return this.#edge.addresses;
  }

  get httpAddress(): string | undefined {
    return this.#httpAddress;
  }

  figures(): EdgeFigures {
    return this.#edge.gatherer.figures();
  }

  /** Answers what was asked, writes what is not on disk yet, and gives the state folder back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(): Promise<void> {
    const { takeover, predecessor } = this.#first;
    if (takeover === undefined) await this.#startAlone();
    else await this.#replace(takeover, predecessor);
    this.#notifier.start();
    this.#drills.start();
    this.#zones.start();
    this.#rollouts.start();
    this.#recovery.start();
    if (this.#edge.isAnswering) this.#traffic.start();
    this.#handOvers.start();
    this.#logger.info(
      {
        dns: this.addresses,
        http: this.#httpAddress,
        state: this.#directory.path,
        revision: this.embedded.revision,
        ...(this.#gateway === undefined ? {} : { edges: this.#gateway.address }),
        ...(this.#edge.isAnswering ? { transport: this.#edge.transport } : {}),
      },
      this.#edge.isAnswering ? "Answering" : "Serving edges",
    );
  }

  async #startAlone(): Promise<void> {
    const edgeStarted = this.#edge.start();
    // It is waited for below.
    edgeStarted.catch(() => undefined);
    // What is on disk is answered first. Edges are given it under the epoch of the store.
    if (this.#options.edges === undefined) await this.embedded.restore();
    await this.#store.open();
    await this.#readStore();
    this.#zones.keys.start();
    await this.#startGateway();
    this.#zones.cookies.start();
    this.#replica?.start();
    if (this.#replica !== undefined) void this.#gateway?.register();
    await this.#startApi();
    await Promise.all([edgeStarted, this.#startControl()]);
    await this.#edge.offer();
  }

  /**
   * Takes over from the process that answers. The workers begin with a snapshot in hand: both processes read the same sockets for a
   * while. Where the state folder holds one, nothing else stands before the change: what is left to do is done by a process that answers.
   */
  async #replace(takeover: Takeover, predecessor: number | undefined): Promise<void> {
    const isRestored = await this.embedded.restore();
    if (!isRestored) {
      await this.#store.openReadOnly();
      await this.#readStore();
      await this.#startControl();
    }
    await this.#edge.start();
    await takeover.finish();
    // Not before: should this process fail until here, the folder stays that of the one that answers.
    this.#directory.takeLock();
    if (predecessor !== undefined)
      await processEnded(predecessor, {
        warn: (message) => this.#logger.warn({ predecessor }, message),
        isStopped: () => this.#options.interrupted?.aborted === true,
      });
    await this.#takeStore();
    this.#zones.keys.start();
    await this.#startGateway();
    this.#zones.cookies.start();
    this.#replica?.start();
    if (this.#replica !== undefined) void this.#gateway?.register();
    await this.#edge.offer();
    await this.#startApi();
    if (isRestored) await this.#startControl();
  }

  async #startGateway(): Promise<void> {
    const { edges: listen } = this.#options;
    if (listen === undefined) return;
    this.#gateway = await EdgeGateway.open({
      state: this.#state,
      name: this.#options.name ?? hostname(),
      site: this.#options.site ?? "",
      version: ownVersion(),
      control: () => this.#standing(),
      stateFolder: this.#directory.path,
      keyPlace: keyPlaceOf(this.#options),
      listen,
      section: (name) => this.embedded.section(name),
      copyPath: join(this.#directory.path, "edges-copy.jsonl"),
      hear: (from, payload) => this.embedded.verdicts.hear(from, payload),
      storedSection: (name) => {
        const found = this.#persistence.store.readSection(name);
        return typeof found === "string" ? undefined : found;
      },
      secrets: (role) => this.embedded.secretsOf(role),
      leading: () => this.#leading(),
      update: (packet, client, view) => this.#updates.apply(packet, client, view),
      events: {
        onSettled: (revision) => this.#rollOuts.settled(revision),
        onHalted: (revision, reason) => this.#rollOuts.halted(revision, reason),
      },
      refusals: this.#refusals,
      notified: (zone) => this.#zones.secondaries.notify(zone),
      traffic: (edge, counts) => this.embedded.counted(edge, counts),
      drains: () => drainTallies(this.embedded, Date.now()),
      weights: {
        weights: this.#weights,
        storeRevision: () => this.#documents.documents.revision,
        place: () => ({ revision: this.embedded.revision, sequence: this.embedded.sequence }),
      },
      logger: this.#logger,
      clock: systemClock,
    });
    // Before the first edge is sent a revision.
    this.#zones.tellEdges();
    if (this.#routing.fencedPanels().length > 0) this.#gateway.holdUntilConfirmed();
    await this.#gateway.start();
  }

  /** What answers here, and at edges, follows routing controls by. */
  #servedOverlay(): ServedOverlay | undefined {
    const { embedded } = this;
    if (!embedded.isReady) return undefined;
    const { epoch, revision, sequence } = embedded;
    return {
      ...{ epoch, revision, sequence },
      isSettled: embedded.overlay.isSettled(this.#edge.workers),
      follow: () => embedded.followShifts("routing controls of what is served now"),
    };
  }

  /** undefined where another control of the store leads. */
  #leading(): Leading {
    const { lease, isLeader } = this.#replica?.leadership ?? { isLeader: true };
    if (lease !== undefined) return { lease };
    return isLeader ? {} : undefined;
  }

  /** For `get controls`: what this one is among the controls of its store. */
  async #standing(): Promise<Omit<ControlView, "name" | "address" | "authorityEndsMs">> {
    const replica = this.#replica;
    const isLeader = replica === undefined || replica.leadership.isLeader;
    const { revision, ageMs } = await this.#store.store.head({ stale: true });
    return {
      role: isLeader ? "leader" : "follower",
      standing: replica?.agreement.standing ?? "agrees",
      epoch: this.embedded.epoch,
      revision: this.embedded.revision,
      storeRevision: revision,
      storeAgeMs: ageMs,
      version: ownVersion(),
      certificateEndsMs: certificateFileEnd(this.#options.access.tls?.certificate),
    };
  }

  async #weightsReach(asOf: number): Promise<WeightsReach> {
    if (this.#gateway !== undefined) return this.#gateway.weightsReach(asOf);
    await this.#weights.look();
    return { waiting: [], silent: [] };
  }

  /** What is told of edges and certificates; of one alone it is the certificate of its API. */
  async #fleet(): Promise<Fleet> {
    if (this.#gateway !== undefined) return this.#gateway.fleet();
    const atMs = certificateFileEnd(this.#options.access.tls?.certificate);
    const subject = "certificate/api";
    return { edges: [], expiries: atMs === undefined ? [] : [{ subject, atMs }] };
  }

  /** The process that had the store has ended: from now on it is written here. */
  async #takeStore(): Promise<void> {
    const wasOpen = this.#store.isOpen;
    const revision = wasOpen ? this.#documents.documents.revision : 0;
    await this.#store.open();
    await this.#readStore();
    // What it committed to the last is served, too.
    if (wasOpen && this.#documents.documents.revision !== revision) this.embedded.recompile();
  }

  async #readStore(): Promise<void> {
    if (!this.#store.isOpen) return;
    // Without a quorum a control starts from what it knows.
    await this.#documents.start({ stale: this.#replica !== undefined });
    if (await this.#documents.isShrinkingMeant())
      this.embedded.meansShrinking(() => this.#documents.shrunk());
  }

  #makeReplica(): ControlReplica {
    return new ControlReplica({
      name: this.#options.name ?? hostname(),
      documents: this.#documents,
      state: this.#state,
      logger: this.#logger,
      onContent: () => this.embedded.recompile(),
      onShifts: () => void this.embedded.followShifts("shifts of all controls"),
      onLatches: () => {
        this.embedded.followLatches();
        this.#rollOuts.look();
        this.#recovery.runs.look();
      },
      onMayServe: (mayServe) => this.#gateway?.setServing(mayServe),
    });
  }

  /** After a process that is replaced has let go of its own. */
  async #startApi(): Promise<void> {
    this.#httpAddress = await startApi(this.#api, this.#options);
  }

  #startControl(): Promise<void> {
    return startControl(this.embedded, this.#options, this.#logger);
  }

  #publish(publication: Publication): void {
    const gateway = this.#gateway;
    if (gateway !== undefined) this.#rollOuts.publish(publication, gateway);
    const { world } = this.embedded;
    this.#edge.serve(publication, world);
    if (world !== undefined) this.embedded.needSecrets(transferSecrets(world));
  }

  async #close(): Promise<void> {
    this.#traffic.close();
    this.#edge.withdraw();
    await this.#api.close();
    await this.#handOvers.close();
    await this.#recovery.close();
    await this.#notifier.close();
    await this.#drills.close();
    await this.#zones.close();
    await this.#rollouts.close();
    this.#rollOuts.close();
    await this.#gateway?.close();
    await this.#replica?.close();
    this.#latency.close();
    await this.embedded.close();
    await this.#edge.close();
    this.#persistence.close();
    await this.#store.close();
    this.#directory.unlock();
  }
}
