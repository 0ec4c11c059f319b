// SPDX-License-Identifier: Apache-2.0

// The embedded control plane: everything between files and the edge, in one process.
//
//   files ─► model ─► compile ─► sections ─┐
//                                          ├─► publish to the edge link, store
//   probes ─► verdicts ─► overlay ─────────┘
//
// A change of files is all or nothing: with any error the last good revision stays, and the problems are a condition.

import { randomUUID } from "node:crypto";
import { Pcg32, systemClock, type Clock } from "@meridian/core";
import {
  LatchDriver,
  OverlayDriver,
  VerdictDriver,
  type ChangeSet,
  type Transition,
} from "@meridian/health";
import type { Problem } from "@meridian/model";
import { SectionKind, SectionPack, World, makeManifest } from "@meridian/snapshot";
import type { WrittenSection } from "@meridian/snapshot/writer";
import { capacityRules } from "./capacity-rules.ts";
import { withAddresses, type CompileProblem } from "./compile.ts";
import { compileAddresses, knownAddresses, type ResolvedMember } from "./compile-addresses.ts";
import { CompilerProcess } from "./compiler-process.ts";
import { declaredLatches } from "./declared-latches.ts";
import type { AcceptedLoad, CompiledSection } from "./file-compiler.ts";
import { reasonOf } from "./file-loader.ts";
import { FileWatcher } from "./file-watcher.ts";
import { HostResolver } from "./host-resolver.ts";
import { probeTargets } from "./probe-targets.ts";
import { shiftChanges, type Shift } from "./shift-effects.ts";
import type { Page, PageRequest } from "./page.ts";
import { withChange, type ServedModel } from "./served-model.ts";
import { manifestSection } from "./snapshot-store.ts";
import type { RecordView } from "./views.ts";
import { dateSerial } from "./zone-history.ts";
import type { EmbeddedOptions, Persistence, Reload } from "./embedded-options.ts";

/** Longest wait for a first round of probes before answers start without one. */
const FIRST_ROUND_MS_MAX = 5000;
/** Sections that are read at once. */
const SECTION_READS_MAX = 8;

export class Embedded {
  readonly overlay: OverlayDriver;
  readonly health: VerdictDriver;
  readonly latches: LatchDriver;
  model: ServedModel | undefined;
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
  /** What of the model's documents is here (`PartsChange.print`). */
  #held: Uint8Array | undefined;
  #resolvedMembers: readonly ResolvedMember[] = [];
  #zoneProblems: readonly CompileProblem[] = [];
  #reloading: Promise<Reload> | undefined;
  #isReloadWanted = false;
  #published: readonly WrittenSection[] = [];
  #pack: SectionPack | undefined;
  /** Revisions come one after the other, as each is on disk before the next is made. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  #seed: number;
  #shifts: readonly Shift[] = [];
  #shiftTimer: NodeJS.Timeout | undefined;
  #watcher: FileWatcher | undefined;
  #watched: string[] = [];
  #isClosed = false;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    // Fixed, so that the same documents give the same bytes everywhere; a section's probe bound guards against crafted names.
    this.#seed = 0x6d65_7269;
    this.overlay = new OverlayDriver({
      wallMs: () => this.#clock.wallMs(),
      onChangeSet: (changeSet) => this.#changed(changeSet),
      recorded: (key) => options.persistence.recordedSlot?.(key),
      lastSequence: () => options.persistence.lastSequence?.() ?? 0,
    });
    this.latches = new LatchDriver(this.overlay, () => this.#clock.monotonicMs());
    this.health = new VerdictDriver({
      clock: this.#clock,
      random: new Pcg32((Math.random() * 2 ** 32) >>> 0),
      vantage: options.vantage,
      overlay: this.overlay,
      ...(options.icmpSender === undefined ? {} : { icmpSender: options.icmpSender }),
      onTransitions: (batch) => this.#transitions(batch),
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
    const isRestored = this.#restore(stored);
    // With or without good files: what is served from disk goes on being judged.
    if (isRestored && this.#options.probing) this.health.start();
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
    if (this.#options.probing) this.health.start();
    if (!isRestored) await this.#firstRound();
    if (this.#isClosed) return;
    this.#publish();
    this.isReady = true;
    this.#watcher = new FileWatcher(
      this.#options.files,
      () => this.#watched,
      () => this.#filesChanged(),
    );
    this.#watcher.start();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watcher?.close();
    this.#hosts.close();
    this.latches.close();
    clearTimeout(this.#shiftTimer);
    this.overlay.close();
    await Promise.all([this.health.close(), this.#compiler.close()]);
  }

  /** What `get records` shows, from the compiler's process. */
  records(request: PageRequest): Promise<Page<RecordView>> {
    return this.#compiler.records(request, this.#clock.wallMs());
  }

  /**
   * Reads the files anew, in the compiler's process. All or nothing: with any error nothing changes but `problems` and `fileErrors`. Calls
   * while one is under way share one more after it.
   */
  async reload(): Promise<Reload> {
    if (this.#reloading !== undefined) {
      await this.#reloading.catch(() => undefined);
      return this.#reloading ?? this.reload();
    }
    this.#reloading = this.#reload();
    try {
      return await this.#reloading;
    } finally {
      this.#reloading = undefined;
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

  async #reload(): Promise<Reload> {
    const options = this.#options;
    const canPing = options.icmpSender !== undefined || !options.probing;
    const { problems, errors, watched, accepted } = await this.#compiler.load({
      nowMs: this.#clock.wallMs(),
      seed: this.#seed,
      published: this.#published.map(manifestSection),
      serialBase: dateSerial(this.#clock.wallMs()),
      servedDocuments: this.model?.documentCount ?? 0,
      allowEmpty: options.allowEmpty,
      held: this.#held,
      icmpUnavailable: canPing ? undefined : (options.icmpUnavailable ?? "no sender was given"),
    });
    this.problems = problems;
    this.fileErrors = errors;
    this.#watched = [...watched];
    if (accepted === undefined || this.#isClosed) {
      options.logger.error(
        { errors, problems: problems.length, revision: this.revision },
        "Refused the files: the last good revision stays",
      );
      return { changed: false, problems, errors };
    }
    return { changed: await this.#adopt(accepted), problems, errors };
  }

  /** A change while a reload is under way leads to one more after it. */
  #filesChanged(): void {
    if (this.#isReloadWanted) return;
    this.#isReloadWanted = true;
    const again = async (): Promise<void> => {
      await this.#reloading?.catch(() => undefined);
      this.#isReloadWanted = false;
      await this.reload();
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

  addShift(shift: Omit<Shift, "id" | "createdAtMs">): Shift {
    const added = { ...shift, id: randomUUID().slice(0, 8), createdAtMs: this.#clock.wallMs() };
    this.#shiftsChanged(
      [...this.#shifts, added],
      `${shift.percent} % moved away from ${shift.target} by ${shift.actor}: ${shift.reason}`,
    );
    return added;
  }

  /** Ends the shifts of a target (or one by id); returns those that were running. */
  removeShifts(targetOrId: string): Shift[] {
    const removed = this.#shifts.filter(
      ({ id, target }) => id === targetOrId || target === targetOrId,
    );
    const rest = this.#shifts.filter((shift) => !removed.includes(shift));
    if (removed.length > 0) this.#shiftsChanged(rest, `shift of ${targetOrId} ended`);
    return removed;
  }

  failback(node: string): boolean {
    return this.latches.failback(node);
  }

  /** Serves what the state folder holds; true where an overlay came with it, so that answers need not wait for probes. */
  #restore(overlay: ReadonlyMap<bigint, number> | undefined): boolean {
    const stored = this.#options.persistence.loadRevision();
    if (stored === undefined) return false;
    const world = this.#load(stored.sections, stored.seed);
    if (typeof world === "string") {
      this.#options.logger.warn({ reason: world }, "Cannot serve the stored revision");
      return false;
    }
    this.revision = stored.revision;
    this.#seed = stored.seed;
    this.#published = stored.sections;
    this.#take(world, overlay);
    const probes = this.#options.persistence.loadProbes();
    if (probes !== undefined) this.health.adopt(world, probes.targets, new Map(probes.rules));
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
      const sections = withAddresses(compiled, compileAddresses(members, this.#hosts.addresses()));
      const isSame =
        world !== undefined &&
        sections.length === this.#published.length &&
        sections.every(({ name }, index) => name === this.#published[index]?.name);
      const next = isSame ? world : this.#load(sections, this.#seed);
      if (typeof next === "string") throw refusedBy(next);
      if (!isSame) await this.#keepRevision(sections);
      if (this.#isClosed) return false;
      this.#resolvedMembers = members;
      this.#zoneProblems = accepted.zoneProblems;
      for (const { subject, message } of accepted.zoneProblems)
        this.#options.logger.error({ subject }, message);
      this.#held = accepted.parts.print;
      this.model = withChange(held, accepted.parts);
      if (!isSame) this.#serve(next, sections, "Compiled the files");
      this.#follow(this.model);
      return !isSame;
    });
  }

  /** The sections of a load: those that are published as they are, the others from where the compiler put them. */
  async #sectionsOf(compiled: readonly CompiledSection[]): Promise<WrittenSection[]> {
    const known = new Map(this.#published.map((section) => [section.name, section]));
    const sections: WrittenSection[] = [];
    for (let at = 0; at < compiled.length; at += SECTION_READS_MAX) {
      const some = compiled.slice(at, at + SECTION_READS_MAX);
      sections.push(...(await Promise.all(some.map((section) => this.#sectionOf(section, known)))));
    }
    return sections;
  }

  async #sectionOf(
    { kind, key, name, content }: CompiledSection,
    known: ReadonlyMap<string, WrittenSection>,
  ): Promise<WrittenSection> {
    const same = known.get(name);
    if (same !== undefined) return same;
    const found =
      content === undefined
        ? await this.#options.persistence.sectionFolder?.read(name)
        : sharedCopy(content);
    if (!(found instanceof SharedArrayBuffer))
      throw new Error(
        `Cannot read what the compiler wrote: ${found ?? "there is no state folder"}`,
      );
    return { kind, key: BigInt(`0x${key}`), name, buffer: found };
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  /** On disk first: a revision number that a client has seen never stands for something else after a crash. */
  async #keepRevision(sections: readonly WrittenSection[]): Promise<void> {
    const revision = this.revision + 1;
    const seed = this.#seed;
    const { persistence, logger } = this.#options;
    try {
      if (persistence.sectionFolder === undefined) {
        persistence.saveRevision({ revision, seed, sections });
        return;
      }
      // The compiler wrote the others.
      const own = sections.filter(({ kind }) => kind === SectionKind.addresses);
      await this.#compiler.keep({
        manifest: makeManifest(revision, seed, sections.map(manifestSection)),
        written: own.map(({ name, buffer }) => ({ name, content: new Uint8Array(buffer).slice() })),
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

  #serve(world: World, sections: readonly WrittenSection[], text: string): void {
    this.revision += 1;
    this.#published = sections;
    this.#take(world, undefined);
    if (this.isReady) this.#publish();
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
    const addresses = compileAddresses(this.#resolvedMembers, this.#hosts.addresses());
    const previous = this.#published.find(({ kind }) => kind === SectionKind.addresses);
    if (addresses?.name === previous?.name) {
      this.#retarget();
      return;
    }
    const sections = withAddresses(this.#published, addresses);
    const world = this.#load(sections, this.#seed);
    if (typeof world === "string") throw refusedBy(world);
    await this.#keepRevision(sections);
    if (this.#isClosed) return;
    this.#serve(world, sections, "Host names resolve to other addresses");
    this.#follow(model);
  }

  /** Brings what hangs on the served world in line with it. */
  #follow(model: ServedModel): void {
    this.#retarget();
    this.#applyShifts(`shifts that are running`);
    if (this.world !== undefined) this.latches.adopt(this.world, declaredLatches(model));
  }

  #take(world: World, stored: ReadonlyMap<bigint, number> | undefined): void {
    this.world = world;
    this.servedSinceMs = this.#clock.wallMs();
    this.latches.pause();
    this.overlay.adopt(world, this.revision, stored);
  }

  /** Lays sections out beside those that are served and loads them; the reason where the reader refuses them. */
  #load(sections: readonly WrittenSection[], seed: number): World | string {
    const pack = SectionPack.make(sections, this.#pack, this.#options.onSlab);
    if ("error" in pack) return pack.error;
    const world = World.load(pack.sections, seed, this.world);
    if ("error" in world) return world.error;
    this.#pack = pack;
    return world;
  }

  #publish(): void {
    if (this.world === undefined) return;
    this.#options.edge.publish({
      revision: this.revision,
      world: this.world.share(),
      overlay: this.overlay.buffer,
      slotCount: this.overlay.slotCount,
    });
  }

  #retarget(): void {
    if (this.model === undefined || this.world === undefined || this.#isClosed) return;
    const targets = probeTargets(this.model, this.#hosts.probeAddresses());
    const rules = capacityRules(this.model);
    this.health.adopt(this.world, targets, rules);
    this.#keep("what is probed", (persistence) =>
      persistence.saveProbes({ targets, rules: [...rules] }),
    );
  }

  async #firstRound(): Promise<void> {
    if (!this.#options.probing) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FIRST_ROUND_MS_MAX);
    await Promise.race([this.health.runner.whenFirstRound(), promise]);
    clearTimeout(timer);
  }

  #transitions(batch: readonly Transition[]): void {
    for (const { key, verdict, reason } of batch)
      this.#options.logger.info({ endpoint: key, verdict, reason }, "Verdict changed");
    this.#options.onTransitions?.(batch);
  }

  #changed(changeSet: ChangeSet): void {
    this.#options.persistence.recordChangeSet(changeSet);
    const { kind } = changeSet.cause;
    if (kind !== "latch" && kind !== "snapshot") this.latches.step();
  }

  /** On disk before it has an effect: where it cannot be kept it is refused, as an exception. */
  #shiftsChanged(shifts: readonly Shift[], text: string): void {
    this.#options.persistence.saveShifts(shifts);
    this.#shifts = shifts;
    this.#applyShifts(text);
  }

  /** Brings the overlay in line with the running shifts and comes back when the next one expires. */
  #applyShifts(text: string): void {
    const nowMs = this.#clock.wallMs();
    const running = this.#shifts.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
    if (running.length < this.#shifts.length) {
      this.#shifts = running;
      this.#keep("that shifts expired", (persistence) => persistence.saveShifts(running));
    }
    if (this.model !== undefined && this.world !== undefined) {
      this.overlay.apply(shiftChanges(this.model, this.world, this.overlay, running), {
        kind: "shift",
        text,
      });
    }
    clearTimeout(this.#shiftTimer);
    if (running.length === 0) return;
    const next = Math.min(...running.map(({ expiresAtMs }) => expiresAtMs));
    this.#shiftTimer = setTimeout(
      () => this.#applyShifts("a shift expired"),
      Math.max(1, next - nowMs),
    );
    this.#shiftTimer.unref();
  }
}

function refusedBy(reason: string): TypeError {
  return new TypeError(`The compiler wrote what the reader refuses: ${reason}`);
}

function sharedCopy(content: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(content.length);
  new Uint8Array(buffer).set(content);
  return buffer;
}
