// SPDX-License-Identifier: Apache-2.0

// The loop from probes to answers in one process under a virtual clock: verdict machines and the judge, overlay driver, latches, shifts,
// reloads, the state folder, and workers that select. Time, randomness and the network are the simulation's; everything else is the code
// that runs. What must always be true is checked where it could become false.

import assert from "node:assert/strict";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ManualClock, Pcg32, key64 } from "@meridian/core";
import {
  DataSets,
  DiskPersistence,
  StateDir,
  classifierCompiler,
  compile,
  declaredLatches,
  shiftChanges,
  worldOf,
  type Shift,
} from "@meridian/control";
import {
  DETECTION_SLACK_MS,
  LatchDriver,
  OverlayDriver,
  adoptionChangeSet,
  changesIn,
  detectionBoundMs,
  type ChangeSet,
  type Verdict as VerdictWord,
} from "@meridian/health";
import type { Model } from "@meridian/model";
import {
  Admin,
  adminOf,
  Client,
  OverlayReader,
  Outcome,
  Selector,
  TargetKind,
  Verdict,
  World,
  type KeyedSlots,
} from "@meridian/snapshot";
import {
  below,
  firstDraft,
  modelOf,
  nextDraft,
  oneOf,
  sites,
  type ModelDraft,
} from "./random-model.ts";
import { copyTorn } from "./torn-state.ts";
import { LATE_MS_MAX, LOST_MAX, REPORT_MS, Vantages, rule } from "./vantages.ts";

const TICK_MS = 100;
const SAVE_MS = 500;
const WORKERS = 2;
/** From death to leaving every answer: detection at the vantages, lost and late reports, one tick of the judge. */
const LEAVES_WITHIN_MS =
  detectionBoundMs(rule, DETECTION_SLACK_MS) + (LOST_MAX + 1) * REPORT_MS + LATE_MS_MAX + TICK_MS;

const words: Readonly<Record<number, VerdictWord>> = { 0: "unknown", 1: "healthy", 2: "unhealthy" };
const silent = { info: () => {}, warn: () => {}, error: () => {} };

interface Worker {
  reader: OverlayReader;
  selector: Selector;
  world: World;
  /** Stays in its batch for another tick. */
  isBusy: boolean;
  lastSequence: number;
}

/** What is served: everything that a crash takes away. */
interface Control {
  readonly folder: string;
  readonly persistence: DiskPersistence;
  readonly overlay: OverlayDriver;
  readonly latches: LatchDriver;
}

export class ControlLoop {
  /** What happened, in words; equal for equal seeds. */
  readonly trace: string[] = [];
  /** How often each kind of thing happened or was checked. */
  readonly counts = new Map<string, number>();
  readonly #random: Pcg32;
  readonly #clock = new ManualClock(1_700_000_000_000);
  readonly #startMs = this.#clock.wallMs();
  readonly #root: string;
  readonly #vantages: Vantages;
  readonly #workers: Worker[] = [];
  readonly #deadSinceMs = new Map<string, number>();
  readonly #revivedMs = new Map<string, number>();
  #control: Control;
  #draft: ModelDraft;
  #model: Model;
  #world: World;
  #revision = 0;
  #shifts: Shift[] = [];
  #folders = 0;
  /** Section names of each saved revision, and slots by key after each change set. */
  readonly #saved = new Map<number, readonly string[]>();
  readonly #slotsAfter = new Map<number, ReadonlyMap<bigint, number>>();
  #slots = new Map<bigint, number>();
  #busySinceMs = 0;

  constructor(seed: number, root: string) {
    this.#random = new Pcg32(seed);
    this.#root = root;
    this.#vantages = new Vantages(new Pcg32(seed ^ 0x5eed));
    this.#draft = firstDraft(this.#random);
    this.#model = modelOf(this.#draft);
    this.#control = this.#begin(this.#nextFolder());
    this.#world = this.#serve(this.#model);
  }

  /** Lets `ticks` tenths of a second pass. */
  async run(ticks: number): Promise<void> {
    for (let tick = 0; tick < ticks; tick++) {
      this.#clock.advance(TICK_MS);
      this.#happen();
      this.#judge();
      this.#control.latches.step();
      await this.#query();
      if (this.#sinceStart() % SAVE_MS === 0) this.#control.persistence.journal.save();
    }
  }

  close(): void {
    this.#end();
  }

  /** Something random, or nothing. */
  #happen(): void {
    const keys = this.#endpoints();
    switch (below(this.#random, 50)) {
      case 0:
      case 1:
        return this.#kill(oneOf(this.#random, keys));
      case 2:
        return this.#revive(
          oneOf(this.#random, [...this.#deadSinceMs.keys(), ...keys.slice(0, 1)]),
        );
      case 3:
        for (const key of keys) this.#revive(key);
        return undefined;
      case 4:
        this.#note("isolate", "one vantage");
        return this.#vantages.toggleIsolation();
      case 5:
        return this.#shift();
      case 6:
        this.#shifts = [];
        return this.#applyShifts("ended");
      case 7:
        this.#draft = nextDraft(this.#random, this.#draft);
        this.#model = modelOf(this.#draft);
        this.#world = this.#serve(this.#model);
        return undefined;
      case 8:
        return below(this.#random, 2) === 0 ? this.#crash(undefined) : undefined;
      case 10:
        return below(this.#random, 2) === 0 ? this.#crashInReload() : undefined;
      case 9:
        // A site dies as a whole.
        for (const key of keys.filter((each) => this.#siteOf(each) === "eu-1")) this.#kill(key);
        return undefined;
      default:
        return undefined;
    }
  }

  #kill(key: string): void {
    if (this.#deadSinceMs.has(key)) return;
    this.#deadSinceMs.set(key, this.#clock.wallMs());
    this.#note("death", key);
  }

  #revive(key: string): void {
    if (!this.#deadSinceMs.delete(key)) return;
    this.#revivedMs.set(key, this.#sinceStart());
    this.#note("recovery", key);
  }

  #shift(): void {
    const target =
      below(this.#random, 2) === 0
        ? `site/${oneOf(this.#random, ["eu", ...sites])}`
        : oneOf(this.#random, this.#endpoints());
    const percent = oneOf(this.#random, [100, 100, 50]);
    const nowMs = this.#clock.wallMs();
    this.#shifts.push({
      id: "s",
      target,
      percent,
      reason: "r",
      actor: "a",
      createdAtMs: nowMs,
      expiresAtMs: nowMs + 1,
    });
    this.#applyShifts(`${percent} % of ${target}`);
  }

  #applyShifts(text: string): void {
    this.#note("shift", text);
    const { overlay } = this.#control;
    overlay.apply(shiftChanges(this.#model, this.#world, overlay, this.#shifts), {
      kind: "shift",
      text,
    });
  }

  /** Verdicts of the judge go to the overlay, as one change set. */
  #judge(): void {
    const nowMs = this.#clock.wallMs();
    const { overlay } = this.#control;
    const endpoints = this.#endpoints();
    this.#vantages.tick(
      this.#sinceStart(),
      new Set(endpoints),
      (key) => !this.#deadSinceMs.has(key),
      (key) => words[overlay.read(this.#world.slotOfKey(key64(key))) & 3] ?? "unknown",
    );
    const changes = endpoints.flatMap((key) => {
      const slot = this.#world.slotOfKey(key64(key));
      const was = overlay.read(slot);
      const before = words[was & 3] ?? "unknown";
      const verdict = this.#vantages.judge(key, before);
      if (verdict === before) return [];
      // What is new and was healthy for nobody is not lost when the first one to look cannot reach it.
      if (before === "healthy" && verdict === "unhealthy") this.#checkLoss(key);
      this.#note("verdict", `${key} ${verdict}`);
      return [{ slot, value: ((was & ~3) | Verdict[verdict]) >>> 0 }];
    });
    overlay.apply(changes, { kind: "health", text: `${changes.length} verdicts at ${nowMs}` });
  }

  /** Nothing is lost because one vantage cannot reach it, whatever becomes of reports, unless another one could not a moment ago. */
  #checkLoss(key: string): void {
    const nowMs = this.#sinceStart();
    const isAlive = nowMs - (this.#revivedMs.get(key) ?? 0) > LEAVES_WITHIN_MS;
    if (this.#deadSinceMs.has(key) || !isAlive) return;
    if (nowMs - this.#vantages.toggledMs <= LEAVES_WITHIN_MS) return;
    assert.fail(`${key} is alive, and is lost`);
  }

  /** Compiles and serves a model; what is in force is carried over as the embedded control plane does it. */
  #serve(model: Model): World {
    const { sections } = compile(model, { seed: 1, classify: classifierCompiler(new DataSets()) });
    const world = worldOf(sections, 1);
    assert.ok(typeof world === "object", "what was compiled is loaded");
    this.#revision += 1;
    const { overlay, latches, persistence } = this.#control;
    latches.pause();
    overlay.adopt(world, this.#revision, undefined, persistence.lastSequence());
    const known = this.#world === undefined ? new Set() : new Set(this.#endpoints());
    this.#world = world;
    // An endpoint that is new has to be found out about from now on.
    for (const key of this.#endpoints())
      if (!known.has(key) && this.#deadSinceMs.has(key))
        this.#deadSinceMs.set(key, this.#clock.wallMs());
    this.#adoptWorkers();
    persistence.saveRevision({ epoch: 1, revision: this.#revision, seed: 1, sections });
    this.#saved.set(
      this.#revision,
      sections.map(({ name }) => name),
    );
    this.#applyShifts("running ones");
    latches.adopt(world, declaredLatches(model));
    this.#note("reload", `revision ${this.#revision}, ${world.pools.endpointCount} endpoints`);
    return world;
  }

  /** The process dies while it keeps the revision that it has just begun to serve. */
  #crashInReload(): void {
    const before = `${this.#control.folder}-before`;
    this.#control.persistence.journal.save();
    cpSync(this.#control.folder, before, { recursive: true });
    this.#draft = nextDraft(this.#random, this.#draft);
    this.#model = modelOf(this.#draft);
    this.#world = this.#serve(this.#model);
    this.#crash(before);
  }

  /** The process dies; another one starts from what is on disk. `before` is the folder before the newest revision was kept. */
  #crash(before: string | undefined): void {
    const { folder, persistence, overlay } = this.#control;
    const published = overlay.sequence;
    const isSaved = below(this.#random, 2) === 0;
    if (isSaved) persistence.journal.save();
    const to = this.#nextFolder();
    const tear = copyTorn(folder, before, to, this.#random);
    this.#end();
    this.#vantages.restartControl();
    this.#control = this.#begin(to);
    const slots = this.#control.persistence.loadOverlay();
    const stored = this.#control.persistence.loadRevision();
    this.#note("crash", `${tear}, revision ${stored?.manifest.revision ?? 0}`);
    assert.ok(stored !== undefined, "a complete revision is on disk");
    const { revision, seed, sections } = stored.manifest;
    assert.equal(revision, tear === "none" ? this.#revision : this.#revision - 1);
    const names = sections.map(({ name }) => name);
    assert.deepEqual(names, this.#saved.get(revision), "the revision is whole");
    this.#checkRestored(slots, isSaved && tear === "none" ? published : undefined);
    const world = World.load(stored.pack.sections, seed);
    assert.ok(!("error" in world), "the stored revision is served");
    this.#world = world;
    this.#revision = revision;
    this.#control.overlay.adopt(world, revision, slots, this.#control.persistence.lastSequence());
    assert.ok(this.#control.overlay.sequence > published, "sequences go on behind all before");
    this.#adoptWorkers();
    for (const worker of this.#workers) {
      // Before any file is read or endpoint probed it answers as it did.
      worker.reader.enter();
      this.#batch(worker, false);
      worker.reader.leave();
    }
    for (const key of this.#deadSinceMs.keys()) this.#deadSinceMs.set(key, this.#clock.wallMs());
    this.#world = this.#serve(this.#model);
  }

  /** The table on disk is one that was in force, whole: the newest one where it was saved. */
  #checkRestored(overlay: KeyedSlots | undefined, newest: number | undefined): void {
    assert.ok(overlay !== undefined, "an overlay is on disk");
    const kept = new Map(overlay.entries());
    const match = [...this.#slotsAfter].findLast(([, slots]) => isEqual(slots, kept));
    assert.ok(match !== undefined, "the stored overlay was in force once, whole");
    if (newest !== undefined)
      assert.equal(match[0], newest, "what was saved last is what is restored");
    this.#slots = kept;
  }

  #begin(folder: string): Control {
    const directory = new StateDir(folder);
    directory.lock();
    const persistence = new DiskPersistence(directory, silent, () => this.#clock.wallMs());
    const overlay = new OverlayDriver({
      wallMs: () => this.#clock.wallMs(),
      onChangeSet: (set) => this.#changed(set),
      onAdopted: (adoption, world) => {
        const cause = { kind: "snapshot", text: `revision ${adoption.revision}` };
        this.#changed(adoptionChangeSet(world, adoption, cause, persistence.recordedSlots()));
      },
    });
    const latches = new LatchDriver(overlay, () => this.#clock.monotonicMs());
    return { folder, persistence, overlay, latches };
  }

  #end(): void {
    this.#control.latches.close();
    this.#control.overlay.close();
    this.#control.persistence.journal.close();
  }

  #changed(set: ChangeSet): void {
    this.#control.persistence.recordChangeSet(set);
    for (const { key, value } of changesIn(set)) this.#slots.set(key, value);
    this.#slotsAfter.set(set.sequence, new Map(this.#slots));
    this.#count("change sets");
    if (set.cause.kind !== "latch") this.#control.latches.step();
  }

  #adoptWorkers(): void {
    const { buffer, slotCount } = this.#control.overlay;
    for (let at = 0; at < WORKERS; at++) {
      const reader = new OverlayReader(buffer, slotCount, at);
      const lastSequence = this.#workers[at]?.lastSequence ?? 0;
      const selector = new Selector(this.#world);
      this.#workers[at] = { reader, selector, world: this.#world, isBusy: false, lastSequence };
    }
  }

  /** Every worker answers a batch; one may stay in it until the next tick, so that a change set has to wait. */
  async #query(): Promise<void> {
    for (const worker of this.#workers) {
      if (!worker.isBusy) worker.reader.enter();
      this.#batch(worker, !this.#workers.some(({ isBusy }) => isBusy));
      worker.isBusy = !worker.isBusy && below(this.#random, 8) === 0;
      if (worker.isBusy) this.#busySinceMs = this.#clock.wallMs();
      else worker.reader.leave();
    }
    // What waits for a bank leaves on the next turns of the event loop.
    if (this.#workers.every(({ isBusy }) => !isBusy) && this.#busySinceMs > 0) {
      this.#busySinceMs = 0;
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #batch(worker: Worker, isCurrent: boolean): void {
    const { reader, selector, world } = worker;
    assert.ok(reader.sequence >= worker.lastSequence, "a worker never goes back");
    worker.lastSequence = reader.sequence;
    const slots = reader.slots;
    const configured = [...slots.subarray(0, world.pools.endpointCount)].filter(
      (slot) => adminOf(slot) === Admin.active,
    );
    const client = new Client();
    for (let round = 0; round < 4; round++) {
      const draw = this.#random.next32();
      client.set(4, Uint8Array.of(198, 51, draw & 0xff, 0), 0, 24);
      const outcome = selector.select(slots, TargetKind.policy, 0, client, draw, 4, 0);
      if (configured.length === 0) {
        assert.equal(outcome, Outcome.noData, "everything is drained");
        this.#count("all drained");
        continue;
      }
      assert.equal(outcome, Outcome.endpoints, "open always answers");
      assert.ok(selector.chosenCount > 0, "an answer is never empty");
      for (const endpoint of selector.chosen.subarray(0, selector.chosenCount))
        this.#checkAnswer(world, slots, endpoint, isCurrent, configured);
    }
  }

  #checkAnswer(
    world: World,
    slots: Uint32Array,
    endpoint: number,
    isCurrent: boolean,
    configured: readonly number[],
  ): void {
    const slot = slots[endpoint] ?? 0;
    const name = world.endpointName(endpoint);
    assert.equal(adminOf(slot), Admin.active, `${name} is drained`);
    const hasHealthy = configured.some((each) => (each & 3) === Verdict.healthy);
    if (hasHealthy)
      assert.equal(slot & 3, Verdict.healthy, `${name} is answered though another is healthy`);
    this.#count(hasHealthy ? "healthy answers" : "open answers");
    if (!isCurrent) return;
    const isShifted = this.#shifts.some(
      ({ target, percent }) => percent === 100 && this.#reaches(target, name),
    );
    assert.ok(!isShifted, `${name} is answered though it was drained before`);
    const deadSinceMs = this.#deadSinceMs.get(name);
    const deadMs = deadSinceMs === undefined ? 0 : this.#clock.wallMs() - deadSinceMs;
    if (hasHealthy && deadMs > 0) {
      assert.ok(deadMs <= LEAVES_WITHIN_MS, `${name} has been dead for ${deadMs} ms`);
      this.#count("dead answers within the bound");
    }
  }

  /** Written a second time, from the words of the glossary: a shift of a site reaches every site below. */
  #reaches(target: string, endpoint: string): boolean {
    if (target === endpoint) return true;
    const site = this.#siteOf(endpoint);
    return target === `site/${site}` || (target === "site/eu" && site !== "us");
  }

  #siteOf(endpoint: string): string | undefined {
    const [, , pool = "", member = ""] = endpoint.split("/");
    return this.#draft.pools.get(pool)?.get(member);
  }

  #endpoints(): string[] {
    return Array.from({ length: this.#world.pools.endpointCount }, (_, at) =>
      this.#world.endpointName(at),
    );
  }

  #nextFolder(): string {
    const folder = join(this.#root, `state-${this.#folders++}`);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  #sinceStart(): number {
    return this.#clock.wallMs() - this.#startMs;
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #note(what: string, text: string): void {
    this.#count(what);
    this.trace.push(`${this.#sinceStart()} ${what} ${text}`);
  }
}

function isEqual(a: ReadonlyMap<bigint, number>, b: ReadonlyMap<bigint, number>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
