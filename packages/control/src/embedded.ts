// SPDX-License-Identifier: Apache-2.0

// The embedded control plane: everything between files and the edge, in one process.
//
//   files ─► model ─► compile ─► sections ─┐
//                                          ├─► publish to the edge link, store
//   probes ─► verdicts ─► overlay ─────────┘
//
// A change of files is all or nothing: with any error the last good revision stays, and the problems are a condition.

import { randomUUID } from "node:crypto";
import { assert, reasonOf, systemClock, type Clock } from "@meridian/core";
import {
  VerdictThread,
  type DeclaredLatch,
  type ProbePlan,
  type SharedOverlay,
  type Transition,
} from "@meridian/health";
import type { InputFile, Problem } from "@meridian/model";
import {
  SectionKind,
  SectionPack,
  World,
  makeManifest,
  type ManifestSection,
  type NamedSection,
} from "@meridian/snapshot";
import type { WrittenSection } from "@meridian/snapshot/writer";
import { capacityRules } from "./capacity-rules.ts";
import { withAddresses, type CompileProblem } from "./compile.ts";
import { compileAddresses, knownAddresses, type ResolvedMember } from "./compile-addresses.ts";
import { CompilerProcess } from "./compiler-process.ts";
import { declaredLatches } from "./declared-latches.ts";
import type { FileDocument, Proposal, Publisher } from "./documents/document-service.ts";
import type { AcceptedLoad, CompiledSection, LoadOutcome, LoadRequest } from "./file-compiler.ts";
import { FileWatcher } from "./file-watcher.ts";
import { HostResolver } from "./host-resolver.ts";
import { ProbeTargets, type ResolvedHosts } from "./probe-targets.ts";
import { shiftChanges, type Shift } from "./shift-effects.ts";
import type { Page, PageRequest } from "./page.ts";
import { withChange, type ServedModel } from "./served-model.ts";
import { manifestSection } from "@meridian/snapshot/disk";
import type { RecordView } from "./views.ts";
import type { DocumentKey } from "./store/store.ts";
import { dateSerial } from "./zone-history.ts";
import type { EmbeddedOptions, Persistence, Reload } from "./embedded-options.ts";

/** Longest wait for a first round of probes before answers start without one. */
const FIRST_ROUND_MS_MAX = 5000;
/** A refusal of files that are changed once more within this time was for what was half written. */
const TORN_MS = 100;
/** Such refusals in a row, after which the files are told to be wrong all the same. */
const TORN_READS_MAX = 20;
/** Sections that are read at once. */
const SECTION_READS_MAX = 8;

/** A section to be served; with its bytes where the sections that are served do not have it. */
interface LoadedSection extends ManifestSection {
  readonly buffer?: SharedArrayBuffer;
}

export class Embedded implements Publisher {
  readonly verdicts: VerdictThread;
  model: ServedModel | undefined;
  /** World, revision and overlay belong together and change at once. */
  world: World | undefined;
  revision = 0;
  /** Errors and warnings of the files as they are now; with errors, the revision served is an older one. */
  problems: readonly Problem[] = [];
  fileErrors: readonly string[] = [];
  /** When the served revision was compiled or restored, wall milliseconds. */
  servedSinceMs = 0;
  isReady = false;
  readonly #options: EmbeddedOptions;
  readonly #clock: Clock;
  readonly #hosts: HostResolver;
  readonly #compiler: CompilerProcess;
  readonly #targets = new ProbeTargets();
  /** What of the model's documents is here (`PartsChange.print`). */
  #held: Uint8Array | undefined;
  #resolvedMembers: readonly ResolvedMember[] = [];
  #zoneProblems: readonly CompileProblem[] = [];
  #reloading: Promise<Reload> | undefined;
  #isReloadWanted = false;
  /** The load that is under way: one at a time, so that what is compiled last is served last. */
  #loading: Promise<unknown> = Promise.resolve();
  #published: readonly ManifestSection[] = [];
  #pack: SectionPack | undefined;
  #overlay: SharedOverlay | undefined;
  #latches: ReadonlyMap<string, DeclaredLatch> = new Map();
  /** Revisions come one after the other, as each is on disk before the next is made. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  #seed: number;
  #shifts: readonly Shift[] = [];
  #shiftTimer: NodeJS.Timeout | undefined;
  readonly #watcher = new FileWatcher(
    () => this.#watched,
    () => this.#filesChanged(),
  );
  #watched: readonly string[];
  /** When files were last read, wall milliseconds. */
  #readAtMs = 0;
  /** Ends a wait for files to change again (`#isBeingWritten`). */
  #onChangedAgain: (() => void) | undefined;
  /** Refusals in a row of which nothing was told. */
  #passedOver = 0;
  #isClosed = false;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#watched = options.files;
    // Fixed, so that the same documents give the same bytes everywhere; a section's probe bound guards against crafted names.
    this.#seed = 0x6d65_7269;
    this.verdicts = new VerdictThread({
      vantage: options.vantage,
      wallMs: () => this.#clock.wallMs(),
      onChangeSet: (changeSet) => {
        options.onChangeSet?.(changeSet);
        options.persistence.recordChangeSet(changeSet);
      },
      onTransitions: (batch) => this.#transitions(batch),
      recorded: (key) => options.persistence.recordedSlot?.(key),
      onDeath: (reason) =>
        options.logger.error({ reason }, "The verdict thread died and is started anew"),
    });
    this.#compiler = new CompilerProcess({
      paths: options.files,
      mapsFolder: options.mapsFolder,
      latencyFolder: options.latencyFolder,
      snapshotFolder: options.persistence.sectionFolder?.path,
    });
    this.#hosts = new HostResolver({
      clock: this.#clock,
      onChange: () => this.#hostsChanged(),
      ...(options.nameServers === undefined ? {} : { servers: options.nameServers }),
    });
  }

  /**
   * Serves the stored revision at once where there is one, then what the files say, and goes on watching them. Resolves when the edge
   * has something to serve that probes or the stored overlay vouch for; rejects where there is neither a stored revision nor good files.
   */
  async start(): Promise<void> {
    this.#compiler.start();
    this.#shifts = [...this.#options.persistence.loadShifts()];
    const stored = this.#options.persistence.loadOverlay();
    const isRestored = await this.#restore(stored);
    // With or without good files: what is served from disk goes on being judged.
    if (isRestored && this.#options.probing) this.verdicts.start();
    const reload = await this.#firstLoad();
    if (this.#isClosed) return;
    if (this.world === undefined) {
      const reasons = [
        ...reload.errors,
        ...reload.problems
          .filter(({ severity }) => severity === "error")
          .map(({ message }) => message),
      ];
      throw new Error(
        `Cannot start: ${reasons.length === 0 ? "the files declare nothing" : reasons.join("; ")}`,
      );
    }
    if (this.#options.probing) this.verdicts.start();
    if (!isRestored) await this.#firstRound();
    if (this.#isClosed) return;
    this.#publish();
    this.isReady = true;
    this.#watcher.start(this.#readAtMs);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watcher.close();
    this.#onChangedAgain?.();
    this.#hosts.close();
    clearTimeout(this.#shiftTimer);
    await Promise.all([this.verdicts.close(), this.#compiler.close()]);
  }

  /** The overlay that is served. A programmer's error before `start()` has resolved. */
  get overlay(): SharedOverlay {
    assert(this.#overlay !== undefined, "an overlay is read after a snapshot was adopted");
    return this.#overlay;
  }

  /** Sequence of the newest change set; 0 before there is an overlay. */
  get sequence(): number {
    return this.#overlay?.sequence ?? 0;
  }

  /** A copy of the bytes of a section that is served. */
  section(name: string): SharedArrayBuffer | undefined {
    return this.#pack?.section(name)?.copy();
  }

  /** A worker of the edge died: its claim on a bank must not hold up the next change set. */
  forgetWorker(worker: number): void {
    this.#overlay?.forget(worker);
  }

  /** Active tier (from 1) of each failover node that holds a latch. */
  latches(): { readonly name: string; readonly tier: number }[] {
    const { world } = this;
    if (world === undefined) return [];
    return world.failoverNodes().flatMap(({ node, slot }) => {
      const policy = world.policies.policyName(world.policies.policyOf(node));
      const name = `${policy}/${world.policies.nodeName(node)}`;
      if (!this.#latches.has(name)) return [];
      return [{ name, tier: Math.max(1, this.overlay.read(slot)) }];
    });
  }

  /** What `get records` shows, from the compiler's process. */
  records(request: PageRequest): Promise<Page<RecordView>> {
    return this.#compiler.records(request, this.#clock.wallMs(), this.#stored());
  }

  /**
   * Reads the files anew, in the compiler's process. All or nothing: with any error nothing changes but `problems` and `fileErrors`. Calls
   * while one is under way share one more after it. `mayBeTorn`: somebody may be writing them now, so that a refusal waits for what
   * comes next before it is told.
   */
  async reload(mayBeTorn = false): Promise<Reload> {
    if (this.#reloading !== undefined) {
      await this.#reloading.catch(() => undefined);
      return this.#reloading ?? this.reload(mayBeTorn);
    }
    this.#reloading = this.#oneLoad(() => this.#reload(mayBeTorn));
    try {
      return await this.#reloading;
    } finally {
      this.#reloading = undefined;
    }
  }

  async propose(
    documents: readonly InputFile[],
    commit: ((proposal: Proposal) => Promise<void>) | undefined,
  ): Promise<Proposal> {
    return this.#oneLoad(async () => {
      const { problems, errors, accepted } = await this.#compile(documents, {
        isTrial: commit === undefined,
        // Who deletes documents by name means it; a folder that lost its files may not.
        allowEmpty: true,
      });
      const claims = accepted?.claims ?? [];
      const proposal = { isAccepted: accepted !== undefined, problems, errors, claims };
      if (accepted === undefined || commit === undefined) return proposal;
      try {
        await commit(proposal);
      } catch (error) {
        // The compiler knows documents that are none: it reads those that are.
        this.recompile();
        throw error;
      }
      this.problems = problems;
      this.fileErrors = errors;
      if (!this.#isClosed) await this.#adopt(accepted);
      return proposal;
    });
  }

  documentOfFile(key: DocumentKey): Promise<FileDocument | undefined> {
    return this.#compiler.document(key, this.#clock.wallMs(), this.#stored());
  }

  async #oneLoad<Value>(work: () => Promise<Value>): Promise<Value> {
    const before = this.#loading;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#loading = promise;
    try {
      await before;
      return await work();
    } finally {
      resolve();
    }
  }

  /** A compiler that fails is no reason to stop where a stored revision can be served. */
  async #firstLoad(): Promise<Reload> {
    try {
      return await this.reload();
    } catch (error) {
      if (this.world === undefined) throw error;
      this.fileErrors = [reasonOf(error)];
      this.#options.logger.error({ revision: this.revision }, reasonOf(error));
      return { changed: false, problems: [], errors: this.fileErrors };
    }
  }

  #stored(): readonly InputFile[] {
    return this.#options.stored?.() ?? [];
  }

  async #compile(
    stored: readonly InputFile[],
    { isTrial, allowEmpty }: Pick<LoadRequest, "isTrial" | "allowEmpty">,
  ): Promise<LoadOutcome> {
    const options = this.#options;
    const icmpUnavailable = options.probing ? await this.verdicts.echoesUnavailable() : undefined;
    return this.#compiler.load({
      nowMs: this.#clock.wallMs(),
      seed: this.#seed,
      published: this.#published,
      serialBase: dateSerial(this.#clock.wallMs()),
      servedCount: this.world === undefined ? 0 : servedCount(this.world),
      allowEmpty,
      isTrial,
      stored,
      held: this.#held,
      icmpUnavailable,
    });
  }

  async #reload(mayBeTorn: boolean): Promise<Reload> {
    const options = this.#options;
    this.#readAtMs = Date.now();
    const { problems, errors, watched, accepted } = await this.#compile(this.#stored(), {
      isTrial: false,
      allowEmpty: options.allowEmpty,
    });
    this.#watched = watched;
    this.#watcher.follow(this.#readAtMs);
    if (accepted === undefined && mayBeTorn && (await this.#isBeingWritten()))
      return { changed: false, problems, errors };
    this.#passedOver = 0;
    this.problems = problems;
    this.fileErrors = errors;
    if (accepted === undefined || this.#isClosed) {
      options.logger.error(
        { errors, problems: problems.length, revision: this.revision },
        "Refused the files: the last good revision stays",
      );
      return { changed: false, problems, errors };
    }
    return { changed: await this.#adopt(accepted), problems, errors };
  }

  /** Whether files change once more right after they were refused. Not for ever: there may be somebody who writes nothing but nonsense. */
  async #isBeingWritten(): Promise<boolean> {
    if (!this.#isReloadWanted && !this.#isClosed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, TORN_MS);
      this.#onChangedAgain = resolve;
      await promise;
      clearTimeout(timer);
    }
    this.#passedOver += 1;
    return this.#isReloadWanted && this.#passedOver <= TORN_READS_MAX;
  }

  /** A change while a reload is under way leads to one more after it. */
  #filesChanged(): void {
    if (this.#isReloadWanted) return;
    this.#isReloadWanted = true;
    this.#onChangedAgain?.();
    const again = async (): Promise<void> => {
      await this.#reloading?.catch(() => undefined);
      this.#isReloadWanted = false;
      await this.reload(true);
    };
    again().catch((error: unknown) => {
      this.#isReloadWanted = false;
      if (this.#isClosed) return;
      this.fileErrors = [reasonOf(error)];
      this.#options.logger.error({ revision: this.revision }, reasonOf(error));
    });
  }

  /** Compiles again, because what the documents name has changed. */
  recompile(): void {
    if (!this.#isClosed) this.#filesChanged();
  }

  /** What is served otherwise than declared, and why: zones kept at their last good state, host names that cannot be resolved. */
  conditions(): readonly CompileProblem[] {
    return [...this.#zoneProblems, ...this.#hosts.conditions()];
  }

  shifts(): readonly Shift[] {
    return this.#shifts;
  }

  /** Resolves when answers follow it. */
  async addShift(shift: Omit<Shift, "id" | "createdAtMs">): Promise<Shift> {
    const added = { ...shift, id: randomUUID().slice(0, 8), createdAtMs: this.#clock.wallMs() };
    await this.#shiftsChanged(
      [...this.#shifts, added],
      `${shift.percent} % moved away from ${shift.target} by ${shift.actor}: ${shift.reason}`,
    );
    return added;
  }

  /** Ends the shifts of a target (or one by id); resolves with those that were running, when answers follow. */
  async removeShifts(targetOrId: string): Promise<Shift[]> {
    const removed = this.#shifts.filter(
      ({ id, target }) => id === targetOrId || target === targetOrId,
    );
    const rest = this.#shifts.filter((shift) => !removed.includes(shift));
    if (removed.length > 0) await this.#shiftsChanged(rest, `shift of ${targetOrId} ended`);
    return removed;
  }

  /** Goes back to the first tier of a failover node by command; false where it holds no latch. */
  failback(node: string): Promise<boolean> {
    return this.verdicts.failback(node);
  }

  /** Serves what the state folder holds; true where an overlay came with it, so that answers need not wait for probes. */
  async #restore(overlay: ReadonlyMap<bigint, number> | undefined): Promise<boolean> {
    const stored = this.#options.persistence.loadRevision();
    if (stored === undefined) return false;
    const world = this.#load(stored.sections, stored.seed, false);
    if (typeof world === "string") {
      this.#options.logger.warn({ reason: world }, "Cannot serve the stored revision");
      return false;
    }
    this.#seed = stored.seed;
    await this.#take(world, stored.revision, stored.sections.map(manifestSection), overlay);
    if (this.#isClosed) return false;
    const probes = this.#options.persistence.loadProbes();
    if (probes !== undefined) this.verdicts.setPlan(probes);
    if (overlay !== undefined) {
      this.#publish();
      this.isReady = true;
    }
    this.#options.logger.info({ revision: stored.revision }, "Serving the stored revision");
    return overlay !== undefined;
  }

  async #adopt(accepted: AcceptedLoad): Promise<boolean> {
    const compiled = await this.#sectionsOf(accepted.sections);
    return this.#inTurn(async () => {
      const { world, model: held } = this;
      const members = accepted.resolvedMembers;
      this.#hosts.want(
        new Set(accepted.hostNames),
        world === undefined ? undefined : knownAddresses(members, world),
      );
      const sections = withAddresses(compiled, this.#addresses(members));
      const isSame =
        world !== undefined &&
        sections.length === this.#published.length &&
        sections.every(({ name }, index) => name === this.#published[index]?.name);
      const next = isSame ? world : this.#load(sections, this.#seed, true);
      if (typeof next === "string") throw refusedBy(next);
      if (!isSame) await this.#keepRevision(sections);
      if (this.#isClosed) return false;
      if (!isSame) await this.#serve(next, sections, "Compiled the files");
      this.#resolvedMembers = members;
      this.#zoneProblems = accepted.zoneProblems;
      for (const { subject, message } of accepted.zoneProblems)
        this.#options.logger.error({ subject }, message);
      this.#held = accepted.parts.print;
      this.model = withChange(held, accepted.parts);
      this.#follow(this.model);
      return !isSame;
    });
  }

  /** The sections of a load; those that are not served yet with their bytes, from where the compiler put them. */
  async #sectionsOf(compiled: readonly CompiledSection[]): Promise<LoadedSection[]> {
    const sections: LoadedSection[] = [];
    for (let at = 0; at < compiled.length; at += SECTION_READS_MAX) {
      const some = compiled.slice(at, at + SECTION_READS_MAX);
      sections.push(...(await Promise.all(some.map((section) => this.#sectionOf(section)))));
    }
    return sections;
  }

  async #sectionOf({ content, ...entry }: CompiledSection): Promise<LoadedSection> {
    if (this.#pack?.has(entry.name) === true) return entry;
    const found =
      content === undefined
        ? await this.#options.persistence.sectionFolder?.read(entry.name)
        : sharedCopy(content);
    if (!(found instanceof SharedArrayBuffer))
      throw new Error(
        `Cannot read what the compiler wrote: ${found ?? "there is no state folder"}`,
      );
    return { ...entry, buffer: found };
  }

  #addresses(members: readonly ResolvedMember[]): LoadedSection | undefined {
    const written = compileAddresses(members, this.#hosts.addresses());
    return written === undefined
      ? undefined
      : { ...manifestSection(written), buffer: written.buffer };
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  /** On disk first: a revision number that a client has seen never stands for something else after a crash. */
  async #keepRevision(sections: readonly LoadedSection[]): Promise<void> {
    const revision = this.revision + 1;
    const seed = this.#seed;
    const { persistence, logger } = this.#options;
    try {
      if (persistence.sectionFolder === undefined) {
        const buffers = this.#pack?.sections.map((section) => section.copy()) ?? [];
        persistence.saveRevision({ revision, seed, sections: writtenSections(sections, buffers) });
        return;
      }
      // The compiler wrote the others.
      const own = sections.flatMap(({ kind, name, buffer }) =>
        kind === SectionKind.addresses && buffer !== undefined
          ? [{ name, content: new Uint8Array(buffer).slice() }]
          : [],
      );
      await this.#compiler.keep({
        manifest: makeManifest(revision, seed, sections),
        written: own,
      });
    } catch (error) {
      // What cannot be kept is served all the same: a full disk is no reason to stop answering.
      if (!this.#isClosed)
        logger.error(
          { reason: reasonOf(error) },
          `Cannot keep revision ${revision} in the state folder`,
        );
    }
  }

  async #serve(world: World, sections: readonly LoadedSection[], text: string): Promise<void> {
    await this.#take(world, this.revision + 1, sections, undefined);
    if (this.isReady && !this.#isClosed) this.#publish();
    this.#options.logger.info({ revision: this.revision, sections: sections.length }, text);
  }

  /** What cannot be kept is served all the same: a full disk is no reason to stop answering. */
  #keep(what: string, write: (persistence: Persistence) => void): void {
    try {
      write(this.#options.persistence);
    } catch (error) {
      this.#options.logger.error(
        { reason: reasonOf(error) },
        `Cannot keep ${what} in the state folder`,
      );
    }
  }

  #hostsChanged(): void {
    this.#inTurn(() => this.#followHosts()).catch((error: unknown) => {
      if (!this.#isClosed) this.#options.logger.error({ revision: this.revision }, reasonOf(error));
    });
  }

  /** Host names have other addresses: probes go to them, and a revision with that section alone changed is served. */
  async #followHosts(): Promise<void> {
    const { model } = this;
    if (model === undefined || this.world === undefined || this.#isClosed) return;
    const addresses = this.#addresses(this.#resolvedMembers);
    const previous = this.#published.find(({ kind }) => kind === SectionKind.addresses);
    if (addresses?.name === previous?.name) {
      this.#retarget();
      return;
    }
    const sections = withAddresses<LoadedSection>(this.#published, addresses);
    const world = this.#load(sections, this.#seed, true);
    if (typeof world === "string") throw refusedBy(world);
    await this.#keepRevision(sections);
    if (this.#isClosed) return;
    await this.#serve(world, sections, "Host names resolve to other addresses");
    this.#follow(model);
  }

  /** Brings what hangs on the served world in line with it. */
  #follow(model: ServedModel): void {
    this.#retarget();
    this.#followShifts(`shifts that are running`);
    this.#latches = declaredLatches(model);
    this.verdicts.setLatches(this.#latches);
  }

  /** The verdict thread first: what is shown and published is a snapshot with its own overlay. */
  async #take(
    world: World,
    revision: number,
    sections: readonly LoadedSection[],
    stored: ReadonlyMap<bigint, number> | undefined,
  ): Promise<void> {
    this.#overlay = await this.verdicts.adopt(world, {
      revision,
      lastSequence: this.#options.persistence.lastSequence?.() ?? 0,
      ...(stored === undefined ? {} : { stored }),
    });
    this.world = world;
    this.revision = revision;
    // Without their buffers: they are in the pack.
    this.#published = sections.map(({ kind, key, name, bytes }) => ({ kind, key, name, bytes }));
    this.servedSinceMs = this.#clock.wallMs();
  }

  /** Lays sections out beside those that are served and loads them; the reason where the reader refuses them. */
  #load(sections: readonly NamedSection[], seed: number, isVerified: boolean): World | string {
    const pack = SectionPack.make(sections, this.#pack, this.#options.onSlab, isVerified);
    if ("error" in pack) return pack.error;
    const world = World.load(pack.sections, seed, this.world, isVerified);
    if ("error" in world) return world.error;
    this.#pack = pack;
    return world;
  }

  #publish(): void {
    if (this.world === undefined) return;
    this.#compiler.yieldToAnswers();
    this.#options.edge.publish({
      manifest: makeManifest(this.revision, this.#seed, this.#published),
      revision: this.revision,
      world: this.world.share(),
      overlay: this.overlay.buffer,
      slotCount: this.overlay.slotCount,
    });
  }

  #retarget(): void {
    if (this.model === undefined || this.world === undefined || this.#isClosed) return;
    const hosts = this.#hosts.probeAddresses();
    const targets = this.#targets.of(this.model, hosts);
    const plan = { targets, rules: [...capacityRules(this.model)] };
    this.verdicts.setPlan(plan);
    this.#keepPlan(plan, hosts).catch((error: unknown) => {
      if (!this.#isClosed)
        this.#options.logger.error(
          { reason: reasonOf(error) },
          "Cannot keep what is probed in the state folder",
        );
    });
  }

  /** By the compiler where it is there: of 100,000 targets the text alone takes a third of a second. */
  async #keepPlan(plan: ProbePlan, hosts: ResolvedHosts): Promise<void> {
    const { persistence } = this.#options;
    const isKept =
      persistence.sectionFolder !== undefined && (await this.#compiler.saveProbes(hosts));
    if (!isKept && !this.#isClosed) persistence.saveProbes(plan);
  }

  async #firstRound(): Promise<void> {
    if (!this.#options.probing) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FIRST_ROUND_MS_MAX);
    await Promise.race([this.verdicts.whenFirstRound(), promise]);
    clearTimeout(timer);
  }

  #transitions(batch: readonly Transition[]): void {
    for (const { key, verdict, reason } of batch)
      this.#options.logger.info({ endpoint: key, verdict, reason }, "Verdict changed");
    this.#options.onTransitions?.(batch);
  }

  /** On disk before it has an effect: where it cannot be kept it is refused, as an exception. */
  async #shiftsChanged(shifts: readonly Shift[], text: string): Promise<void> {
    this.#options.persistence.saveShifts(shifts);
    this.#shifts = shifts;
    await this.#applyShifts(text);
  }

  #followShifts(text: string): void {
    this.#applyShifts(text).catch((error: unknown) => {
      if (!this.#isClosed) this.#options.logger.error({ reason: reasonOf(error) }, "Cannot shift");
    });
  }

  /** Brings the overlay in line with the running shifts and comes back when the next one expires. */
  async #applyShifts(text: string): Promise<void> {
    const nowMs = this.#clock.wallMs();
    const running = this.#shifts.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
    if (running.length < this.#shifts.length) {
      this.#shifts = running;
      this.#keep("that shifts expired", (persistence) => persistence.saveShifts(running));
    }
    clearTimeout(this.#shiftTimer);
    if (running.length > 0 && !this.#isClosed) {
      const next = Math.min(...running.map(({ expiresAtMs }) => expiresAtMs));
      const pauseMs = Math.max(1, next - nowMs);
      this.#shiftTimer = setTimeout(() => this.#followShifts("a shift expired"), pauseMs);
      this.#shiftTimer.unref();
    }
    if (this.model === undefined || this.world === undefined) return;
    const changes = shiftChanges(this.model, this.world, this.overlay, running);
    await this.overlay.apply(changes, { kind: "shift", text });
  }
}

function writtenSections(
  entries: readonly ManifestSection[],
  buffers: readonly SharedArrayBuffer[],
): WrittenSection[] {
  return entries.flatMap(({ kind, key, name }, index) => {
    const buffer = buffers[index];
    return buffer === undefined ? [] : [{ kind, key: BigInt(`0x${key}`), name, buffer }];
  });
}

/** From the snapshot and not from the documents: those of a restored revision are not known here. */
function servedCount({ zones, pools, policies }: World): number {
  return zones.zones.length + pools.poolCount + policies.policyCount;
}

function refusedBy(reason: string): TypeError {
  return new TypeError(`The compiler wrote what the reader refuses: ${reason}`);
}

function sharedCopy(content: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(content.length);
  new Uint8Array(buffer).set(content);
  return buffer;
}
