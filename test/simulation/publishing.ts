// SPDX-License-Identifier: Apache-2.0

// One control and many edges in one process, in virtual time: EdgeHub and EdgeReplica as they run, their messages as they travel, and a
// network, disks and clocks that misbehave. What must always be true is checked wherever an edge begins to answer from something else.

import assert from "node:assert/strict";
import { Pcg32 } from "@meridian/core";
import {
  DataSets,
  EdgeHub,
  broughtSections,
  carriedFrom,
  classifierCompiler,
  compile,
  worldOf,
  type BroughtSections,
  type CarriedFrom,
  type PackedRevision,
  type Publication,
} from "@meridian/control";
import {
  OverlayObserver,
  OverlayWriter,
  TABLE_MS,
  SectionPack,
  makeManifest,
  type World,
} from "@meridian/snapshot";
import { manifestSection } from "@meridian/snapshot/disk";
import { answersDigest, type LoadedRevision } from "@meridian/edge";
import { below, firstDraft, modelOf, nextDraft, oneOf, type ModelDraft } from "./random-model.ts";
import { SimulatedEdge, slotsHash, type Surroundings } from "./simulated-edge.ts";
import type { Weather } from "./simulated-wire.ts";
import { VirtualTime } from "./virtual-time.ts";

/** A revision as edges may be sent it, with its slots. */
interface Tracked {
  readonly revision: number;
  readonly world: World;
  readonly values: Uint32Array;
}

const SEED = 1;
/** Revisions whose slots are followed: no edge is sent an older one. */
const TRACKED_MAX = 14;
const HOUR_MS = 3_600_000;
/** For how long a section that is served no more can be had. */
const SUPERSEDED_MS = 10_000;
/** A control that starts anew goes on behind every sequence that may have been seen. */
const SEQUENCES_SKIPPED = 65_536;

export class Publishing implements Surroundings {
  readonly time = new VirtualTime();
  readonly random: Pcg32;
  readonly edges: SimulatedEdge[];
  /** What happened, in words; equal for equal seeds. */
  readonly trace: string[] = [];
  /** What must not be. */
  readonly violations: string[] = [];
  readonly counts = new Map<string, number>();
  /** What was ever published, by the hash of its manifest. */
  readonly loaded = new Map<string, LoadedRevision>();
  /** What slots were, but those of pool epochs, by `REVISION:SEQUENCE`. */
  readonly slots = new Map<string, number>();
  readonly #sections = new Map<string, SharedArrayBuffer>();
  /** When sections were served last, of the control that runs. */
  readonly #supersededMs = new Map<string, number>();
  readonly #publications: Publication[] = [];
  /** Revisions that edges are to find bad and nobody may serve, however often control is started anew. */
  readonly refused = new Set<number>();
  /** What edges that go first are told of revisions that not all edges were sent yet. */
  readonly #staged = new Map<number, string>();
  /** What all edges were sent last, as control knows it after it was started anew. */
  #settled: Publication | undefined;
  /** The newest revisions with their slots, which follow the newest of all. */
  #tracked: Tracked[] = [];
  /** What control serves while it has not caught up with what it published before it died. */
  #lagging: Publication | undefined;
  #draft: ModelDraft;
  #goodDraft: ModelDraft;
  #hub: EdgeHub | undefined;
  #writer = new OverlayWriter(new Uint32Array(0));
  #world: World | undefined;
  /** Wall time of control is off by this. */
  #skewMs = 0;
  /** The newest revision for which an edge went in the place of another. */
  #standIns = 0;
  /** Control does nothing until then. */
  #stoppedUntilMs = 0;
  revision = 0;

  constructor(seed: number, edgeCount: number, weather: Weather) {
    this.random = new Pcg32(seed);
    this.#draft = firstDraft(this.random);
    this.#goodDraft = this.#draft;
    this.edges = Array.from(
      { length: edgeCount },
      (_, at) => new SimulatedEdge(`e${at}`, this, weather),
    );
    this.publish();
    this.startControl();
    for (const edge of this.edges) edge.start();
    this.#tick();
  }

  get sequence(): number {
    return this.#writer.sequence;
  }

  /** The control that edges reach; undefined while it is down. */
  get hub(): EdgeHub | undefined {
    return this.#hub;
  }

  /** What is sent to control is looked at once it runs again. */
  whenRunning(work: () => void): void {
    const waitMs = this.#stoppedUntilMs - this.time.nowMs;
    if (waitMs > 0) this.time.after(waitMs, () => this.whenRunning(work));
    else work();
  }

  /** A section that control serves, or did a moment ago; it holds no other. */
  section(name: string): SharedArrayBuffer | undefined {
    const isRecent = (this.#supersededMs.get(name) ?? -Infinity) > this.time.nowMs - SUPERSEDED_MS;
    return this.#hub?.isSent(name) === true || isRecent ? this.#sections.get(name) : undefined;
  }

  /** The bytes of a section as they were published. */
  published(name: string): SharedArrayBuffer | undefined {
    return this.#sections.get(name);
  }

  /** Other documents: a revision more; now and then to a few edges first, which may find it bad. */
  publish(): void {
    const before = this.#draft;
    // Half of them with the slots that there were, so that a table of another revision would fit.
    const isLike = below(this.random, 2) === 0;
    const kind = oneOf(this.random, ["weighted", "roundRobin", "sticky"] as const);
    this.#draft = isLike ? { ...this.#draft, kind } : nextDraft(this.random, this.#draft);
    this.#newest(this.#compileNext(), before);
    this.note("publish", `revision ${this.revision}`);
  }

  /** Other documents, for all edges at once. */
  publishPlainly(): void {
    this.#draft = nextDraft(this.random, this.#draft);
    this.#goodDraft = this.#draft;
    this.#hub?.publish(this.#compileNext());
  }

  #compileNext(): Publication {
    const classify = classifierCompiler(new DataSets());
    const { sections } = compile(modelOf(this.#draft), { seed: SEED, classify });
    const world = worldOf(sections, SEED);
    assert.ok(typeof world === "object", "what was compiled is loaded");
    this.revision += 1;
    const manifest = makeManifest(this.revision, SEED, sections.map(manifestSection));
    for (const { name } of this.#publications.at(-1)?.manifest.sections ?? [])
      this.#supersededMs.set(name, this.time.nowMs);
    for (const { name, buffer } of sections) this.#sections.set(name, buffer);
    const pack = SectionPack.make(sections);
    assert.ok(!("error" in pack), "what was compiled is laid out");
    this.loaded.set(manifest.hash, { world, pack });
    const brought = this.#broughtBy({ manifest, pack });
    const initial = world.initialSlots();
    for (let slot = 0; slot < (this.#world?.slotCount ?? 0); slot++) {
      const moved = world.slotOfKey(this.#world?.slotKey(slot) ?? 0n);
      if (moved >= 0) initial[moved] = this.#writer.read(slot);
    }
    const carried = brought && this.#carriedTo(world, initial);
    this.#world = world;
    this.#writer = new OverlayWriter(initial, this.#writer.sequence + 1);
    this.#forgetUnseen();
    this.#remember();
    const { buffer: overlay, slotCount } = this.#writer;
    const publication = {
      manifest,
      revision: this.revision,
      world: world.share(),
      overlay,
      slotCount,
      ...(brought === undefined ? {} : { brought }),
      ...(carried === undefined ? {} : { carried }),
    };
    this.#publications.push(publication);
    return publication;
  }

  /** Ahead of its manifest every other revision sends what it brings. */
  #broughtBy(next: PackedRevision): BroughtSections | undefined {
    const { manifest } = this.#publications.at(-1) ?? {};
    const before = this.loaded.get(manifest?.hash ?? "");
    if (manifest === undefined || before === undefined || this.revision % 2 === 0) return undefined;
    return broughtSections({ manifest, pack: before.pack }, next);
  }

  #carriedTo(world: World, slots: Uint32Array): CarriedFrom | undefined {
    const before = this.#world;
    if (before === undefined) return undefined;
    const { buffer, slotCount, sequence } = this.#writer;
    const moment = new OverlayObserver(buffer, slotCount).moment();
    const revision = this.revision - 1;
    const next = { world, moment: { sequence: sequence + 1, slots } };
    return carriedFrom({ world: before, revision, moment }, next);
  }

  /** Some verdicts change. */
  flip(): void {
    const world = this.#world;
    if (world === undefined || world.pools.endpointCount === 0) return;
    const count = 1 + below(this.random, 3);
    const changes = Array.from({ length: count }, () => {
      const slot = below(this.random, world.pools.endpointCount);
      return { slot, key: world.slotKey(slot), value: this.random.next32() };
    });
    this.#writer.publish(changes, this.#writer.sequence + 1);
    this.#remember();
    const { revision } = this;
    const cause = { kind: "verdict" as const, text: "simulated" };
    const { sequence } = this.#writer;
    const keys = BigUint64Array.from(changes, ({ key }) => key);
    const values = Uint32Array.from(changes, ({ value }) => value);
    this.#hub?.changed({ revision, sequence, atMs: this.time.nowMs, cause, keys, values });
    this.note("flip", `sequence ${sequence}`);
  }

  /** Control dies; its state folder stays. */
  stopControl(): void {
    this.#hub = undefined;
    this.#supersededMs.clear();
    for (const edge of this.edges) edge.disconnect();
    this.note("control down", "");
  }

  startControl(): void {
    if (this.#hub !== undefined) return;
    const clock = {
      wallMs: () => this.time.nowMs + this.#skewMs,
      monotonicMs: () => this.time.nowMs,
    };
    const onHalted = (revision: number): void => this.time.after(0, () => this.#takeBack(revision));
    const onSettled = (revision: number): void => this.#settle(revision);
    this.#hub = new EdgeHub(clock, { onHalted, onSettled });
    const [before, newest] = this.#publications.slice(-2);
    const last = newest ?? before;
    assert.ok(before !== undefined && last !== undefined, "something was published");
    // What was not found good is nothing that it has published.
    const mayLag = newest !== undefined && !this.#staged.has(before.revision);
    if (mayLag && below(this.random, 3) === 0) {
      // It has not caught up with what it published before it died.
      this.#hub.publish(before);
      this.#lagging = before;
      const hub = this.#hub;
      this.note("lag", `revision ${before.revision}`);
      this.time.after(below(this.random, 4000), () => {
        if (this.#hub === hub) this.#catchUp();
      });
      return;
    }
    this.#catchUp();
    this.note("control up", `sequence ${this.#writer.sequence}`);
  }

  #catchUp(): void {
    const newest = this.#publications.at(-1);
    assert.ok(newest !== undefined, "something was published");
    this.#lagging = undefined;
    if (this.trace.length > 1) {
      this.#writer.publish([], this.#writer.sequence + SEQUENCES_SKIPPED);
      this.#remember();
    }
    const digest = this.#staged.get(newest.revision);
    if (digest === undefined) this.#hub?.publish(newest);
    else
      this.#hub?.publish(newest, {
        digestOf: () => digest,
        before: this.#kept(),
        gathers: true,
      });
  }

  #newest(publication: Publication, before: ModelDraft): void {
    this.#goodDraft = before;
    if (below(this.random, 3) !== 0 || this.#publications.length < 2) {
      this.#hub?.publish(publication);
      return;
    }
    const isBad = below(this.random, 3) === 0;
    const world = this.#world;
    assert.ok(world !== undefined, "a world is served");
    this.note(isBad ? "bad stage" : "stage", `revision ${this.revision}`);
    const digest = isBad ? "another" : answersDigest(world);
    // With nobody there to ask, it goes to all who come; of a control that is down, it is what it has when it is started anew.
    const hub = this.#hub;
    const isAsked = hub?.views([]).some(({ connected }) => connected) !== false;
    if (isAsked) this.#staged.set(this.revision, digest);
    if (isBad && isAsked) this.refused.add(this.revision);
    hub?.publish(publication, { digestOf: () => digest });
    if (isAsked && below(this.random, 3) === 0) this.#killCanaries();
  }

  /** Often for longer than anybody waits for them. */
  #killCanaries(): void {
    const { canaries = [] } = this.#hub?.publication(this.revision, []) ?? {};
    for (const edge of this.edges) {
      if (!canaries.includes(edge.name)) continue;
      edge.crash();
      this.time.after(below(this.random, 9000), () => edge.start());
    }
  }

  /** What was before comes back as a new revision. */
  #takeBack(revision: number): void {
    if (revision !== this.revision) return;
    this.check(this.refused.has(revision), `revision ${revision} is taken back though it is good`);
    this.note("taken back", `revision ${revision}`);
    this.#draft = this.#goodDraft;
    this.#hub?.publish(this.#compileNext());
  }

  #settle(revision: number): void {
    this.#settled = this.#publications.find((each) => each.revision === revision);
    this.#staged.delete(revision);
  }

  /** What all edges were sent last, with its slots as they were recorded last. */
  #kept(): Publication | undefined {
    const settled = this.#settled;
    const found = this.#tracked.find(({ revision }) => revision === settled?.revision);
    if (settled === undefined || found === undefined) return undefined;
    const { buffer: overlay, slotCount } = new OverlayWriter(found.values);
    return { ...settled, overlay, slotCount };
  }

  /** Control is stopped as a machine is that is moved, and goes on. */
  pauseControl(ms: number): void {
    this.#stoppedUntilMs = this.time.nowMs + ms;
    this.note("pause", `${ms} ms`);
  }

  /** The wall clock of control steps. */
  skew(): void {
    this.#skewMs = (below(this.random, 3) - 1) * HOUR_MS;
    this.note("clock", `${this.#skewMs} ms`);
  }

  /** All edges that are up serve the newest pair. */
  get hasConverged(): boolean {
    return this.edges.every((edge) => {
      const { revision, sequence } = edge.position;
      return revision === this.revision && sequence === this.sequence;
    });
  }

  /** Kept, as an edge catches what is thrown while it takes a revision. */
  check(isTrue: boolean, text: string): void {
    if (!isTrue) this.violations.push(`${this.time.nowMs} ${text}`);
  }

  note(what: string, text: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    this.trace.push(`${this.time.nowMs} ${what} ${text}`);
  }

  #tick(): void {
    this.time.after(TABLE_MS, () => this.#tick());
    this.whenRunning(() => this.#hub?.tick());
    // Of six edges one goes first.
    const { canaries = [] } = this.#hub?.publication(this.revision, []) ?? {};
    if (canaries.length > 1 && this.#standIns < this.revision) {
      this.#standIns = this.revision;
      this.note("stand-in", canaries.join(" "));
    }
  }

  /** A control that lags goes on from the slots that it has: verdicts of the time between are none that it knows. */
  #forgetUnseen(): void {
    const lagging = this.#lagging;
    this.#lagging = undefined;
    if (lagging === undefined) return;
    const { slots } = new OverlayObserver(lagging.overlay, lagging.slotCount).moment();
    for (const { revision, values } of this.#tracked)
      if (revision === lagging.revision) values.set(slots);
  }

  #remember(): void {
    const [world, { sequence }] = [this.#world, this.#writer];
    assert.ok(world !== undefined, "a world is served");
    if (this.#tracked[0]?.revision !== this.revision) {
      const own = { revision: this.revision, world, values: new Uint32Array(world.slotCount) };
      this.#tracked = [own, ...this.#tracked].slice(0, TRACKED_MAX);
    }
    for (const { revision, world: old, values } of this.#tracked) {
      const found: { readonly low: number; readonly high: number; readonly value: number }[] = [];
      for (let slot = 0; slot < old.slotCount; slot++) {
        if (slot >= old.poolEpochSlots && slot < old.branchSlots) continue;
        const [low, high] = [old.slotKeyLow(slot), old.slotKeyHigh(slot)];
        const now = world.slotOfHalves(low, high);
        if (now >= 0) values[slot] = this.#writer.read(now);
        found.push({ low, high, value: values[slot] ?? 0 });
      }
      this.slots.set(`${revision}:${sequence}`, slotsHash(found));
    }
  }
}
