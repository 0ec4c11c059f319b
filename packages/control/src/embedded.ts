// SPDX-License-Identifier: Apache-2.0

// The embedded control plane: everything between files and the edge, in one process.
//
//   files ─► model ─► compile ─► sections ─┐
//                                          ├─► publish to the edge link, store
//   probes ─► verdicts ─► overlay ─────────┘
//
// A change of files is all or nothing: with any error the last good revision stays, and the problems are a condition.

import { Haste, systemClock, type Clock } from "@meridian/core";
import {
  echoesUnavailable,
  VerdictThread,
  type SharedOverlay,
  TransitionLog,
  type TransitionBatch,
} from "@meridian/health";
import type { InputFile, Problem } from "@meridian/model";
import { isLater, type ManifestSection, type TrafficCounts, type World } from "@meridian/snapshot";
import { AdoptedModel, type VersionedLoad } from "./adopted-model.ts";
import type { CompileProblem } from "./compile.ts";
import { CompilerProcess } from "./compiler-process.ts";
import type { FileDocument, Proposal, ProposalOptions, Publisher } from "./documents/publisher.ts";
import type { JoinRole } from "./edges/edge-roster.ts";
import type { EmbeddedOptions, Reload, SharedPublication } from "./embedded-options.ts";
import { FileReloads, type LoadKind, type VersionedOutcome } from "./file-reloads.ts";
import type { Page, PageRequest } from "@meridian/snapshot/surface";
import { candidatePair } from "./plan/candidate-pair.ts";
import type { PlannedPair } from "./plan/plan.ts";
import { restorePair } from "./restored-pair.ts";
import { RunningShifts } from "./running-shifts.ts";
import type { ServedModel } from "./served-model.ts";
import { sizeOf } from "./shrinking.ts";
import { unkeptProblems, type UnkeptRevision } from "./revision-keeper.ts";
import { ServedSnapshot } from "./served-snapshot.ts";
import type { Shift } from "./shift-effects.ts";
import type { ShiftReach } from "./shift-lead.ts";
import { MeasuredTraffic } from "./traffic/measured-traffic.ts";
import type { DocumentKey } from "./store/store.ts";
import type { DeclaredZone } from "./updates/declared-zone.ts";
import type { RecordView } from "./views.ts";
import { OverriddenWeights } from "./weights/overridden-weights.ts";
import { dateSerial } from "./zone-history.ts";

/** Longest wait for a first round of probes before answers start without one. */
const FIRST_ROUND_MS_MAX = 5000;

export class Embedded implements Publisher {
  readonly verdicts: VerdictThread;
  readonly #options: EmbeddedOptions;
  readonly #clock: Clock;
  readonly #compiler: CompilerProcess;
  readonly #served: ServedSnapshot;
  readonly #adopted: AdoptedModel;
  readonly #reloads: FileReloads;
  readonly #shifts: RunningShifts;
  /** Where clients were really sent, as the edges of this control say. */
  readonly traffic: MeasuredTraffic = new MeasuredTraffic();
  readonly #weights: OverriddenWeights;
  readonly #log: TransitionLog;
  /** Of the paths of files, those that had some when they were last good. */
  #filled: readonly string[] = [];
  #isClosed = false;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { logger } = options;
    this.#log = new TransitionLog({
      nowMs: () => this.#clock.monotonicMs(),
      one: ({ key, verdict, reason }) =>
        logger.info({ endpoint: key, verdict, reason }, "Verdict changed"),
      more: (counts) => logger.info(counts, "More verdicts changed"),
    });
    this.verdicts = new VerdictThread({
      vantage: options.vantage,
      wallMs: () => this.#clock.wallMs(),
      onChangeSet: (changeSet) => {
        options.onChangeSet?.(changeSet);
        if (changeSet.cause.kind === "latch")
          options.shared?.latchesMoved(this.#adopted.latchPositions());
        options.persistence.recordChangeSet(changeSet);
      },
      onTransitions: (batch) => this.#transitions(batch),
      recorded: () => options.persistence.recordedSlots?.(),
      ...(options.quorum === undefined ? {} : { quorum: options.quorum }),
      onRoster: (roster) => options.onRoster?.(roster),
      onReport: (payload) => options.onReport?.(payload),
      onDeath: (reason) =>
        options.logger.error({ reason }, "The verdict thread died and is started anew"),
    });
    this.#compiler = new CompilerProcess({
      paths: options.files,
      mapsFolder: options.mapsFolder,
      latencyFolder: options.latencyFolder,
      snapshotFolder: options.persistence.sectionFolder?.path,
    });
    const haste = new Haste();
    this.#served = new ServedSnapshot(options, this.#clock, {
      haste,
      compiler: this.#compiler,
      verdicts: this.verdicts,
    });
    this.#adopted = new AdoptedModel(options, this.#clock, {
      served: this.#served,
      compiler: this.#compiler,
      verdicts: this.verdicts,
      onServed: () => {
        void this.#shifts.follow("shifts that are running");
        void this.#weights.follow("weights of rollouts and plans");
      },
      onOvertaken: () => this.#recompileAnyway(),
    });
    this.#reloads = new FileReloads(options.files, options.logger, {
      compile: (load) => this.#compile(load),
      adopt: async (accepted) => {
        const isChanged = await this.#adopted.adopt(accepted);
        this.#onShrunk?.();
        this.#onShrunk = undefined;
        return isChanged;
      },
      isCompiled: () => this.#isCompiled(),
      haste,
      revision: () => this.revision,
    });
    this.#shifts = new RunningShifts(options, this.#clock, () => {
      const { model, world } = this;
      if (model === undefined || world === undefined) return undefined;
      return { model, world, overlay: this.overlay };
    });
    this.#weights = new OverriddenWeights(
      () => (this.world === undefined ? undefined : { world: this.world, overlay: this.overlay }),
      options.weights ?? (() => []),
      options.logger,
    );
  }

  /**
   * Serves the stored revision at once where there is one, then what the files say, and goes on watching them. Resolves when the edge
   * has something to serve that probes or the stored overlay vouch for; rejects where there is neither a stored revision nor good files.
   */
  async start(): Promise<void> {
    const isRestored = await this.restore();
    if (this.#isClosed) return;
    // Not before: until something is served, the processor is for that.
    this.#compiler.start();
    if (this.world !== undefined) this.#restoreProbes();
    // With or without good files: what is served from disk goes on being judged.
    if (isRestored && this.#options.probing) this.verdicts.start();
    const reload = await this.#firstLoad();
    if (this.#isClosed) return;
    // Other controls may have to agree first.
    if (this.#options.shared !== undefined)
      await this.#adopted.whenServed(this.world !== undefined);
    if (this.#isClosed) return;
    if (this.world === undefined) throw notStarted(reload);
    if (this.#options.probing) this.verdicts.start();
    if (!isRestored) await this.#firstRound();
    if (this.#isClosed) return;
    this.#served.publish();
    this.#reloads.watch();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reloads.close();
    this.#served.close();
    this.#adopted.close();
    this.#shifts.close();
    this.#weights.close();
    await Promise.all([this.verdicts.close(), this.#compiler.close()]);
    this.#log.close();
  }

  get model(): ServedModel | undefined {
    return this.#adopted.model;
  }

  get isReady(): boolean {
    return this.#served.isPublished;
  }

  /** World, revision and overlay belong together and change at once. */
  get world(): World | undefined {
    return this.#served.world;
  }

  get epoch(): number {
    return this.#served.epoch;
  }

  get newestRevision(): number {
    const { revision } = this.#adopted.newestOffered;
    return this.#options.shared === undefined ? this.revision : revision;
  }

  get revision(): number {
    return this.#served.revision;
  }

  /** When the served revision was compiled or restored, wall milliseconds. */
  get servedSinceMs(): number {
    return this.#served.servedSinceMs;
  }

  /** The overlay that is served. A programmer's error before `start()` has resolved. */
  get overlay(): SharedOverlay {
    return this.#served.overlay;
  }

  /** Sequence of the newest change set; 0 before there is an overlay. */
  get sequence(): number {
    return this.#served.sequence;
  }

  /** Errors and warnings of the files as they are now; with errors, the revision served is an older one. */
  get problems(): readonly Problem[] {
    return this.#reloads.problems;
  }

  get fileErrors(): readonly string[] {
    return this.#reloads.errors;
  }

  /** A copy of the bytes of a section that is served. */
  section(name: string): SharedArrayBuffer | undefined {
    return this.#served.section(name);
  }

  /** A worker of the edge died: its claim on a bank must not hold up the next change set. */
  forgetWorker(worker: number): void {
    this.#served.forgetWorker(worker);
  }

  /** Active tier (from 1) of each failover node that holds a latch. */
  latches(): { readonly name: string; readonly tier: number }[] {
    return this.#adopted.activeTiers();
  }

  /** What `get records` shows, from the compiler's process. */
  records(request: PageRequest): Promise<Page<RecordView>> {
    return this.#compiler.records(request, this.#clock.wallMs(), this.#stored());
  }

  /**
   * Reads the files anew, in the compiler's process. All or nothing: with any error nothing changes but `problems` and `fileErrors`. Calls
   * while one is under way share one more after it.
   */
  reload(): Promise<Reload> {
    return this.#reloads.reload();
  }

  propose(
    documents: readonly InputFile[],
    commit: ((proposal: Proposal) => Promise<number>) | undefined,
    options?: ProposalOptions,
  ): Promise<Proposal> {
    return this.#reloads.propose(documents, commit, options);
  }

  /**
   * Serves what was served before a revision that edges found bad, as a new one: `sections`, which are in the state folder. False where
   * another revision is served by now.
   */
  withdraw(
    revision: number,
    reason: string,
    sections: readonly ManifestSection[] | undefined,
  ): Promise<boolean> {
    return this.#adopted.withdraw(revision, reason, sections);
  }

  /** What a trial would serve; undefined where something else is served by now than it was made for. */
  candidate(trial: VersionedLoad): Promise<PlannedPair | undefined> {
    const { model } = this;
    const { held } = this.#adopted;
    const hosts = this.#options.shared?.hosts() ?? this.#adopted.seenHosts;
    return candidatePair({ served: this.#served, model, held, hosts }, trial);
  }

  /** Whether documents come from files. */
  get hasFiles(): boolean {
    return this.#options.files.length > 0;
  }

  /** What would come of other files in the place of those that are watched; nothing changes. */
  tryFiles(paths: readonly string[], allowShrink: boolean): Promise<VersionedOutcome> {
    return this.#reloads.tryFiles(paths, allowShrink);
  }

  documentOfFile(key: DocumentKey): Promise<FileDocument | undefined> {
    return this.#compiler.document(key, this.#clock.wallMs(), this.#stored());
  }

  declaredZone(origin: string, names: readonly Uint8Array[]): Promise<DeclaredZone | undefined> {
    return this.#compiler.zone(origin, names, this.#clock.wallMs(), this.#stored());
  }

  /** Compiles again, because what the documents name has changed. */
  recompile(): void {
    this.#reloads.recompile();
  }

  /** What is served now names these secrets. */
  needSecrets(names: ReadonlySet<string>): void {
    this.#adopted.needSecrets(names);
  }

  /** Secrets that checks and zones name, by reference: zones' are for edges alone. */
  secretsOf(role: JoinRole): ReadonlyMap<string, string> {
    return role === "edge" ? this.#adopted.secrets : this.#adopted.probeSecrets;
  }

  /** What is served otherwise than declared, and why: zones kept at their last good state, host names that cannot be resolved; what is not on disk. */
  conditions(): readonly CompileProblem[] {
    return [...unkeptProblems(this.unkept), ...this.#adopted.conditions()];
  }

  /** What is served where the disk has refused it. */
  get unkept(): UnkeptRevision | undefined {
    return this.#served.unkept;
  }

  /** Why loads of a pool, `NAMESPACE/NAME`, cannot be read from Prometheus; undefined where they can, or are not. */
  loadProblem(pool: string): string | undefined {
    return this.#adopted.loadProblem(pool);
  }

  shifts(): readonly Shift[] {
    return this.#shifts.list();
  }

  /** An edge says where it has sent clients. */
  counted(edge: string, counts: Omit<TrafficCounts, "epoch">): void {
    const world = counts.revision === this.revision ? this.world : undefined;
    this.traffic.take(edge, counts, this.#clock.wallMs(), world);
  }

  /** As `RunningShifts.reachOf()`. */
  shiftReach(target: string): ShiftReach | undefined {
    return this.#shifts.reachOf(target);
  }

  /** Shifts have changed elsewhere, or routing controls. Resolves when answers follow. */
  followShifts(text: string): Promise<boolean> {
    return this.#shifts.follow(text);
  }

  /** Branches are given other weights, or their own again. Resolves when answers follow. */
  followWeights(text: string): Promise<void> {
    return this.#weights.follow(text);
  }

  /** Resolves when answers follow it. */
  addShift(shift: Omit<Shift, "id" | "createdAtMs">, id?: string): Promise<Shift> {
    return this.#shifts.add(shift, id);
  }

  /** As `RunningShifts.remove()`. */
  removeShifts(targetOrId: string, isAtOnce = false): Promise<Shift[]> {
    return this.#shifts.remove(targetOrId, isAtOnce);
  }

  /** As `RunningShifts.change()`. */
  changeShifts(put: readonly Shift[], ended: readonly Shift[]): Promise<void> {
    return this.#shifts.change(put, ended);
  }

  /** As `RunningShifts.extend()`. */
  extendShifts(targetOrId: string, lengthMs: number): Promise<Shift[]> {
    return this.#shifts.extend(targetOrId, lengthMs);
  }

  /** Goes back to the first tier of a failover node by command; false where it holds no latch. */
  failback(node: string): Promise<boolean> {
    const { shared } = this.#options;
    return shared === undefined ? this.verdicts.failback(node) : this.#failbackForAll(shared, node);
  }

  async #failbackForAll(shared: SharedPublication, node: string): Promise<boolean> {
    const latch = this.#adopted.latchPositions().find(({ name }) => name === node);
    if (latch === undefined) return false;
    await shared.failback({ ...latch, tier: 1 });
    return true;
  }

  /** What is recorded of latches, or who leads, has changed. */
  followLatches(): void {
    this.#adopted.followLatches();
  }

  #restored: Promise<boolean> | undefined;
  #onShrunk: (() => void) | undefined;

  /**
   * Serves what the state folder holds; true where an overlay came with it, so that answers need not wait for probes. `start()` begins
   * with it where nobody has asked for it before.
   */
  restore(): Promise<boolean> {
    this.#restored ??= this.#restore();
    return this.#restored;
  }

  /** What is compiled next may leave much less than is served, or nothing: that was committed before. `onServed` is told when it is served. */
  meansShrinking(onServed: () => void): void {
    this.#onShrunk = onServed;
  }

  async #restore(): Promise<boolean> {
    const { persistence, logger, restored, onSlab } = this.#options;
    this.#shifts.restore();
    const wallMs = (): number => this.#clock.wallMs();
    const { pair } = restored ?? { pair: restorePair(persistence, logger, { wallMs, onSlab }) };
    if (pair !== undefined) await this.#served.restore(pair);
    if (pair === undefined || this.#isClosed) {
      // Nothing is answered before it has compiled.
      this.#compiler.start();
      return false;
    }
    if (pair.hasOverlay) this.#served.publish();
    logger.info({ revision: this.revision }, "Serving the stored revision");
    return pair.hasOverlay;
  }

  #restoreProbes(): void {
    const probes = this.#options.persistence.loadProbes();
    if (probes === undefined) return;
    this.verdicts.setPlan(probes);
    this.#options.onPlanKept?.();
  }

  /** A compiler that fails is no reason to stop where a stored revision can be served. */
  async #firstLoad(): Promise<Reload> {
    try {
      return await this.reload();
    } catch (error) {
      if (this.world === undefined) throw error;
      if (this.#isClosed) return { changed: false, problems: [], errors: [] };
      return this.#reloads.failed(error);
    }
  }

  async #firstRound(): Promise<void> {
    if (!this.#options.probing) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FIRST_ROUND_MS_MAX);
    await Promise.race([this.verdicts.whenFirstRound(), promise]);
    clearTimeout(timer);
  }

  #isCompiled(): boolean {
    const { shared } = this.#options;
    const epoch = this.#served.nextEpoch;
    return (
      shared !== undefined &&
      !isLater({ epoch, revision: shared.contentRevision() }, this.#adopted.newestOffered)
    );
  }

  #recompileAnyway(): void {
    this.#adopted.newestOffered = { epoch: 0, revision: 0 };
    this.recompile();
  }

  #stored(): readonly InputFile[] {
    return this.#options.stored?.() ?? [];
  }

  async #compile({ allowShrink, ...load }: LoadKind): Promise<VersionedOutcome> {
    const { probing, shared } = this.#options;
    const allowEmpty = this.#options.allowEmpty || this.#onShrunk !== undefined;
    await this.#adopted.whenAgreed();
    const base = this.#adopted.held;
    const revision = shared?.contentRevision();
    const stored = this.#stored();
    const serials = shared?.serials();
    if (probing) this.verdicts.prepare();
    const icmpUnavailable = probing ? await echoesUnavailable() : undefined;
    const { accepted, ...outcome } = await this.#compiler.load({
      nowMs: this.#clock.wallMs(),
      seed: this.#served.seed,
      published: this.#served.sections,
      serialBase: dateSerial(this.#clock.wallMs()),
      servedCount: this.world === undefined ? 0 : servedCount(this.world),
      allowEmpty,
      servedSize:
        this.world === undefined || (allowShrink ?? allowEmpty) ? undefined : sizeOf(this.world),
      isTrial: false,
      stored,
      held: base,
      icmpUnavailable,
      serials,
      filled: allowEmpty ? [] : this.#filled.filter((path) => load.paths?.includes(path) ?? true),
      ...load,
    });
    if (accepted !== undefined && outcome.filled !== undefined && load.paths === undefined)
      this.#filled = outcome.filled;
    return accepted === undefined
      ? outcome
      : { ...outcome, accepted: { ...accepted, base, revision } };
  }

  #transitions(batch: TransitionBatch): void {
    this.#log.add(batch);
    this.#options.onTransitions?.(batch);
  }
}

function notStarted({ errors, problems }: Reload): Error {
  const wrong = problems.filter(({ severity }) => severity === "error");
  const reasons = [...errors, ...wrong.map(({ message }) => message)];
  return new Error(
    `Cannot start: ${reasons.length === 0 ? "the files declare nothing" : reasons.join("; ")}`,
  );
}

/** From the snapshot and not from the documents: those of a restored revision are not known here. */
function servedCount({ zones, pools, policies }: World): number {
  return zones.zones.length + pools.poolCount + policies.policyCount;
}
