// SPDX-License-Identifier: Apache-2.0

// What an edge serves of what control says.
//
//   manifest ─► the sections that are missing ─► SHA-256, CRC, load ─┐
//                                                                    ├─► placed ─► served ─► synced ─► acknowledged
//   table of that revision ──────────────────────────────────────────┘
//
// Placed is where a process that starts finds it, so that one that dies leaves what it answered from. Synced is what outlives a loss of
// power: control is told of a revision then, and the next one waits for it, so that of all that was placed one revision at most is lost.
//
// A revision is served whole or not at all, and never one before what is served: of two the later epoch counts, and within one the higher
// revision. With control gone nothing here changes. Each control counts the change sets of its overlay by itself, so the first table
// of a connection is taken whatever its sequence is.

import { hash } from "node:crypto";
import { Haste, SpareMemory, assert, reasonOf } from "@meridian/core";
import {
  SectionKind,
  SectionPack,
  SpareCopy,
  World,
  applySectionDelta,
  encodeManifest,
  isLater,
  openMade,
  openSection,
  parseManifest,
  wholeOf,
  type Acknowledgement,
  type CarriedSlots,
  type Manifest,
  type ManifestSection,
  type NamedSection,
  type Position,
  type Section,
  type SectionError,
  type SentSection,
  type SlotChanges,
  type SlotTable,
  type Stage,
  type StageStatus,
} from "@meridian/snapshot";
import { answersDigest, compareAnswers, objectionTo } from "../answer-comparison.ts";
import type { EdgeLogger } from "../edge-logger.ts";
import type { SnapshotMessage } from "../handler.ts";
import type { EdgeState, RestoredPair, SectionInMemory } from "./edge-state.ts";
import { AnsweredMoves } from "./answered-moves.ts";
import { OverlayMirror } from "./overlay-mirror.ts";
import { restoredSlots } from "./restored-slots.ts";
import type { SlotChange } from "./slot-journal.ts";
import type { RehearsedRevision } from "./revision-rehearsal.ts";

/** Sections that are fetched at once. */
const FETCHES_MAX = 4;
/** Largest snapshot that is taken, sections together. */
const SNAPSHOT_BYTES_MAX = 8 * 1024 ** 3;

/** Most of what was sent ahead of manifests and is kept until they name it: of more, the oldest is fetched. */
const SENT_BYTES_MAX = 4 * 1024 * 1024;

/** A revision that comes in parts is taken in within this, or takes the time that others leave. */
const HASTE_MS_MAX = 200;

/** Of a smaller section all is written to disk, of a larger one what makes it of the one before. */
const DELTA_BYTES_MIN = 64 * 1024;

const NO_HASH = "0".repeat(64);

/** What speaks against a revision whose digest is another one. */
const UNEQUAL = "it answers otherwise here than at control, with every endpoint in its first state";

/** Fetches a section from the control that named it; rejects where it cannot. */
export type FetchSection = (name: string, bytes: number) => Promise<SharedArrayBuffer>;

/** What of an edge outlives its process. */
export type ReplicaState = Pick<
  EdgeState,
  "load" | "restored" | "readSection" | "writeSection" | "keep" | "changed"
> & { readonly links?: Pick<EdgeState["links"], "read" | "keep" | "forget"> };

/** A revision that can be served. */
export interface LoadedRevision {
  readonly pack: SectionPack;
  readonly world: World;
}

/** Loads a revision beside the one before; a text says why it cannot be. */
export type LoadRevision = (
  manifest: Manifest,
  sections: readonly NamedSection[],
  before: LoadedRevision | undefined,
) => LoadedRevision | string;

export interface EdgeReplicaOptions {
  readonly state: ReplicaState;
  /** Many edges in one process, in a simulation, share what they load. */
  readonly load?: LoadRevision;
  readonly logger: EdgeLogger;
  readonly serve: (message: SnapshotMessage) => void;
  /** What is served has changed. */
  readonly onPosition: (position: Position) => void;
  /** The disk has what is served: `acknowledgement` says so. */
  readonly onSynced: () => void;
  /** A revision that control had checked here was found good or bad. */
  readonly onChecked?: (status: StageStatus) => void;
  readonly onSlab?: (slab: SharedArrayBuffer) => void;
  /** Another overlay begins; workers have not seen it yet. */
  readonly onMirror?: (world: World, mirror: OverlayMirror) => void;
  /** Of a clock that never goes back. */
  readonly nowMs: () => number;
}

/** How things stood when a revision began to be fetched. */
interface Begun {
  readonly start: SlotStart;
  /** What its manifest was read from. */
  readonly text: string;
  readonly isStaged: boolean;
  readonly connection: number;
}

/** With which slots a revision begins: all of them, or what makes them of those that are served. */
type SlotStart = SlotTable | CarriedSlots;

interface Served extends LoadedRevision {
  readonly manifest: Manifest;
  readonly mirror: OverlayMirror;
}

export class EdgeReplica {
  readonly #options: EdgeReplicaOptions;
  #served: Served | undefined;
  /** The revision that control serves, where it is not served here yet, and its newest slots. */
  #wanted: Manifest | undefined;
  /** What it was read from. */
  #wantedText = "";
  #wantedStart: SlotStart | undefined;
  /** What is to be checked before it is served. */
  #stage: Stage | undefined;
  #isAdopting = false;
  /** How many there have been. */
  #connection = 0;
  #isClosed = false;
  /** What was served before, until the disk has what is served now. */
  #synced: Omit<Acknowledgement, "unmovedMs"> | undefined;
  #syncing: Promise<void> = Promise.resolve();
  /** What came ahead of the manifests that name it, by name. */
  readonly #sent = new Map<string, SentSection>();
  #sentBytes = 0;
  /** While all that a revision brings comes ahead of it: then it is small. */
  readonly #haste = new Haste();
  #hasteTimer: NodeJS.Timeout | undefined;
  /** Sections of what is served that are not what their names say. */
  readonly #doubted = new Set<string>();
  /** The control that is followed has not sent a table yet. */
  #isFirstTable = false;
  /** The slots that are served were worked out here, and no table has said so yet. */
  #isCarried = false;
  readonly #moves: AnsweredMoves;
  /** For what a change takes of the large sections, by their kind. */
  readonly #spares: ReadonlyMap<number, SpareCopy> = new Map([
    [SectionKind.pools, new SpareCopy()],
    [SectionKind.policies, new SpareCopy()],
  ]);

  /** Of the slots of the revision before. */
  readonly #slotMemory = new SpareMemory();

  constructor(options: EdgeReplicaOptions) {
    this.#options = options;
    this.#moves = new AnsweredMoves(options.nowMs);
  }

  get position(): Position {
    const { manifest, mirror } = this.#served ?? {};
    return {
      epoch: manifest?.epoch ?? 0,
      revision: manifest?.revision ?? 0,
      sequence: mirror?.sequence ?? 0,
    };
  }

  /** Sequence that workers read, where the control that is followed has said what that means here. */
  get followedSequence(): number | undefined {
    return this.#isFirstTable ? undefined : this.#served?.mirror.sequence;
  }

  /** What control is told of it: of what is served, that which the disk has. Before its first table nothing under its own sequence. */
  get acknowledgement(): Acknowledgement {
    const told = this.#synced ?? { ...this.position, hash: this.#served?.manifest.hash ?? NO_HASH };
    const sequence = this.#isFirstTable ? 0 : told.sequence;
    return { ...told, sequence, unmovedMs: Math.round(this.#moves.ageMs) };
  }

  /** Serves what the state folder holds; false where it holds nothing that can be served. */
  restore(): boolean {
    const pair = this.#options.state.load(this.#options.onSlab);
    if (pair === undefined) return false;
    const told = this.acknowledgement;
    const reason = this.#restorePair(pair);
    if (reason === undefined) {
      this.#sync(told, this.#options.state.restored());
      return true;
    }
    this.#options.logger.warn("Cannot serve the stored revision", { reason });
    return false;
  }

  /** Another connection: what a control says is understood from its first table on. */
  begin(): void {
    // A control that began anew may send to all what this edge was to check: it says so again if it still is.
    this.#stage = undefined;
    this.#isFirstTable = true;
    this.#connection += 1;
    this.#sent.clear();
    this.#sentBytes = 0;
  }

  /** A section that a revision brings, whose manifest follows. */
  takeSection(section: SentSection): void {
    this.#haste.begin();
    this.#hasteTimer ??= setTimeout(() => this.#endHaste(), HASTE_MS_MAX);
    this.#forgetSent(section.name);
    this.#sent.set(section.name, section);
    this.#sentBytes += section.delta.length;
    for (const name of this.#sent.keys()) {
      if (this.#sentBytes <= SENT_BYTES_MAX) break;
      this.#forgetSent(name);
    }
  }

  #endHaste(): void {
    clearTimeout(this.#hasteTimer);
    this.#hasteTimer = undefined;
    this.#haste.end();
  }

  #forgetSent(name: string): void {
    this.#sentBytes -= this.#sent.get(name)?.delta.length ?? 0;
    this.#sent.delete(name);
  }

  /** This revision is to be checked before it is served, and control to be told what came of it. */
  expect(stage: Stage): void {
    this.#stage = stage;
    const served = this.#served;
    if (served === undefined || !isStaged(stage, served.manifest)) return;
    const { epoch, revision } = stage;
    const isGood = isEqual(stage, served.manifest, served.world);
    this.#options.onChecked?.({ epoch, revision, isGood, reason: isGood ? "" : UNEQUAL });
  }

  /** Control serves this from now on. A text says why it is not taken. */
  offer(text: string, fetch: FetchSection): string | undefined {
    const manifest = parseManifest(text);
    if (typeof manifest === "string") return manifest;
    const served = this.#served?.manifest;
    if (served !== undefined && !isLater(manifest, served)) {
      const isOfIt = !isLater(served, manifest) && wholeOf(served) === wholeOf(manifest);
      if (isOfIt && served.hash !== manifest.hash)
        return this.#want(manifest, text, fetch, this.#table());
      if (isOfIt) this.#forgetCut(served);
      return isOfIt
        ? undefined
        : `Control has ${shown(manifest)}, expected one after ${shown(served)}, which is served here: an edge never goes back`;
    }
    return this.#want(manifest, text, fetch, undefined);
  }

  /** A section that is served was looked at later, and is not the one that its name says: it is fetched whole when control speaks next. */
  doubt(name: string): void {
    if (this.#served?.pack.has(name) === true) this.#doubted.add(name);
  }

  /** What is served, as control would send it. */
  #table(): SlotTable | undefined {
    const table = this.#served?.mirror.table();
    return table === undefined ? undefined : { ...this.position, ...table };
  }

  /** What was offered last is served already: another cut of it that is under way is not wanted any more. */
  #forgetCut({ epoch, revision }: Manifest): void {
    if (this.#wanted?.epoch !== epoch || this.#wanted.revision !== revision) return;
    this.#wanted = undefined;
    this.#wantedStart = undefined;
  }

  /** Follows a revision, or another cut of the one that is served, whose table is here. */
  #want(
    manifest: Manifest,
    text: string,
    fetch: FetchSection,
    table: SlotTable | undefined,
  ): string | undefined {
    // Under way already.
    const wanted = this.#wanted;
    if (
      wanted !== undefined &&
      isOf({ ...manifest, sequence: 0 }, wanted) &&
      wanted.hash === manifest.hash
    )
      return undefined;
    const bytes = manifest.sections.reduce((sum, section) => sum + section.bytes, 0);
    if (bytes > SNAPSHOT_BYTES_MAX)
      return `Revision ${manifest.revision} has ${bytes} bytes, expected at most ${SNAPSHOT_BYTES_MAX}`;
    this.#wanted = manifest;
    this.#wantedText = text;
    this.#wantedStart = table;
    this.#follow(fetch);
    return undefined;
  }

  takeTable(table: SlotTable, fetch: FetchSection): void {
    const isFirst = this.#isFirstTable;
    if (this.#served !== undefined && isOf(table, this.#served.manifest)) {
      this.#isFirstTable = false;
      const { sequence, slots } = table;
      const { mirror } = this.#served;
      const isToHold = isFirst || this.#isCarried;
      this.#isCarried = false;
      if (!mirror.takeTable(sequence, slots) && isToHold && !mirror.holds(sequence, slots))
        this.#rebase(this.#served, table);
      if (this.#doubted.size > 0 && this.#wanted === undefined && !this.#isAdopting) {
        this.#wanted = this.#served.manifest;
        this.#wantedText = encodeManifest(this.#wanted);
      }
      // Another cut of it that could not be had before, or what is to be fetched again.
      if (this.#wanted !== undefined && isOf(table, this.#wanted)) {
        this.#wantedStart = table;
        this.#follow(fetch);
      }
    } else if (this.#wanted !== undefined && isOf(table, this.#wanted)) {
      this.#isFirstTable = false;
      this.#wantedStart = table;
      this.#follow(fetch);
    }
  }

  /** Slots of the revision whose manifest came before it; where they cannot be worked out here, the next table has them. */
  takeCarried(carried: CarriedSlots, fetch: FetchSection): void {
    if (this.#isFirstTable || this.#wanted === undefined || !isOf(carried, this.#wanted)) return;
    this.#wantedStart = carried;
    this.#follow(fetch);
  }

  takeChanges(changes: SlotChanges): void {
    if (!this.#isFirstTable && this.#served !== undefined && isOf(changes, this.#served.manifest))
      this.#served.mirror.takeChanges(changes);
  }

  /** What is served, while no revision is taken. */
  get resting(): RehearsedRevision | undefined {
    if (this.#isAdopting || this.#haste.isOn || this.#served === undefined) return undefined;
    const { manifest, pack, world, mirror } = this.#served;
    return { pack, world, seed: manifest.seed, mirror };
  }

  forgetWorker(worker: number): void {
    this.#served?.mirror.forget(worker);
  }

  close(): void {
    this.#isClosed = true;
    this.#endHaste();
    for (const spare of this.#spares.values()) spare.close();
    this.#served?.mirror.close();
  }

  /** Goes on from another control's overlay: its sequences are its own. */
  #rebase({ manifest, pack, world, mirror }: Served, table: SlotTable): void {
    if (table.slots.length !== mirror.slotCount) return;
    this.#serve(manifest, { pack, world }, table);
  }

  #restorePair(pair: RestoredPair): string | undefined {
    const { revision: stored, sequence, ageMs } = pair;
    const { manifest, pack } = stored;
    const { epoch, revision } = manifest;
    const resolved = this.#options.state.links?.read(manifest.hash);
    const isVerified = resolved !== undefined;
    const world = World.load(pack.sections, manifest.seed, undefined, isVerified, resolved);
    if ("error" in world) return world.error;
    const slots = restoredSlots(world, pair);
    const table = { epoch, revision, sequence, slots };
    this.#serve(manifest, { pack, world }, table, table, true);
    this.#options.logger.info("Serving the stored revision", { revision, sequence, ageMs });
    return undefined;
  }

  /** One revision at a time; what control offers meanwhile comes after it. */
  #follow(fetch: FetchSection): void {
    if (this.#isAdopting || this.#wanted === undefined || this.#wantedStart === undefined) return;
    this.#isAdopting = true;
    const manifest = this.#wanted;
    const begun = {
      start: this.#wantedStart,
      text: this.#wantedText,
      isStaged: isStaged(this.#stage, manifest),
      connection: this.#connection,
    };
    this.#adopt(manifest, begun, fetch)
      .catch((error: unknown) => {
        const { revision } = manifest;
        this.#options.logger.error("Refused a revision", { revision, reason: reasonOf(error) });
        // With the next table it is tried again.
        if (this.#wanted === manifest) this.#wantedStart = undefined;
      })
      .finally(() => {
        this.#endHaste();
        this.#isAdopting = false;
        this.#follow(fetch);
      });
  }

  async #adopt(manifest: Manifest, begun: Begun, fetch: FetchSection): Promise<void> {
    const doubted = new Set(this.#doubted);
    const sections = await this.#sections(manifest, doubted, fetch);
    await this.#syncing;
    const start = this.#startOf(manifest, begun);
    // It is passed over, and what was fetched for it is on disk.
    if (start === undefined) return;
    const loaded = this.#load(manifest, sections, doubted);
    if (typeof loaded === "string") throw new TypeError(loaded);
    // Of a cut: as they are by now, as what was changed meanwhile was taken into them. But keys may have led to other slots where a section was wrong.
    const isCut = this.#served !== undefined && isOf(start, this.#served.manifest);
    const known = isCut && doubted.size === 0 ? this.#table() : undefined;
    const isKnown = known?.slots.length === loaded.world.slotCount;
    const table = isKnown ? known : this.#tableOf(start, loaded.world);
    if (table === undefined) {
      // The next table has them.
      if (this.#wanted === manifest) this.#wantedStart = undefined;
      return;
    }
    const { epoch, revision, sequence, slots } = table;
    if (slots.length !== loaded.world.slotCount)
      throw new TypeError(`Table has ${slots.length} slots, expected ${loaded.world.slotCount}`);
    // A cut of what is served was checked with it.
    const stage = !isCut && isStaged(this.#stage, manifest) ? this.#stage : undefined;
    const wrong =
      stage === undefined ? undefined : this.#check(stage, manifest, loaded.world, slots);
    if (this.#wanted === manifest) {
      this.#wanted = undefined;
      this.#wantedStart = undefined;
    }
    if (wrong !== undefined) {
      this.#options.logger.error("Refused a revision", { revision, reason: wrong });
      this.#options.onChecked?.({ epoch, revision, isGood: false, reason: wrong });
      return;
    }
    const inMemory: SectionInMemory = (name) => {
      // What was found wrong since is written when it has been fetched.
      const isWrong = this.#doubted.has(name) && !doubted.has(name);
      const section = isWrong ? undefined : loaded.pack.section(name);
      return section === undefined ? undefined : new Uint8Array(section.copy());
    };
    this.#sync(this.acknowledgement, this.#options.state.keep(manifest, inMemory, begun.text));
    if (doubted.size > 0) this.#options.state.links?.forget();
    this.#serve(manifest, loaded, { epoch, revision, sequence, slots }, start);
    for (const name of doubted) this.#doubted.delete(name);
    if (stage !== undefined)
      this.#options.onChecked?.({ epoch, revision, isGood: true, reason: "" });
    this.#options.logger.info("Serving a new revision", { revision, sequence });
  }

  /** Every slot that a revision begins with; undefined where what it is carried over from is not what is served. */
  #tableOf(start: SlotStart, world: World): SlotTable | undefined {
    if ("slots" in start) return start;
    const { epoch, revision, sequence, from, changes } = start;
    const served = this.#served;
    if (served === undefined || !isOf({ epoch, ...from }, served.manifest)) return undefined;
    const slots = served.mirror.carriedTo(world, from.sequence, this.#slotMemory);
    for (const { key, value } of slots === undefined ? [] : changes) {
      const slot = world.slotOfKey(key);
      if (slots !== undefined && slot >= 0) slots[slot] = value;
    }
    return slots && { epoch, revision, sequence, slots };
  }

  /**
   * The slots with which a revision that was fetched is served; undefined where it is passed over. One that is not the newest any more is
   * served all the same: where changes come faster than they are fetched, an edge would stay with what it has for as long as that lasts. But
   * not one that was to be checked, which may have been taken back meanwhile, nor what another connection has told.
   */
  #startOf(manifest: Manifest, begun: Begun): SlotStart | undefined {
    const wanted = this.#wanted;
    if (wanted === manifest) return this.#wantedStart;
    const isPassed = wanted !== undefined && wanted.revision > manifest.revision;
    const isAsTold = begun.connection === this.#connection && !begun.isStaged;
    return isPassed && isAsTold && wanted.epoch === manifest.epoch ? begun.start : undefined;
  }

  /** Until `syncing` resolves, control is told what it was told before. */
  #sync(told: Acknowledgement, syncing: Promise<void>): void {
    this.#synced = told;
    this.#syncing = syncing.then(() => {
      this.#synced = undefined;
      if (!this.#isClosed) this.#options.onSynced();
    });
  }

  /** What speaks against a revision that is to be checked; undefined for nothing. */
  #check(stage: Stage, manifest: Manifest, world: World, slots: Uint32Array): string | undefined {
    if (!isEqual(stage, manifest, world)) return UNEQUAL;
    const served = this.#served;
    if (served === undefined) return undefined;
    const before = { world: served.world, slots: served.mirror.copy() };
    return objectionTo(compareAnswers(before, { world, slots }));
  }

  #load(
    manifest: Manifest,
    sections: readonly NamedSection[],
    doubted: ReadonlySet<string>,
  ): LoadedRevision | string {
    const before = this.#served && {
      pack: this.#served.pack.without(doubted),
      world: this.#served.world,
    };
    if (this.#options.load !== undefined) return this.#options.load(manifest, sections, before);
    // Each was looked at when it came, or was read.
    const pack = SectionPack.make(sections, before?.pack, this.#options.onSlab, true);
    if ("error" in pack) return pack.error;
    const world = World.load(pack.sections, manifest.seed, this.#served?.world);
    return "error" in world ? world.error : { pack, world };
  }

  #serve(
    manifest: Manifest,
    { pack, world }: LoadedRevision,
    table: SlotTable,
    start: SlotStart = table,
    isRestored: boolean = false,
  ): void {
    this.#isCarried = !("slots" in start);
    const before = this.#served?.mirror;
    const { state, serve, onPosition } = this.#options;
    const onPublished = (changes: readonly SlotChange[]): void => {
      this.#moves.changed(changes);
      state.changed(mirror, changes);
      onPosition(this.position);
    };
    const mirror = new OverlayMirror(world, table, onPublished, this.#isCarried);
    this.#served = { manifest, pack, world, mirror };
    this.#options.onMirror?.(world, mirror);
    const { buffer: overlay, slotCount } = mirror;
    serve({
      kind: "snapshot",
      revision: manifest.revision,
      world: world.share(),
      overlay,
      slotCount,
    });
    // What is left to do nobody waits for, and another edge of this machine may not have got so far.
    this.#endHaste();
    before?.close(this.#slotMemory);
    this.#moves.begin(world, mirror.current, isRestored);
    // A weight that was given to a branch is stored by its place: that may be another's by now.
    const isCarried = !("slots" in start) && start.changes.length === 0;
    state.changed(mirror, [], isCarried && before?.hasGivenWeights() !== true);
    state.links?.keep(manifest.hash, world);
    for (const section of pack.sections) this.#spares.get(section.kind)?.soon(section);
    onPosition(this.position);
  }

  /** The sections of a revision; those that are not in memory with their bytes, each the very one that the manifest names. */
  async #sections(
    manifest: Manifest,
    doubted: ReadonlySet<string>,
    fetch: FetchSection,
  ): Promise<NamedSection[]> {
    const found = new Map<string, SharedArrayBuffer>();
    const missing = manifest.sections.filter(
      ({ name }) => this.#served?.pack.has(name) !== true || doubted.has(name),
    );
    const next = missing.values();
    const work = async (): Promise<void> => {
      for (const section of next) found.set(section.name, await this.#section(section, fetch));
    };
    await Promise.all(Array.from({ length: FETCHES_MAX }, work));
    return manifest.sections.map(({ name }) => {
      const buffer = found.get(name);
      return buffer === undefined ? { name } : { name, buffer };
    });
  }

  async #section(section: ManifestSection, fetch: FetchSection): Promise<SharedArrayBuffer> {
    const { name, bytes } = section;
    const sent = this.#takeSent(section);
    if (sent !== undefined) return sent;
    const kept = this.#options.state.readSection(name);
    if (kept !== undefined && wrongness(kept, section) === undefined) return kept;
    this.#endHaste();
    const fetched = await fetch(name, bytes);
    const wrong = wrongness(fetched, section);
    if (wrong !== undefined) {
      // Where control has the very same, all edges would stay with this revision for good.
      if (this.#isServed(name, fetched)) return fetched;
      throw new TypeError(wrong);
    }
    assert(fetched.byteLength === bytes, "a section has the length that its manifest says");
    this.#options.state.writeSection(name, new Uint8Array(fetched));
    return fetched;
  }

  #isServed(name: string, bytes: SharedArrayBuffer): boolean {
    const served = this.#served?.pack.section(name)?.copy();
    return served !== undefined && Buffer.compare(Buffer.from(served), Buffer.from(bytes)) === 0;
  }

  /** What was sent ahead, where it makes the very section of what is served here. */
  #takeSent(section: ManifestSection): SharedArrayBuffer | undefined {
    const sent = this.#sent.get(section.name);
    if (sent === undefined) return undefined;
    this.#forgetSent(section.name);
    if (this.#doubted.has(section.name) || this.#doubted.has(sent.base ?? "")) return undefined;
    const base = sent.base === undefined ? undefined : this.#served?.pack.section(sent.base);
    const made = applySectionDelta(sent.delta, base, this.#spares.get(section.kind));
    if (typeof made === "string") return undefined;
    const { name } = section;
    const source =
      sent.base === undefined || made.byteLength < DELTA_BYTES_MIN
        ? undefined
        : { base: sent.base, delta: sent.delta };
    // Made of the very section that control had, it is what control meant if its checksum is right; SHA-256 would take 4 ms of six megabytes, and 0.4 of a names section.
    const wrong =
      source === undefined
        ? wrongness(made, section)
        : contentError(made, section, openMade(made, sent.delta, base));
    if (wrong !== undefined) return undefined;
    this.#options.state.writeSection(name, new Uint8Array(made), source);
    return made;
  }
}

function isOf(position: Position, { epoch, revision }: Manifest): boolean {
  return position.epoch === epoch && position.revision === revision;
}

function isStaged(stage: Stage | undefined, { epoch, revision }: Manifest): boolean {
  return stage?.epoch === epoch && stage.revision === revision;
}

/** Whether a revision answers here as it does at control; nothing is known of another cut of it. */
function isEqual({ digest, hash }: Stage, manifest: Manifest, world: World): boolean {
  return manifest.hash !== hash || answersDigest(world) === digest;
}

function shown({ epoch, revision, hash }: Manifest): string {
  return `revision ${revision} of epoch ${epoch} (${hash.slice(0, 8)})`;
}

/** Why bytes are not the section that is meant. */
function wrongness(buffer: SharedArrayBuffer, wanted: ManifestSection): string | undefined {
  const { name } = wanted;
  const found = hash("sha256", new Uint8Array(buffer));
  return found === name ? contentError(buffer, wanted) : `Section ${name} has the hash ${found}`;
}

/** Why bytes are not whole or of another kind, whatever they are named. */
function contentError(
  buffer: SharedArrayBuffer,
  wanted: ManifestSection,
  section: Section | SectionError = openSection(buffer),
): string | undefined {
  const { name, bytes, kind, key } = wanted;
  if (buffer.byteLength !== bytes)
    return `Section ${name} has ${buffer.byteLength} bytes, expected ${bytes}`;
  if ("error" in section) return `Section ${name}: ${section.error}`;
  return section.kind === kind && section.key === BigInt(`0x${key}`)
    ? undefined
    : `Section ${name} is of kind ${section.kind}, expected ${kind}`;
}
