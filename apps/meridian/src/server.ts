// SPDX-License-Identifier: Apache-2.0

// The embedded server: control plane, edge and API in one process, around one state folder.
//
//   lock the folder (or take the sockets over) ─► open the sockets ─► stored snapshot ─► store, API ─► files ─► first round of probes
//
// The sockets come first: a query that arrives before there is a snapshot is told SERVFAIL, so that its resolver asks elsewhere.

import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { reasonOf, systemClock } from "@meridian/core";
import {
  Api,
  DiskPersistence,
  DocumentService,
  EdgeGateway,
  Embedded,
  StateDir,
  TransitionHistory,
  LatencySamples,
  Notifier,
  RefusalLog,
  ControlReplica,
  StateDocuments,
  parseStoreLocation,
  sealingKey,
  sharedConsistencyKey,
  consistencyKey,
  openStore,
  type ApiAccess,
  type ControlView,
  type EdgeFigures,
  type EmbeddedOptions,
  type Store,
} from "@meridian/control";
import {
  Edge,
  HandoverServer,
  formatEdgeAddress,
  queryHandlerModule,
  takeOver,
  type HandlerData,
  type OpenSocket,
  type Takeover,
} from "@meridian/edge";
import { formatProblem } from "@meridian/model";
import { loadNative } from "@meridian/native";
import { CommandError, ExitCode } from "./exit-code.ts";
import { ChangeAssessment } from "./change-assessment.ts";
import { EdgeGatherer, isHandlerReport } from "./edge-gatherer.ts";
import { whileShown } from "./progress.ts";
import type { LogLevel } from "./log-level.ts";
import { processLogger } from "./process-logger.ts";
import { QueryLogFile } from "./query-log-file.ts";
import { replayLine } from "./replay.ts";
import { ownVersion } from "./version.ts";

export interface ServerOptions {
  readonly files: readonly string[];
  readonly stateDir: string;
  /** None: DNS is not answered here. */
  readonly listen: readonly string[];
  /** `HOST:PORT` where edges come in; undefined for nowhere. */
  readonly edges?: string;
  /** The key that seals secrets in the store; in the state folder where left out. */
  readonly keyFile?: string | undefined;
  /** Where this process probes from, among other vantages; empty where that is not told. */
  readonly site?: string;
  /** The store in etcd that this control shares with others, as text; its own in the state folder where left out. */
  readonly store?: string | undefined;
  /** Of this control among those of its store; the host's where left out. */
  readonly name?: string | undefined;
  /** `HOST:PORT` of the HTTP listener; undefined for none. */
  readonly http: string | undefined;
  /** Who may come in there, and how. */
  readonly access: ApiAccess;
  readonly workers: number;
  readonly transport: "auto" | "native" | "dgram";
  readonly logLevel: LogLevel;
  /** Client prefixes that may ask for diagnoses; none unless given. */
  readonly diagnosis?: readonly string[];
  readonly queryLog: { readonly path: string; readonly every: number } | undefined;
  /** Sockets that a service manager passed, among those of `listen`. */
  readonly passed?: readonly OpenSocket[];
  /** Take the sockets over from the process that holds the state folder. */
  readonly replace: boolean;
  readonly allowEmpty: boolean;
  readonly probing: boolean;
  /** Another process took the sockets over: time to end. */
  readonly onReplaced?: () => void;
}

/** Bytes of a worker's ring of logged queries. */
const LOG_RING_BYTES = 1024 * 1024;
/** How long a process that was replaced may take to end. */
const PREDECESSOR_MS_MAX = 10_000;

export class Server {
  readonly embedded: Embedded;
  readonly #options: ServerOptions;
  readonly #directory: StateDir;
  readonly #persistence: DiskPersistence;
  readonly #gatherer = new EdgeGatherer();
  readonly #edge: Edge | undefined;
  readonly #api: Api;
  readonly #documents: DocumentService;
  readonly #notifier: Notifier;
  readonly #state: StateDocuments;
  /** While a process that is replaced still has it, only to be read. */
  #store: Store | undefined;
  /** Signs what readers have seen; known when the store is. */
  #consistencyKey: Uint8Array = new Uint8Array(0);
  /** Among the controls of a shared store. */
  readonly #replica: ControlReplica | undefined;
  readonly #latency: LatencySamples;
  readonly #queryLog: QueryLogFile | undefined;
  readonly #logger: ReturnType<typeof processLogger>;
  #gateway: EdgeGateway | undefined;
  readonly #assessment = new ChangeAssessment();
  #handover: HandoverServer | undefined;
  #httpAddress: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    options: ServerOptions,
    directory: StateDir,
    logger: ReturnType<typeof processLogger>,
    takeover: Takeover | undefined,
  ) {
    this.#options = options;
    this.#directory = directory;
    this.#logger = logger;
    this.#persistence = new DiskPersistence(directory, logger.control, () => Date.now());
    const { queryLog } = options;
    this.#queryLog =
      queryLog === undefined
        ? undefined
        : new QueryLogFile(queryLog.path, () => this.#gatherer.logs());
    this.#edge = options.listen.length === 0 ? undefined : this.#makeEdge(takeover);
    const transitions = new TransitionHistory();
    this.#latency = new LatencySamples({
      folder: join(directory.path, "latency"),
      onChange: () => this.embedded.recompile(),
    });
    this.embedded = new Embedded({
      files: options.files,
      stored: () => this.#documents.compilerFiles,
      epoch: () => this.#documents.epoch,
      ...this.#sharing(),
      edge: { publish: (publication) => this.#publish(publication) },
      logger: logger.control,
      persistence: this.#persistence,
      mapsFolder: join(directory.path, "maps"),
      probing: options.probing,
      allowEmpty: options.allowEmpty,
      ...this.#judging(options),
      clock: systemClock,
      onTransitions: (batch) => transitions.add(batch),
      onChangeSet: (changeSet) => this.#gateway?.changed(changeSet),
      onSlab: adviceForSlabs(),
    });
    this.#documents = new DocumentService(() => this.#openStore(), this.embedded);
    this.#state = new StateDocuments(this.#documents);
    const replica = options.store === undefined ? undefined : this.#makeReplica();
    this.#replica = replica;
    this.#notifier = new Notifier({
      embedded: this.embedded,
      isLeader: () => this.#replica?.leadership.isLeader !== false,
      documents: () => this.#documents.documents,
      transitions,
      edges: () => this.#gateway?.views() ?? [],
      withdrawn: (revision) => this.#gateway?.publication(revision).reason,
      stateFolder: directory.path,
      logger: logger.control,
      nowMs: Date.now,
      environment: process.env,
    });
    this.#api = new Api({
      embedded: this.embedded,
      notifier: this.#notifier,
      documents: this.#documents,
      documentStore: () => this.#openStore(),
      refusals: new RefusalLog(join(directory.path, "audit")),
      consistencyKey: () => this.#consistencyKey,
      edge: this.#gatherer,
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
          store: this.#persistence.store,
          journal: this.#persistence.journal,
          texts: serverTexts(),
        }),
    });
  }

  /** Alone, or with those that report to it. */
  #judging({
    edges,
    site = "",
  }: ServerOptions): Pick<EmbeddedOptions, "vantage" | "quorum" | "onRoster" | "onPlanKept"> {
    if (edges === undefined) return { vantage: hostname() };
    return {
      // No edge can have this name.
      vantage: `control/${hostname()}`,
      quorum: () => ({ site, expectedCount: this.#gateway?.joinedCount ?? 0 }),
      onRoster: (roster) => this.#gateway?.rosterChanged(roster),
      onPlanKept: () => {
        this.#gateway?.planKept().catch((error: unknown) => {
          this.#logger.control.error({ reason: reasonOf(error) }, "Cannot send vantages a plan");
        });
      },
    };
  }

  /** Resolves when answers come from a snapshot. Rejects, with everything closed, where that cannot be. */
  static async start(options: ServerOptions): Promise<Server> {
    const logger = processLogger(options.logLevel);
    const directory = new StateDir(options.stateDir);
    const takeover = options.replace ? await takeOver(handoverPath(directory)) : undefined;
    const predecessor = takeover === undefined ? undefined : directory.holder();
    if (takeover === undefined) directory.lock();
    else directory.takeLock();
    let server: Server | undefined;
    try {
      server = new Server(options, directory, logger, takeover);
      await server.#start(takeover, predecessor);
      return server;
    } catch (error) {
      takeover?.abandon();
      if (server === undefined) directory.unlock();
      await server?.close();
      throw error;
    }
  }

  /** What is listened on for DNS. */
  get addresses(): readonly string[] {
    return this.#edge?.addresses().map(formatEdgeAddress) ?? [];
  }

  get httpAddress(): string | undefined {
    return this.#httpAddress;
  }

  figures(): EdgeFigures {
    return this.#gatherer.figures();
  }

  /** Answers what was asked, writes what is not on disk yet, and gives the state folder back. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(takeover: Takeover | undefined, predecessor: number | undefined): Promise<void> {
    this.#gatherer.start(this.#edge);
    if (takeover === undefined) await this.#startAlone();
    else await this.#replace(takeover, predecessor);
    this.#notifier.start();
    this.#logger.control.info(
      {
        dns: this.addresses,
        http: this.#httpAddress,
        state: this.#directory.path,
        revision: this.embedded.revision,
        ...(this.#gateway === undefined ? {} : { edges: this.#gateway.address }),
        ...(this.#edge === undefined ? {} : { transport: this.#edge.status().transport }),
      },
      this.#edge === undefined ? "Serving edges" : "Answering",
    );
  }

  async #startAlone(): Promise<void> {
    // The workers come up in threads of their own while this one reads the state folder and the files.
    const edgeStarted = this.#edge?.start();
    // It is waited for below.
    edgeStarted?.catch(() => undefined);
    // What is on disk is answered first. Edges are given it under the epoch of the store.
    if (this.#options.edges === undefined) await this.embedded.restore();
    this.#store = await storeOf(this.#options, this.#directory, this.#logger, false);
    this.#consistencyKey = await consistencyKeyOf(this.#options, this.#directory, this.#store);
    await this.#readStore();
    await this.#startGateway();
    this.#replica?.start();
    if (this.#replica !== undefined) void this.#gateway?.register();
    await this.#startApi();
    await Promise.all([edgeStarted, this.#startControl()]);
    await this.#startHandover();
  }

  /**
   * Takes over from the process that answers. The workers begin with a snapshot in hand: both processes read the same sockets for a
   * while. Where the state folder holds one, nothing else stands before the change: what is left to do is done by a process that answers.
   */
  async #replace(takeover: Takeover, predecessor: number | undefined): Promise<void> {
    const isRestored = await this.embedded.restore();
    if (!isRestored) {
      this.#store = await storeOf(this.#options, this.#directory, this.#logger, true);
      await this.#readStore();
      await this.#startControl();
    }
    await this.#edge?.start();
    await takeover.finish();
    if (predecessor !== undefined) await ended(predecessor);
    await this.#takeStore();
    this.#consistencyKey = await consistencyKeyOf(this.#options, this.#directory, this.#store);
    await this.#startGateway();
    this.#replica?.start();
    if (this.#replica !== undefined) void this.#gateway?.register();
    await this.#startHandover();
    await this.#startApi();
    if (isRestored) await this.#startControl();
  }

  async #startGateway(): Promise<void> {
    const { edges: listen } = this.#options;
    if (listen === undefined) return;
    this.#gateway = await EdgeGateway.open({
      state: this.#state,
      name: this.#options.name ?? hostname(),
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
      events: {
        onSettled: () => this.#documents.settled(),
        onHalted: (revision, reason) => this.#takeBack(revision, reason),
      },
      logger: this.#logger.control,
      clock: systemClock,
    });
    await this.#gateway.start();
  }

  /** For `get controls`: what this one is among the controls of its store. */
  async #standing(): Promise<Omit<ControlView, "name" | "address">> {
    const replica = this.#replica;
    const isLeader = replica === undefined || replica.leadership.isLeader;
    const { revision, ageMs } = await this.#openStore().head({ stale: true });
    return {
      role: isLeader ? "leader" : "follower",
      standing: replica?.agreement.standing ?? "agrees",
      epoch: this.embedded.epoch,
      revision: this.embedded.revision,
      storeRevision: revision,
      storeAgeMs: ageMs,
      version: ownVersion(),
    };
  }

  /** Edges found a revision bad: what was before is served again, as a new one. */
  #takeBack(revision: number, reason: string): void {
    this.#logger.control.error({ revision, reason }, "A revision is taken back");
    const work = async (): Promise<void> => {
      const isShared = this.#replica !== undefined;
      const before = await this.#documents.beforeUnsettled(isShared ? revision : undefined);
      if (!(await this.embedded.withdraw(revision, reason)) || before === undefined) return;
      await this.#documents.undo(before, `edges found it bad: ${reason}`);
    };
    work().catch((error: unknown) =>
      this.#logger.control.error({ revision, reason: reasonOf(error) }, "Cannot take it back"),
    );
  }

  async #startHandover(): Promise<void> {
    if (this.#edge === undefined) return;
    this.#handover = await HandoverServer.start({
      path: handoverPath(this.#directory),
      edge: this.#edge,
      logger: this.#logger.edge,
      onReplaced: () => this.#options.onReplaced?.(),
    });
  }

  /** The process that had the store has ended: from now on it is written here. */
  async #takeStore(): Promise<void> {
    const before = this.#store;
    const revision = before === undefined ? 0 : this.#documents.documents.revision;
    this.#store = await storeOf(this.#options, this.#directory, this.#logger, false);
    await before?.close();
    await this.#readStore();
    // What it committed to the last is served, too.
    if (before !== undefined && this.#documents.documents.revision !== revision)
      this.embedded.recompile();
  }

  async #readStore(): Promise<void> {
    if (this.#store === undefined) return;
    // Without a quorum a control starts from what it knows.
    await this.#documents.start({ stale: this.#replica !== undefined });
  }

  /** What differs where the documents are those of several controls. */
  #sharing(): Partial<ConstructorParameters<typeof Embedded>[0]> {
    if (this.#options.store === undefined)
      return { latencyFolder: join(this.#directory.path, "latency") };
    const replica = (): ControlReplica => {
      if (this.#replica !== undefined) return this.#replica;
      throw new CommandError(ExitCode.failed, "Cannot publish: this control is not started yet");
    };
    return {
      shared: {
        contentRevision: () => replica().contentRevision(),
        serials: () => replica().serials(),
        hosts: () => replica().hosts(),
        hostsChanged: (seen) => replica().hostsChanged(seen),
        agree: (candidate) => replica().agree(candidate),
        shifts: () => this.#replica?.shifts() ?? [],
        addShift: (shift) => replica().addShift(shift),
        endShifts: (shifts) => replica().endShifts(shifts),
        expireShifts: (shifts) => replica().expireShifts(shifts),
        latch: (node, declared) => this.#replica?.latch(node, declared) ?? {},
        latchesMoved: (latches) => this.#replica?.latchesMoved(latches),
        failback: (latch) => replica().failback(latch),
      },
    };
  }

  #makeReplica(): ControlReplica {
    return new ControlReplica({
      name: this.#options.name ?? hostname(),
      documents: this.#documents,
      state: this.#state,
      logger: this.#logger.control,
      onContent: () => this.embedded.recompile(),
      onShifts: () => this.embedded.followShifts(),
      onLatches: () => this.embedded.followLatches(),
      onMayServe: (mayServe) => this.#gateway?.setServing(mayServe),
    });
  }

  #openStore(): Store {
    if (this.#store !== undefined) return this.#store;
    throw new CommandError(ExitCode.failed, "Cannot read documents: the store is not open yet");
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
      this.#logger.control.error({ reason: reasonOf(error) }, "Cannot read the files");
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
    }
  }

  #makeEdge(takeover: Takeover | undefined): Edge {
    const { listen, workers, transport, queryLog, diagnosis } = this.#options;
    const handlerData: HandlerData = {
      kind: "query",
      ...serverTexts(),
      ...(diagnosis === undefined ? {} : { diagnosis }),
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
    };
    return new Edge({
      listen,
      workers,
      transport,
      handlerModule: queryHandlerModule,
      handlerData,
      logger: this.#logger.edge,
      onMessage: (message) => this.#take(message),
      onWorkerExit: (worker) => this.embedded.forgetWorker(worker),
      ...(takeover === undefined
        ? { inherited: this.#options.passed ?? [] }
        : { inherited: takeover.sockets, joinExisting: takeover.joinExisting }),
    });
  }

  #publish(publication: Parameters<EdgePublish>[0]): void {
    const { world } = this.embedded;
    if (world !== undefined) {
      this.#gatherer.published(publication.revision, world);
      this.#queryLog?.published(publication.revision, world);
    }
    const gateway = this.#gateway;
    gateway?.publish(publication, this.#assessment.stagingOf(publication, gateway.hasEdges));
    const { manifest: _, ...message } = publication;
    this.#edge?.post({ kind: "snapshot", ...message });
  }

  #take(message: unknown): void {
    if (!isHandlerReport(message)) return;
    this.#gatherer.take(message);
    if (message.kind !== "refused") return;
    const { worker, revision, error } = message;
    this.#logger.control.error({ worker, revision, error }, "A worker refused a snapshot");
  }

  async #close(): Promise<void> {
    this.#handover?.close();
    await this.#api.close();
    await this.#notifier.close();
    await this.#gateway?.close();
    await this.#replica?.close();
    this.#latency.close();
    await this.embedded.close();
    await this.#edge?.close();
    this.#queryLog?.close();
    this.#gatherer.close();
    this.#persistence.close();
    await this.#store?.close();
    this.#directory.unlock();
  }
}

/** Huge pages under the sections: a look-up among a million names then costs a fifth less. Without the add-on there are none. */
function adviceForSlabs(): (slab: SharedArrayBuffer) => void {
  const loaded = loadNative();
  return (slab) => {
    if (loaded.kind === "loaded") loaded.native.adviseHugePages(new Uint8Array(slab));
  };
}

type EdgePublish = ConstructorParameters<typeof Embedded>[0]["edge"]["publish"];

/** What the server says of itself in answers. */
function serverTexts(): { nsid: string; identity: string; version: string } {
  return { nsid: hostname(), identity: hostname(), version: `Meridian ${ownVersion()}` };
}

function keyPathOf({ keyFile, stateDir }: ServerOptions): string {
  return keyFile ?? join(stateDir, "identity", "sealing.key");
}

/** Signs what readers have seen: with one key where any control of a store may be asked next. */
async function consistencyKeyOf(
  options: ServerOptions,
  directory: StateDir,
  store: Store | undefined,
): Promise<Uint8Array> {
  if (options.store === undefined || store === undefined) return consistencyKey(directory.path);
  const { documents } = await store.list({ kind: "Authority", limit: 1, stale: true });
  return sharedConsistencyKey(sealingKey(keyPathOf(options), documents.length === 0));
}

/** The shared store, or that in the state folder; undefined where it is only to be read and is not there yet. */
async function storeOf(
  { store: shared }: ServerOptions,
  directory: StateDir,
  logger: ReturnType<typeof processLogger>,
  isReadOnly: boolean,
): Promise<Store | undefined> {
  if (shared !== undefined) {
    const location = parseStoreLocation(shared);
    if (location.kind !== "etcd")
      throw new CommandError(
        ExitCode.invalid,
        `Cannot share the store "${shared}": it is a file of one control, expected etcd://HOST:PORT,…/PREFIX`,
      );
    const { mirrorPath = join(directory.path, "store-mirror.sqlite") } = location;
    return openStore({ ...location, mirrorPath }, (message) => logger.control.warn({}, message));
  }
  const path = join(directory.path, "store.sqlite");
  if (isReadOnly && !existsSync(path)) return undefined;
  return openStore({ kind: "sqlite", path, isReadOnly }, (message) =>
    logger.control.warn({}, message),
  );
}

function handoverPath(directory: StateDir): string {
  return join(directory.path, "handover.sock");
}

/** Waits until a process has ended, but not for ever. */
async function ended(pid: number): Promise<void> {
  const deadline = performance.now() + PREDECESSOR_MS_MAX;
  while (performance.now() < deadline && isAlive(pid)) {
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
