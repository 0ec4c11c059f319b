// SPDX-License-Identifier: Apache-2.0

// Fenced hand-overs of a panel with two sides, between three controls and some edges, in virtual time. Leases, what they wait for and what edges do
// about them are the real ones; the store is one register that controls reach or not. Clocks start anywhere and run up to 4 % fast or slow,
// messages take their time, connections break, processes stop, go on, and start anew, and any control may take itself for the leader.
//
// What has to hold: never do two edges, or one, answer both sides.

import { Pcg32 } from "@meridian/core";
import {
  EdgeLeases,
  TERM_MS,
  fencedChange,
  handOverWaits,
  isRunning,
  noFence,
  settledChange,
  wantedStandings,
  type ControlFence,
  type ControlLeases,
  type ControlStanding,
  type ControlState,
} from "@meridian/control";
import { FenceLease } from "@meridian/edge";
import { FRAME_HEADER_BYTES, decodeGrant, type LeaseGrant } from "@meridian/snapshot";
import { EventQueue } from "./event-queue.ts";
import { below, oneOf } from "./random-model.ts";

const EPOCH = 1;
const SNAPSHOT = 1;
const CONFIRM_MS = 1000;
const LOOK_MS = 100;
const TABLE_MS = 1000;
const RETRY_MS = 300;
/** A connection that has said nothing for this long is given up. */
const SILENCE_MS = 5000;
/** An edge that has said nothing for this long is told nothing more. */
const GONE_MS = 10_000;
const sides = ["left", "right"] as const;
type Side = (typeof sides)[number];

/** What is left out of the protocol, to see that it is missed. */
export type Fault =
  /** A lease counts from when it is heard of. */
  | "heard"
  /** An edge that goes over to another control takes whatever that says. */
  | "trusting"
  /** A hand-over is over when edges have said so, whatever other controls know. */
  | "unasked"
  /** It is over after half of the term. */
  | "hasty"
  /** A control that does not reach the store lets its edges go on. */
  | "generous";

interface Stored {
  readonly revision: number;
  readonly standings: ReadonlyMap<string, ControlStanding>;
  readonly fence: ControlFence;
  readonly fenceRevision: number;
  readonly isFenced: boolean;
  readonly edges: readonly string[];
}

/** As workers answer by them. */
interface Slots {
  readonly states: Readonly<Record<Side, ControlState>>;
  readonly isFenced: boolean;
}

type Message =
  | { readonly kind: "slots"; readonly sequence: number; readonly slots: Slots }
  | { readonly kind: "grant"; readonly grant: LeaseGrant };

class FromHeard extends FenceLease {
  readonly #now: () => number;
  constructor(instance: string, now: () => number) {
    super(instance, now);
    this.#now = now;
  }
  override offer(grant: LeaseGrant): boolean {
    return super.offer({ ...grant, askedAtMs: this.#now() });
  }
}

class Trusting extends FenceLease {
  override beforeSlots(): void {
    // Whatever it is.
  }
  override offer(grant: LeaseGrant): boolean {
    return super.offer({ ...grant, asOf: { epoch: EPOCH, revision: 1e9 } });
  }
}

export class HandOverWorld {
  readonly random: Pcg32;
  readonly violations: string[] = [];
  readonly trace: string[] = [];
  readonly fault: Fault | undefined;
  readonly controls: readonly SimControl[];
  readonly edges: SimEdge[] = [];
  nowMs = 0;
  /** Changes that were committed, and hand-overs that were ended. */
  changes = 0;
  ended = 0;
  longestMs = 0;
  stored: Stored;
  readonly #events = new EventQueue();

  constructor(seed: number, edges: number, fault?: Fault) {
    this.random = new Pcg32(seed);
    this.fault = fault;
    const off: ControlStanding = { state: "Off", changedAtMs: 1, actor: "", reason: "" };
    this.stored = {
      ...{ revision: 1, standings: new Map([["right", off]]), fence: noFence },
      ...{ fenceRevision: 0, isFenced: false, edges: [] },
    };
    this.controls = ["a", "b", "c"].map((name) => new SimControl(this, name));
    for (let at = 0; at < edges; at++) this.join();
    for (const control of this.controls) control.start();
  }

  /** Another edge joins, once its control has the store say so. */
  join(): void {
    const name = `edge-${this.edges.length}`;
    this.stored = {
      ...this.stored,
      ...{ revision: this.stored.revision + 1, edges: [...this.stored.edges, name] },
    };
    const edge = new SimEdge(this, name);
    this.edges.push(edge);
    edge.start();
  }

  after(ms: number, run: () => void): void {
    this.#events.add(this.nowMs + ms, run);
  }

  note(text: string): void {
    this.trace.push(`${(this.nowMs / 1000).toFixed(3)} ${text}`);
    if (this.trace.length > 400) this.trace.shift();
  }

  runUntil(untilMs: number): void {
    while (this.violations.length === 0) {
      const next = this.#events.nextMs;
      if (next === undefined || next > untilMs) break;
      this.nowMs = next;
      this.#events.runNext();
      this.#look();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** Commits where nothing that it was decided by has changed. */
  commit(by: string, seen: Stored, next: Omit<Stored, "revision" | "fenceRevision">): boolean {
    if (this.stored.fenceRevision !== seen.fenceRevision) return false;
    if (this.stored.standings !== seen.standings) return false;
    const revision = this.stored.revision + 1;
    const { edges } = this.stored;
    this.stored = { ...next, edges, revision, fenceRevision: revision };
    this.note(
      `${by} committed ${revision}: ${shown(next.standings)} settling [${next.fence.settling.join()}] pending [${[...next.fence.pending.keys()].join()}]`,
    );
    return true;
  }

  /** Everything reaches everything, and runs. */
  heal(): void {
    this.note("all heals");
    for (const control of this.controls) {
      control.reachesStore = true;
      control.cutFrom.clear();
    }
    for (const edge of this.edges) {
      edge.cutFrom.clear();
      if (edge.isPaused) edge.resume();
      if (!edge.isRunning) edge.start();
    }
  }

  /** Whether nothing waits, and every edge answers what is wanted. */
  get isQuiet(): boolean {
    const { standings, fence, isFenced } = this.stored;
    if (isFenced && (isRunning(fence) || fence.known === "")) return false;
    return this.edges.every((edge) =>
      sides.every((side) => edge.answers(side) === ((standings.get(side)?.state ?? "On") === "On")),
    );
  }

  #look(): void {
    // Before it is fenced nothing is promised.
    if (this.stored.fence.known === "") return;
    const left = this.edges.filter((edge) => edge.answers("left"));
    const right = this.edges.filter((edge) => edge.answers("right"));
    if (left.length === 0 || right.length === 0) return;
    const names = (all: readonly SimEdge[]): string => all.map(({ name }) => name).join(", ");
    this.violations.push(`${this.nowMs}: ${names(left)} answer left, ${names(right)} right`);
    this.note(this.violations.at(-1) ?? "");
  }
}

function shown(standings: Stored["standings"]): string {
  return sides.map((side) => `${side} ${standings.get(side)?.state ?? "On"}`).join(" ");
}

/** A clock that starts anywhere and runs a little fast or slow. */
function clockOf(world: HandOverWorld): () => number {
  const start = below(world.random, 1_000_000);
  const rate = 0.96 + below(world.random, 81) / 1000;
  return () => start + world.nowMs * rate;
}

class SimControl {
  readonly name: string;
  readonly #world: HandOverWorld;
  readonly nowMs: () => number;
  reachesStore = true;
  /** Names of controls that it does not reach. */
  readonly cutFrom = new Set<string>();
  leases: EdgeLeases;
  view: Stored;
  sequence = 1;
  readonly streams = new Set<Stream>();
  #seen: { readonly revision: number; readonly atMs: number } | undefined;
  #generation = 0;

  constructor(world: HandOverWorld, name: string) {
    this.#world = world;
    this.name = name;
    this.nowMs = clockOf(world);
    this.view = world.stored;
    this.leases = new EdgeLeases(this.nowMs);
  }

  start(): void {
    const generation = ++this.#generation;
    this.leases = new EdgeLeases(this.nowMs);
    this.#seen = undefined;
    for (const stream of this.streams) stream.end();
    const every = (ms: number, run: () => void): void => {
      const again = (): void => {
        if (generation !== this.#generation) return;
        run();
        this.#world.after(ms, again);
      };
      this.#world.after(below(this.#world.random, ms), again);
    };
    every(CONFIRM_MS, () => this.#confirm(generation));
    every(LOOK_MS, () => this.#advance(generation));
    every(TABLE_MS, () => {
      for (const stream of this.streams) {
        // What it was sent before lies where it will be read.
        if (this.#world.nowMs - stream.wordMs > GONE_MS) this.streams.delete(stream);
        else stream.send(this.#slots());
      }
    });
  }

  /** What a client of this control wants. Refused without the store. */
  turn(on: Side): void {
    if (!this.reachesStore) return;
    this.#world.after(delay(this.#world), () => {
      if (!this.reachesStore) return;
      const seen = this.#world.stored;
      if (!seen.isFenced) return;
      const present = wantedStandings(seen.standings, seen.fence);
      const wanted = new Map(present);
      const nowMs = 1 + Math.floor(this.#world.nowMs);
      for (const side of sides) {
        const state = side === on ? "On" : "Off";
        if ((present.get(side)?.state ?? "On") !== state)
          wanted.set(side, { state, changedAtMs: nowMs, actor: "", reason: "" });
      }
      const next = fencedChange(
        seen.standings,
        seen.fence,
        wanted,
        { print: "p", bound: new Set(sides) },
        nowMs,
      );
      const isNew = sides.some((side) => wanted.get(side) !== present.get(side));
      if (!isNew) return;
      if (this.#world.commit(`${this.name} (${on})`, seen, { ...seen, ...next }))
        this.#world.changes += 1;
    });
  }

  /** The panel is fenced from now on. */
  fence(): void {
    const { stored } = this.#world;
    this.#world.stored = { ...stored, revision: stored.revision + 1, isFenced: true };
    this.#world.note("the panel is fenced");
  }

  status(): ControlLeases {
    return this.leases.view();
  }

  connect(stream: Stream): void {
    stream.wordMs = this.#world.nowMs;
    this.streams.add(stream);
    this.#grant(stream, true);
    stream.send(this.#slots());
  }

  ask(stream: Stream, request: Parameters<EdgeLeases["take"]>[1]): void {
    if (!this.streams.has(stream)) return;
    this.leases.take(stream.edge.name, request);
    stream.hasAsked = true;
    stream.wordMs = this.#world.nowMs;
    this.#grant(stream, false);
  }

  #grant(stream: Stream, isNew: boolean): void {
    const bytes = this.leases.grant(stream.edge.name, SNAPSHOT, isNew);
    const grant = bytes === undefined ? undefined : decodeGrant(bytes.subarray(FRAME_HEADER_BYTES));
    if (grant !== undefined) stream.send({ kind: "grant", grant });
  }

  #slots(): Message {
    const { standings, isFenced } = this.view;
    const stateOf = (side: Side): ControlState => standings.get(side)?.state ?? "On";
    const states = { left: stateOf("left"), right: stateOf("right") };
    return { kind: "slots", sequence: this.sequence, slots: { states, isFenced } };
  }

  #confirm(generation: number): void {
    const world = this.#world;
    const askedAtMs = this.nowMs();
    if (!this.reachesStore) {
      if (world.fault === "generous") this.#tell(askedAtMs);
      return;
    }
    world.after(delay(world), () => {
      if (generation !== this.#generation || !this.reachesStore) return;
      const { stored } = world;
      world.after(delay(world), () => {
        if (generation !== this.#generation) return;
        if (stored.revision > this.view.revision) this.#see(stored);
        this.#tell(askedAtMs);
      });
    });
  }

  #tell(askedAtMs: number): void {
    if (!this.view.isFenced) return;
    const { revision, fenceRevision } = this.view;
    this.leases.confirm({
      ...{ askedAtMs, asOf: { epoch: EPOCH, revision } },
      ...{ movedRevision: fenceRevision, revision: SNAPSHOT, sequence: this.sequence },
    });
    for (const stream of this.streams) this.#grant(stream, !stream.hasAsked);
  }

  #see(stored: Stored): void {
    const isOther =
      stored.standings !== this.view.standings || stored.isFenced !== this.view.isFenced;
    this.view = stored;
    if (!isOther) return;
    this.sequence += 1;
    for (const stream of this.streams) stream.send(this.#slots());
  }

  #advance(generation: number): void {
    const world = this.#world;
    const { view } = this;
    const { fence, fenceRevision } = view;
    if (!view.isFenced || (!isRunning(fence) && fence.known === "p")) return;
    if (this.#seen?.revision !== fenceRevision)
      this.#seen = { revision: fenceRevision, atMs: this.nowMs() };
    const asked = world.controls.map((control) => {
      const { name } = control;
      const isAway = this.cutFrom.has(name) || control.cutFrom.has(this.name);
      return isAway ? { name } : { name, leases: control.status() };
    });
    const { atMs } = this.#seen;
    world.after(delay(world), () => {
      if (generation !== this.#generation || !this.reachesStore || this.view !== view) return;
      const term = world.fault === "hasty" ? TERM_MS / 2 : TERM_MS;
      const waits = handOverWaits({
        needs: { epoch: EPOCH, revision: view.revision },
        termMs: atMs + term - this.nowMs(),
        isKnown: fence.known === "p",
        edges: view.edges,
        revoked: [],
        controls: asked,
      }).filter(({ who }) => world.fault !== "unasked" || !who.startsWith("control"));
      if (waits.length > 0) return;
      const next = settledChange(view.standings, fence, "p");
      if (!world.commit(this.name, view, { ...view, ...next })) return;
      if (!isRunning(fence)) return;
      world.ended += 1;
      world.longestMs = Math.max(world.longestMs, world.nowMs - fence.startedAtMs);
    });
  }
}

/** A connection between an edge and a control: in order, and late. */
class Stream {
  readonly edge: SimEdge;
  readonly control: SimControl;
  hasAsked = false;
  /** When its edge last said something. */
  wordMs = 0;
  isOpen = true;
  readonly #world: HandOverWorld;
  #lastMs = 0;
  readonly #queue: Message[] = [];

  constructor(world: HandOverWorld, edge: SimEdge, control: SimControl) {
    this.#world = world;
    this.edge = edge;
    this.control = control;
  }

  get isCut(): boolean {
    return this.edge.cutFrom.has(this.control.name);
  }

  send(message: Message): void {
    if (!this.isOpen) return;
    const atMs = Math.max(this.#lastMs, this.#world.nowMs + delay(this.#world));
    this.#lastMs = atMs;
    this.#queue.push(message);
    this.#world.after(atMs - this.#world.nowMs, () => this.#deliver());
  }

  /** What is on its way when the way is cut comes when it is not any more, and before what follows. */
  #deliver(): void {
    if (!this.isOpen) return;
    if (this.isCut) this.#world.after(RETRY_MS, () => this.#deliver());
    else for (const message of this.#queue.splice(0)) this.edge.take(this, message);
  }

  ask(): void {
    const request = this.edge.lease.request;
    if (request === undefined) return;
    this.#world.after(delay(this.#world), () => {
      if (this.isOpen && !this.isCut) this.control.ask(this, request);
    });
  }

  end(): void {
    this.isOpen = false;
    this.control.streams.delete(this);
  }
}

class SimEdge {
  readonly name: string;
  readonly #world: HandOverWorld;
  readonly nowMs: () => number;
  /** Names of controls that it does not reach. */
  readonly cutFrom = new Set<string>();
  isRunning = false;
  isPaused = false;
  lease: FenceLease;
  #slots: Slots | undefined;
  #onDisk: Slots | undefined;
  #sequence: number | undefined;
  #stream: Stream | undefined;
  #heardMs = 0;
  #waiting: (() => void)[] = [];
  #generation = 0;
  #starts = 0;

  constructor(world: HandOverWorld, name: string) {
    this.#world = world;
    this.name = name;
    this.nowMs = clockOf(world);
    this.lease = this.#newLease();
  }

  /** A process that stands still answers nobody. */
  answers(side: Side): boolean {
    if (!this.isRunning || this.isPaused || this.#slots === undefined) return false;
    const { states, isFenced } = this.#slots;
    return states[side] === "On" && (!isFenced || this.lease.isHeld);
  }

  #newLease(): FenceLease {
    const instance = (this.#starts++).toString(16).padStart(16, "0");
    const { fault } = this.#world;
    if (fault === "heard") return new FromHeard(instance, this.nowMs);
    if (fault === "trusting") return new Trusting(instance, this.nowMs);
    return new FenceLease(instance, this.nowMs);
  }

  start(): void {
    const generation = ++this.#generation;
    this.isRunning = true;
    this.isPaused = false;
    this.#waiting = [];
    this.lease = this.#newLease();
    this.#slots = this.#onDisk;
    this.#stream?.end();
    this.#stream = undefined;
    const step = (): void => {
      if (generation !== this.#generation) return;
      // What lies in its buffers may be read first when it goes on.
      if (!this.isPaused) this.#dial();
      this.#world.after(RETRY_MS, step);
    };
    step();
  }

  kill(): void {
    this.#world.note(`${this.name} dies`);
    this.#generation += 1;
    this.isRunning = false;
    this.#stream?.end();
  }

  pause(): void {
    this.#world.note(`${this.name} stops`);
    this.isPaused = true;
  }

  /** What came meanwhile lies in its buffers. */
  resume(): void {
    this.#world.note(`${this.name} goes on`);
    this.isPaused = false;
    for (const run of this.#waiting.splice(0)) run();
  }

  take(stream: Stream, message: Message): void {
    this.#whenAwake(() => {
      if (stream === this.#stream && stream.isOpen) this.#take(stream, message);
    });
  }

  #take(stream: Stream, message: Message): void {
    this.#heardMs = this.#world.nowMs;
    if (message.kind === "grant") {
      const isFirst = this.lease.offer(message.grant);
      this.#settle(stream);
      if (isFirst) stream.ask();
      return;
    }
    this.lease.beforeSlots();
    this.#slots = message.slots;
    this.#sequence = message.sequence;
    // On disk a moment later, unless it is needed there.
    if (below(this.#world.random, 2) === 0) this.#onDisk = message.slots;
    stream.ask();
    this.#settle(stream);
  }

  #settle(stream: Stream): void {
    const slots = { revision: SNAPSHOT, sequence: this.#sequence, isSettled: true };
    const keep = (): boolean => {
      this.#onDisk = this.#slots;
      return true;
    };
    if (this.lease.settle(slots, keep)) stream.ask();
  }

  #whenAwake(run: () => void): void {
    if (this.isPaused) this.#waiting.push(run);
    else run();
  }

  #dial(): void {
    const world = this.#world;
    const isSilent = world.nowMs - this.#heardMs > SILENCE_MS;
    if (this.#stream?.isOpen === true && !isSilent) return;
    this.#stream?.end();
    const control = oneOf(world.random, world.controls);
    // One that does not know that it has joined refuses it.
    if (this.cutFrom.has(control.name) || !control.view.edges.includes(this.name)) return;
    const stream = new Stream(world, this, control);
    this.#stream = stream;
    this.#sequence = undefined;
    this.#heardMs = world.nowMs;
    this.lease.begin();
    world.after(delay(world), () => {
      if (stream.isOpen && !stream.isCut) control.connect(stream);
    });
  }
}

/** Of a message: mostly milliseconds, now and then seconds. */
function delay({ random }: HandOverWorld): number {
  return below(random, 40) === 0 ? below(random, 3000) : 1 + below(random, 40);
}
