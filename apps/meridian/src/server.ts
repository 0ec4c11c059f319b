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
  type DiskPersistence,
  DocumentService,
  EdgeGateway,
  certificateFileEnd,
  controlVantage,
  Embedded,
  type StateDir,
  TransitionHistory,
  LatencySamples,
  Notifier,
  RefusalLog,
  ShrinkAllowance,
  ControlReplica,
  StateDocuments,
  type ControlView,
  type EdgeFigures,
  type EmbeddedOptions,
  type Fleet,
  type Logger,
  type Publication,
} from "@meridian/control";
import { processEnded, type Takeover } from "@meridian/edge";
import { formatProblem } from "@meridian/model";
import { CommandError, ExitCode } from "./exit-code.ts";
import { DocumentStore, keyPathOf } from "./document-store.ts";
import { FirstAnswers, adviceForSlabs } from "./first-answers.ts";
import { processLogger } from "./process-logger.ts";
import { whileShown } from "./progress.ts";
import { journalPast, replayLine } from "./replay.ts";
import { RollOuts } from "./roll-outs.ts";
import { serverTexts, type ServerEdge } from "./server-edge.ts";
import type { ServerOptions } from "./server-options.ts";
import { sharedPublication } from "./shared-control.ts";
import { ownVersion } from "./version.ts";

export class Server {
  readonly embedded: Embedded;
  readonly #options: ServerOptions;
  readonly #first: FirstAnswers;
  readonly #directory: StateDir;
  readonly #persistence: DiskPersistence;
  readonly #edge: ServerEdge;
  readonly #api: Api;
  readonly #documents: DocumentService;
  readonly #notifier: Notifier;
  readonly #refusals: RefusalLog;
  readonly #state: StateDocuments;
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
    edge.listen({ onWorkerExit: (worker) => this.embedded.forgetWorker(worker) });
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
      allowEmpty: options.allowEmpty,
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
    );
    this.#state = new StateDocuments(this.#documents);
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
      transitions,
      fleet: () => this.#fleet(),
      withdrawn: (revision) => this.#gateway?.publication(revision).reason,
      stateFolder: directory.path,
      logger: logger,
      nowMs: Date.now,
      environment: process.env,
    });
    this.#api = new Api({
      embedded: this.embedded,
      notifier: this.#notifier,
      documents: this.#documents,
      documentStore: () => this.#store.store,
      refusals: this.#refusals,
      consistencyKey: () => this.#store.consistencyKey,
      edge: this.#edge.gatherer,
      gateway: () => this.#gateway,
      ...(replica === undefined ? {} : { replica: () => replica }),
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
    await this.#startGateway();
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
    if (predecessor !== undefined) await processEnded(predecessor);
    await this.#takeStore();
    await this.#startGateway();
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
      keyPath: keyPathOf(this.#options),
      listen,
      section: (name) => this.embedded.section(name),
      copyPath: join(this.#directory.path, "edges-copy.jsonl"),
      hear: (from, payload) => this.embedded.verdicts.hear(from, payload),
      storedSection: (name) => {
        const found = this.#persistence.store.readSection(name);
        return typeof found === "string" ? undefined : found;
      },
      secrets: () => this.embedded.secrets,
      leading: () => {
        const { lease, isLeader } = this.#replica?.leadership ?? { isLeader: true };
        if (lease !== undefined) return { lease };
        return isLeader ? {} : undefined;
      },
      events: {
        onSettled: (revision) => this.#rollOuts.settled(revision),
        onHalted: (revision, reason) => this.#rollOuts.halted(revision, reason),
      },
      refusals: this.#refusals,
      logger: this.#logger,
      clock: systemClock,
    });
    await this.#gateway.start();
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
      onShifts: () => this.embedded.followShifts(),
      onLatches: () => {
        this.embedded.followLatches();
        this.#rollOuts.look();
      },
      onMayServe: (mayServe) => this.#gateway?.setServing(mayServe),
    });
  }

  /** At the start, so that a taken port shows at once; after a process that is replaced has let go of its own. */
  async #startApi(): Promise<void> {
    try {
      this.#httpAddress = await this.#api.start();
    } catch (error) {
      const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      if (!isTaken) throw error;
      throw new CommandError(
        ExitCode.refused,
        `Cannot serve HTTP on ${this.#options.http ?? ""}: the address is in use; give another --http, or "none"`,
      );
    }
  }

  /** Resolves when answers come from a snapshot: where they come from disk already, the files are read behind them. */
  #startControl(): Promise<void> {
    const isAnswering = this.embedded.isReady;
    const started = this.#loadFiles();
    if (!isAnswering) return started;
    started.catch((error: unknown) => {
      this.#logger.error({ reason: reasonOf(error) }, "Cannot read the files");
    });
    return Promise.resolve();
  }

  /** Starts the control plane; where the files give it nothing to serve, the error shows each problem with its place. */
  async #loadFiles(): Promise<void> {
    try {
      await whileShown(
        (passed) => `Reading and compiling the files: ${passed} s`,
        this.embedded.start(),
      );
    } catch (error) {
      const { problems, fileErrors } = this.embedded;
      const errors = problems.filter(({ severity }) => severity === "error").map(formatProblem);
      if (this.embedded.world !== undefined || errors.length + fileErrors.length === 0) throw error;
      throw new CommandError(
        ExitCode.invalid,
        [
          ...fileErrors,
          ...errors,
          "Cannot start: the files have errors, and no state is stored",
        ].join("\n"),
      );
    } finally {
      this.#options.standby?.comeForward();
    }
  }

  #publish(publication: Publication): void {
    const gateway = this.#gateway;
    if (gateway !== undefined) this.#rollOuts.publish(publication, gateway);
    this.#edge.serve(publication, this.embedded.world);
  }

  async #close(): Promise<void> {
    this.#edge.withdraw();
    await this.#api.close();
    await this.#notifier.close();
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
