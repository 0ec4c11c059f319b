// SPDX-License-Identifier: Apache-2.0

// What edges are sent, and what they say they serve. A revision goes out as its manifest and the whole slot table; a change set goes out at
// once, as long as they are few (`ChangeAllowance`), and the whole table again each second, so that an edge that missed something is whole
// again within that second and what is sent does not depend on what happens.

import {
  encodeStage,
  isLater,
  type AnswerCounts,
  type DiskTrouble,
  type Acknowledgement,
  type Hello,
  type LeaseRequest,
  type Manifest,
  type Position,
  type StageStatus,
} from "@meridian/snapshot";
import type { Clock } from "@meridian/core";
import type { ChangeSet } from "@meridian/health";
import type { Publication } from "../embedded-options.ts";
import {
  behind,
  isFresh,
  publicationOf,
  type EdgeMoment,
  type PublicationView,
} from "./publication-state.ts";

import type { OverlayPlace, WeightsReach } from "../weights/weights-reach.ts";
import { ChangeAllowance } from "./change-allowance.ts";
import { PublicationStage } from "./publication-stage.ts";
import { EdgeAnswers, type AnswerRate } from "./edge-answers.ts";
import { EdgeLeases, type ConfirmedState } from "./edge-leases.ts";
import { watchedAnswers } from "./answer-watch.ts";
import { RevisionLane, type CarriedMessage, type Cut, type Withheld } from "./revision-lane.ts";

/** An edge that has more than this still to be sent gets nothing until it has not: the next table has it all. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** Tables after which an edge that still serves another revision is sent the manifest again. */
const REPEAT_TABLES = 2;

/** The stream to one edge, as the hub sees it. */
export interface EdgeStream {
  readonly backlogBytes: number;
  write(bytes: Uint8Array): void;
  end(): void;
}

/** Whether an edge serves the newest revision; `silent` if nothing was heard of it for 3 s. */
export type EdgeStanding = "serving" | "behind" | "silent" | "revoked";

/** One edge as `get edges` shows it. */
export interface EdgeView {
  readonly name: string;
  readonly connected: boolean;
  readonly standing: EdgeStanding;
  readonly epoch: number | undefined;
  readonly revision: number | undefined;
  readonly sequence: number | undefined;
  /** Wall time of its last word; undefined for an edge that has said nothing since control began. */
  readonly lastWordMs: number | undefined;
  readonly version: string | undefined;
  readonly address: string | undefined;
  /** Where it answers DNS; an address may stand for all of its host. */
  readonly dns?: readonly string[] | undefined;
  /** Milliseconds since it last said that it serves the newest revision; undefined for one that never did so here. */
  readonly staleMs: number | undefined;
  /** How it answered lately. */
  readonly answers: AnswerRate | undefined;
  /** Hash of the manifest that it serves, which may lack zones of other edges. */
  readonly hash?: string | undefined;
  /** The Cell that it is in. */
  readonly cell?: string;
  /** When the certificate ends that it has from control, as far as the controls know. */
  readonly certificateEndsMs?: number;
  /** The control that it follows, where there are several. */
  readonly control?: string;
  /** What its disk does not take. */
  readonly disk?: RefusedByDisk;
}

/** Something that the disk of an edge has refused, and that is tried again. */
export interface RefusedByDisk {
  readonly what: string;
  readonly reason: string;
  /** Wall time. */
  readonly sinceMs: number;
}

interface KnownEdge {
  stream: EdgeStream | undefined;
  position: Position;
  /** Since when it has answered with what was moved as it is now, of the clock of `heardAtMs`; undefined before it has said anything. */
  unmovedSinceMs: number | undefined;
  /** Of the manifest that it serves. */
  hash: string | undefined;
  /** Wall time, to be shown. */
  lastWordMs: number;
  /** Of a clock that never goes back. */
  heardAtMs: number;
  /** When it last said that it serves the newest revision. */
  currentAtMs: number | undefined;
  readonly answers: EdgeAnswers;
  disk: RefusedByDisk | undefined;
  readonly version: string;
  readonly address: string;
  readonly dns: readonly string[];
  /** Tables since the manifest was sent; undefined while that is still to be done. */
  tables: number | undefined;
  /** Hash of the manifest that it was sent last. */
  cut: string | undefined;
  /** Hash of the whole revision that this is of. */
  whole: string | undefined;
  readonly takesSections: boolean;
  readonly takesShifts: boolean;
  readonly takesLeases: boolean;
  /** It has asked for a lease on this stream. */
  hasAsked: boolean;
}

/** How a revision goes out. */
export interface Staging {
  /** What its answers without some zones hash to; see `answersDigest` of the edge. */
  readonly digestOf: (withheld: readonly string[]) => string;
  /** What all edges were sent last, where this hub has not sent it itself. */
  readonly before?: Publication | undefined;
  /** Edges may still come: with nobody here it goes to nobody yet, instead of to all who come. */
  readonly gathers?: boolean;
}

/** What became of a revision. */
export interface PublicationEvents {
  /** All edges are sent it. */
  readonly onSettled?: (revision: number) => void;
  /** It was found bad by one of those that it went to first, or by another control. */
  readonly onHalted?: (revision: number, reason: string) => void;
}

/** What is sent to more than one edge. */
interface SharedMessages {
  /** Those that others were just sent. */
  readonly tables: Map<RevisionLane, Uint8Array>;
  /** In place of the table, for who serves the revision before. */
  readonly carried?: CarriedMessage | undefined;
}

/** Edges are kept waiting for at most this long by a control that has begun. */
const HELD_MS_MAX = 3000;
/** Revisions that were taken back and are remembered. */
const WITHDRAWN_MAX = 100;

export class EdgeHub {
  readonly #edges = new Map<string, KnownEdge>();
  readonly #clock: Clock;
  readonly #events: PublicationEvents;
  #newest: RevisionLane | undefined;
  /**
   * While a revision is staged, and when it was found bad: what edges are sent that do not go first; no lane where that is not known here.
   * They then get nothing.
   */
  #kept: { readonly lane: RevisionLane | undefined } | undefined;
  #stage: PublicationStage | undefined;
  /** Of the staged revision, by the hash of a cut of it. */
  readonly #digests = new Map<string, string>();
  #digestOf: Staging["digestOf"] = () => "";
  /** Why, by revision. */
  readonly #withdrawn = new Map<number, string>();
  #mayServe = true;
  /** What routing controls are, as edges are told. */
  #controls: Uint8Array | undefined;
  readonly leases: EdgeLeases;
  readonly #allowance = new ChangeAllowance();
  #heldUntilMs = -Infinity;
  #withheld: Withheld = () => [];

  constructor(clock: Clock, events: PublicationEvents = {}) {
    this.#clock = clock;
    this.#events = events;
    this.leases = new EdgeLeases(() => clock.monotonicMs());
  }

  /** What edges may act on, of panels with fenced hand-over; undefined where there are none, or nothing is known of them any more. */
  confirm(state: ConfirmedState | undefined): void {
    this.#heldUntilMs = -Infinity;
    const before = this.leases.confirmed;
    this.leases.confirm(state);
    // A hand-over does not wait for the next table where a change set was held back.
    const hasMoved = state !== undefined && state.movedRevision !== before?.movedRevision;
    if (hasMoved && this.#allowance.isHolding) this.#tellAll();
    for (const [name, edge] of this.#edges) this.#grant(name, edge);
  }

  /** An edge says what it holds, and asks for longer. */
  lease(name: string, stream: EdgeStream, request: LeaseRequest): void {
    const edge = this.#edges.get(name);
    if (edge?.stream !== stream) return;
    edge.hasAsked = true;
    this.leases.take(name, request);
    this.#grant(name, edge);
  }

  #grant(name: string, edge: KnownEdge): void {
    const lane = this.#laneOf(name, edge);
    // What is confirmed is so of the newest revision; another lane follows that, under the same sequences.
    const isOfIt = this.leases.confirmed?.revision === this.#newest?.manifest.revision;
    if (!edge.takesLeases || lane === undefined || !isOfIt) return;
    const { revision } = lane.manifest;
    const message = this.leases.grant(name, revision, !edge.hasAsked);
    if (message !== undefined) send(edge, message);
  }

  /** What every edge is told of routing controls from now on, and at once. */
  setControls(message: Uint8Array): void {
    this.#controls = message;
    this.tellControls(message);
  }

  /** Tells those that are there. */
  tellControls(message: Uint8Array): void {
    for (const edge of this.#edges.values()) if (edge.takesLeases) send(edge, message);
  }

  /** To be called once in TABLE_MS. */
  tick(): void {
    this.#stepStage();
    this.#allowance.refill((this.#newest?.slotCount ?? 0) * 4);
    this.#tellAll();
  }

  close(): void {
    for (const edge of this.#edges.values()) edge.stream?.end();
  }

  /** A revision for all edges; with `staging` for a few of them first, which check it. */
  publish(publication: Publication, staging?: Staging): void {
    const lane = new RevisionLane(publication);
    if (this.#kept !== undefined && isSame(this.#newest?.manifest, lane.manifest)) {
      // Once more the one that is staged.
      this.#newest = lane;
      this.#kept.lane?.follow(lane);
      return;
    }
    const before = this.#beforeStage(staging);
    this.#newest = lane;
    this.#kept = undefined;
    this.#stage = undefined;
    if (staging !== undefined) this.#begin(before, lane, staging);
    for (const edge of this.#edges.values()) edge.tables = undefined;
    // Who lacks a change set cannot carry its slots over.
    const isCarried = staging === undefined && !this.#allowance.isHolding;
    this.#tellAll(isCarried ? lane.carried(before) : undefined);
    if (this.#stage === undefined) this.#events.onSettled?.(lane.manifest.revision);
  }

  /** What another control has found of the revision that is staged: undefined for good, or why it is bad. */
  decide(revision: number, reason: string | undefined): void {
    if (this.#stage?.revision !== revision) return;
    this.#stage.decide(reason);
    this.#stepStage();
  }

  #beforeStage(staging: Staging | undefined): RevisionLane | undefined {
    const before = this.#kept === undefined ? this.#newest : this.#kept.lane;
    if (before !== undefined || staging?.before === undefined) return before;
    return new RevisionLane(staging.before);
  }

  /** From now on edges are not sent these zones. */
  setWithheld(withheld: Withheld): void {
    this.#withheld = withheld;
    for (const lane of [this.#newest, this.#kept?.lane]) lane?.forgetCuts();
    for (const [name, edge] of this.#edges)
      if (edge.cut !== undefined && edge.cut !== this.#cutOf(name, edge)?.hash) {
        edge.tables = undefined;
        this.#tell(name, edge, { tables: new Map() });
      }
  }

  /** The hash of what an edge is to serve of the newest revision. */
  wantedHash(name: string): string | undefined {
    return this.#newest?.cut(name, this.#withheld).hash;
  }

  /** Whether there is anything to send. */
  get isServing(): boolean {
    const isHeld = this.#clock.monotonicMs() < this.#heldUntilMs;
    return this.#newest !== undefined && this.#mayServe && !isHeld;
  }

  /**
   * Nobody is served before it is known what edges may act on, or a moment has passed: who came before would give up the lease that it has
   * from another control, or from the process before.
   */
  holdUntilConfirmed(): void {
    this.#heldUntilMs = this.#clock.monotonicMs() + HELD_MS_MAX;
  }

  /** With `false` all edges are sent away. */
  setServing(mayServe: boolean): void {
    this.#mayServe = mayServe;
    if (!mayServe) for (const edge of this.#edges.values()) edge.stream?.end();
  }

  /** Whether a section belongs to what some edge is sent or was sent just before. */
  isSent(section: string): boolean {
    return [this.#newest, this.#kept?.lane].some(
      (lane) => lane?.manifest.sections.some(({ name }) => name === section) === true,
    );
  }

  changed(set: ChangeSet): void {
    if (this.#newest?.manifest.revision !== set.revision) return;
    const way = this.#allowance.wayOf(set.keys.length, set.cause);
    if (way === "later") return;
    if (way === "table") {
      this.#tellAll();
      return;
    }
    const messages = new Map<RevisionLane, Uint8Array>();
    for (const [name, edge] of this.#edges) {
      const lane = this.#laneOf(name, edge);
      if (edge.tables === undefined || lane === undefined) continue;
      const message = messages.get(lane) ?? lane.changes(set);
      messages.set(lane, message);
      send(edge, message);
    }
  }

  /** A canary has found a revision good or bad. */
  report(name: string, stream: EdgeStream, status: StageStatus): void {
    const stage = this.#stage;
    if (this.#edges.get(name)?.stream !== stream || stage?.revision !== status.revision) return;
    stage.report(name, status);
    this.#stepStage();
  }

  /** An edge has come; a stream that it had before is ended. */
  join(name: string, hello: Hello, stream: EdgeStream, address: string): void {
    const before = this.#edges.get(name);
    before?.stream?.end();
    const edge: KnownEdge = {
      stream,
      currentAtMs: before?.currentAtMs,
      answers: before?.answers ?? new EdgeAnswers(),
      // Unless it says so anew.
      disk: undefined,
      // Sequences are those of the control that it followed before.
      position: { ...hello, sequence: 0 },
      unmovedSinceMs: undefined,
      hash: undefined,
      cut: undefined,
      whole: undefined,
      lastWordMs: this.#clock.wallMs(),
      heardAtMs: this.#clock.monotonicMs(),
      version: hello.version,
      address,
      dns: hello.dns,
      tables: undefined,
      takesSections: hello.takesSections,
      takesShifts: hello.takesShifts,
      takesLeases: hello.takesLeases,
      hasAsked: false,
    };
    this.#edges.set(name, edge);
    // What follows is of a control that knows this much: an edge takes slots of no other without giving up its lease.
    this.#grant(name, edge);
    if (this.#controls !== undefined && edge.takesLeases) send(edge, this.#controls);
    this.#tell(name, edge, { tables: new Map() });
  }

  acknowledge(name: string, stream: EdgeStream, served: Acknowledgement): void {
    const { hash, unmovedMs, ...position } = served;
    const edge = this.#edges.get(name);
    if (edge === undefined || edge.stream !== stream) return;
    edge.position = position;
    edge.hash = hash;
    edge.lastWordMs = this.#clock.wallMs();
    edge.heardAtMs = this.#clock.monotonicMs();
    edge.unmovedSinceMs = edge.heardAtMs - unmovedMs;
    if (this.#revisionOf(edge) >= (this.#newest?.manifest.revision ?? 0))
      edge.currentAtMs = edge.heardAtMs;
  }

  /** What its disk does not take; undefined where it takes everything again. */
  takeDisk(name: string, stream: EdgeStream, trouble: DiskTrouble | undefined): void {
    const edge = this.#edges.get(name);
    if (edge?.stream !== stream) return;
    const { what = "", reason = "", forMs = 0 } = trouble ?? {};
    const sinceMs = this.#clock.wallMs() - forMs;
    edge.disk = trouble === undefined ? undefined : { what, reason, sinceMs };
  }

  /** How an edge has answered from what it serves since it last said so. */
  count(name: string, stream: EdgeStream, counts: AnswerCounts): void {
    const edge = this.#edges.get(name);
    if (edge?.stream !== stream) return;
    edge.answers.take(counts);
    if (this.#stage?.isCanary(name) === true) this.#stepStage();
  }

  /** Revisions that edges are sent, or served when they were last heard of. */
  get servedRevisions(): number[] {
    const sent = [this.#newest, this.#kept?.lane].map((lane) => lane?.manifest.revision ?? 0);
    const said = [...this.#edges.values()].map(({ position }) => position.revision);
    return [...new Set([...sent, ...said])].filter((revision) => revision > 0);
  }

  /** What each edge served when it was last heard of. */
  get servedByEdge(): ReadonlyMap<string, number> {
    const said = [...this.#edges].map(([name, { position }]) => [name, position.revision] as const);
    return new Map(said.filter(([, revision]) => revision > 0));
  }

  /**
   * For how long each edge that is connected has answered with what was moved up to this, milliseconds; undefined as long as one of them does
   * not answer with this, or what came later. It is what the edge says: Infinity of one that has never answered with anything else.
   */
  unmovedMs(revision: number, sequence: number): ReadonlyMap<string, number> | undefined {
    const nowMs = this.#clock.monotonicMs();
    const found = new Map<string, number>();
    for (const [name, { stream, position, unmovedSinceMs }] of this.#edges) {
      if (stream === undefined) continue;
      const isThere =
        position.revision > revision ||
        (position.revision === revision && position.sequence >= sequence);
      if (!isThere || unmovedSinceMs === undefined) return undefined;
      found.set(name, nowMs - unmovedSinceMs);
    }
    return found;
  }

  /** Which of `names` and those that have come do not answer with the overlay as it was at a place; those that are silent hold nothing up. */
  behind({ revision, sequence }: OverlayPlace, names: readonly string[]): WeightsReach {
    const moments = this.#moments(names);
    const isThere = ({ name, revision: served }: EdgeMoment): boolean =>
      served > revision ||
      (served === revision && (this.#edges.get(name)?.position.sequence ?? -1) >= sequence);
    return {
      waiting: moments.filter((each) => isFresh(each) && !isThere(each)).map(behind),
      silent: moments.filter((each) => !isFresh(each)).map(behind),
    };
  }

  /** How an edge answers from the revision that it serves, and from the one before; undefined for one that has not come. */
  answersOf(name: string): EdgeAnswers | undefined {
    return this.#edges.get(name)?.answers;
  }

  leave(name: string, stream: EdgeStream): void {
    const edge = this.#edges.get(name);
    if (edge?.stream === stream) edge.stream = undefined;
  }

  /** An edge may not come any more. */
  forget(name: string): void {
    this.#edges.get(name)?.stream?.end();
    this.#edges.delete(name);
    this.leases.forget(name);
    this.#stage?.forget(name);
  }

  /** All of `names` and those that have come, by name. */
  views(names: readonly string[]): EdgeView[] {
    const newest = this.#newest?.manifest.revision ?? 0;
    const nowMs = this.#clock.monotonicMs();
    return this.#moments(names).map((moment) => {
      const { name } = moment;
      const edge = this.#edges.get(name);
      const isServing = moment.revision >= newest;
      return {
        name,
        connected: edge?.stream !== undefined,
        standing: !isFresh(moment) ? "silent" : isServing ? "serving" : "behind",
        epoch: edge?.position.epoch,
        revision: edge?.position.revision,
        sequence: edge?.position.sequence,
        hash: edge?.hash,
        lastWordMs: edge?.lastWordMs,
        staleMs: edge?.currentAtMs === undefined ? undefined : Math.round(nowMs - edge.currentAtMs),
        answers: edge?.stream === undefined ? undefined : edge.answers.rate,
        version: edge?.version,
        address: edge?.address,
        dns: edge?.dns,
        ...(edge?.disk === undefined ? {} : { disk: edge.disk }),
      };
    });
  }

  /** How far a revision has come at all of `names` and those that have come. */
  publication(revision: number, names: readonly string[]): PublicationView {
    const published = this.#newest?.manifest.revision ?? 0;
    const view = publicationOf(revision, published, this.#moments(names));
    const withdrawn = this.#withdrawn.get(revision);
    if (withdrawn !== undefined) return { ...view, state: "withdrawn", reason: withdrawn };
    return this.#stage?.revision === revision
      ? { ...view, canaries: [...this.#stage.canaries] }
      : view;
  }

  #moments(names: readonly string[]): EdgeMoment[] {
    const nowMs = this.#clock.monotonicMs();
    const all = [...new Set([...names, ...this.#edges.keys()])].toSorted();
    return all.map((name) => {
      const edge = this.#edges.get(name);
      return {
        name,
        revision: this.#revisionOf(edge),
        silentMs: edge === undefined ? Infinity : Math.round(nowMs - edge.heardAtMs),
      };
    });
  }

  /** As far as it counts now: one of an epoch before is before all revisions. */
  #revisionOf(edge: KnownEdge | undefined): number {
    if (edge === undefined || edge.position.epoch < (this.#newest?.manifest.epoch ?? 0)) return 0;
    return edge.position.revision;
  }

  #begin(before: RevisionLane | undefined, lane: RevisionLane, staging: Staging): void {
    const { digestOf, gathers = false } = staging;
    const first = gathers ? [] : this.#candidates();
    const isKnown = before !== undefined && first.length > 0;
    if (!isKnown && !gathers) return;
    const { revision } = lane.manifest;
    before?.follow(lane);
    this.#kept = { lane: before };
    const nowMs = this.#clock.monotonicMs();
    this.#stage = new PublicationStage(revision, nowMs);
    this.#stage.choose(first, nowMs);
    this.#digestOf = digestOf;
    this.#digests.clear();
  }

  #gather(stage: PublicationStage): void {
    const nowMs = this.#clock.monotonicMs();
    if (!stage.isGathered(nowMs)) return;
    stage.choose(this.#candidates(), nowMs);
    this.#sendAnew(stage.canaries);
  }

  /** They are sent what they go first with as soon as the next table is. */
  #sendAnew(names: Iterable<string>): void {
    for (const name of names) {
      const edge = this.#edges.get(name);
      if (edge !== undefined) edge.tables = undefined;
    }
  }

  #stepStage(): void {
    const stage = this.#stage;
    if (stage === undefined) return;
    this.#gather(stage);
    const epoch = this.#newest?.manifest.epoch ?? 0;
    const { revision } = stage;
    const others = stage.step(this.#clock.monotonicMs(), new Set(this.#present()), (name) =>
      watchedAnswers(this.answersOf(name), { epoch, revision }),
    );
    this.#sendAnew(others);
    const { state } = stage;
    if (state.kind === "checking") return;
    this.#stage = undefined;
    if (state.kind === "good") {
      for (const [name, edge] of this.#edges)
        if (this.#laneOf(name, edge) !== this.#newest) edge.tables = undefined;
      this.#kept = undefined;
      this.#tellAll();
      this.#events.onSettled?.(stage.revision);
      return;
    }
    // What is kept goes on being sent until the revision that takes this one back comes.
    this.#withdrawn.set(stage.revision, state.reason);
    const [oldest] = this.#withdrawn.keys();
    if (this.#withdrawn.size > WITHDRAWN_MAX && oldest !== undefined)
      this.#withdrawn.delete(oldest);
    this.#events.onHalted?.(stage.revision, state.reason);
  }

  /** Connected edges that were heard of just now; all that are connected where control itself was stopped for a while. */
  #candidates(): string[] {
    const present = this.#present();
    if (present.length > 0) return present;
    return [...this.#edges].flatMap(([name, { stream }]) => (stream === undefined ? [] : [name]));
  }

  /** Connected edges that were heard of just now. */
  #present(): string[] {
    const isConnected = (name: string): boolean => this.#edges.get(name)?.stream !== undefined;
    return this.#moments([])
      .filter((moment) => isFresh(moment) && isConnected(moment.name))
      .map(({ name }) => name);
  }

  /** What an edge is sent: nobody who has served a later revision is sent the one that is kept. */
  #laneOf(name: string, { position }: KnownEdge): RevisionLane | undefined {
    const [newest, kept] = [this.#newest, this.#kept];
    if (newest === undefined || kept === undefined || this.#stage?.isCanary(name) === true)
      return newest;
    const { lane } = kept;
    // Where nothing is kept, it is said to those alone who have the newest one.
    if (lane === undefined) return isLater(newest.manifest, position) ? undefined : newest;
    return isLater(position, lane.manifest) ? newest : lane;
  }

  #tellAll(carried?: CarriedMessage): void {
    this.#allowance.caughtUp();
    const shared: SharedMessages = { tables: new Map(), carried };
    for (const [name, edge] of this.#edges) this.#tell(name, edge, shared);
  }

  /** What an edge is to check. */
  #stageOf(name: string, lane: RevisionLane): Uint8Array {
    const { epoch, revision } = lane.manifest;
    const { hash } = lane.cut(name, this.#withheld);
    const digest = this.#digests.get(hash) ?? this.#digestOf(this.#withheld(name));
    this.#digests.set(hash, digest);
    return encodeStage({ epoch, revision, hash, digest });
  }

  #cutOf(name: string, edge: KnownEdge): Cut | undefined {
    return this.#laneOf(name, edge)?.cut(name, this.#withheld);
  }

  #tell(name: string, edge: KnownEdge, { tables, carried }: SharedMessages): void {
    const { stream } = edge;
    const lane = this.#laneOf(name, edge);
    if (lane === undefined || stream === undefined) return;
    if (stream.backlogBytes > BACKLOG_BYTES_MAX) return;
    const { manifest } = lane;
    let start: Uint8Array | undefined;
    // Once more to who has not taken it, as it may have been refused or lost: who is still fetching passes it over.
    const isLost = edge.tables === REPEAT_TABLES && isLater(manifest, edge.position);
    if (edge.tables === undefined || isLost) {
      // Also to one that is no canary, but ahead of what is kept.
      const cut = lane.cut(name, this.#withheld);
      if (this.#stage !== undefined && lane === this.#newest)
        stream.write(this.#stageOf(name, lane));
      // With a manifest that it may have refused or lost it asks for them.
      const isNext = edge.whole !== undefined && edge.whole === lane.follows;
      if (isNext && edge.takesSections && (edge.takesShifts || !lane.shifts)) {
        for (const section of cut.brought) stream.write(section);
        const { epoch, revision } = edge.position;
        // One that is behind passes over what comes between.
        if (carried !== undefined && epoch === manifest.epoch && revision >= carried.least)
          start = carried.message;
      }
      stream.write(cut.message);
      edge.cut = cut.hash;
      edge.whole = manifest.hash;
      edge.tables = 0;
    }
    // Its word may have been lost with a connection.
    else if (this.#stage?.waitsFor(name) === true) stream.write(this.#stageOf(name, lane));
    edge.tables = Math.min(edge.tables + 1, REPEAT_TABLES);
    stream.write(start ?? tableOf(lane, tables));
  }
}

/** The table of a lane, made once. */
function tableOf(lane: RevisionLane, tables: Map<RevisionLane, Uint8Array>): Uint8Array {
  const table = tables.get(lane) ?? lane.table();
  tables.set(lane, table);
  return table;
}

function isSame(a: Manifest | undefined, b: Manifest): boolean {
  return a?.epoch === b.epoch && a.revision === b.revision && a.hash === b.hash;
}

function send({ stream }: KnownEdge, message: Uint8Array): void {
  if (stream !== undefined && stream.backlogBytes <= BACKLOG_BYTES_MAX) stream.write(message);
}
