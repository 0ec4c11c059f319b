// SPDX-License-Identifier: Apache-2.0

// The pair (snapshot, overlay) of an edge on disk, in the files that `meridian up` keeps. A disk that cannot be written is told of and
// does not end the answers; what it did not take is tried again until it does or something newer is to be kept.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { reasonOf } from "@meridian/core";
import { KeyedSlots, type Manifest, type OnSlab } from "@meridian/snapshot";
import {
  LinksFile,
  OverlayEncoder,
  SnapshotStore,
  decodeOverlay,
  replaceDurably,
  writeDurably,
  type OpenedRevision,
  type SectionSource,
} from "@meridian/snapshot/disk";
import type { EdgeLogger } from "../edge-logger.ts";
import { DiskTroubles } from "./disk-troubles.ts";
import type { OverlayMirror } from "./overlay-mirror.ts";
import { SlotJournal, type SlotChange } from "./slot-journal.ts";

/** The overlay is on disk at most this long after a change. */
const SAVE_MS = 500;
/**
 * The same where a revision began with what the one before had, by key: of what a start takes from there, nothing has changed. Two megabytes
 * written and synced a second by each of some edges would have their next revisions wait for the disk.
 */
const SAVE_CARRIED_MS = 10_000;
/** It is written this often where nothing changes, so that its age is that of the last word of control. */
const REFRESH_MS = 60_000;
/**
 * What no kept revision needs is removed, and what is kept as a delta written whole, so long after the last of some revisions: nobody waits
 * for it, and a disk that writes megabytes keeps whoever syncs waiting, on this machine or in its cluster.
 */
const PRUNE_MS = 2000;
/** So long after the first of them all the same. */
const PRUNE_MS_MAX = 10_000;
/** What the disk did not take is tried again so long after. */
const RETRY_MS = 5000;
/** Verdicts older than this are unknown after a start. */
const VERDICT_AGE_MS_MAX = 24 * 3_600_000;
/** How much is hashed in a turn: half a millisecond. */
const HASH_BYTES = 512 * 1024;
const OVERLAY_FILE = "overlay.bin";
/** As they are shown where the disk refuses them. */
const [REVISION, OVERLAY] = ["the revision that is served", "the overlay"] as const;

/** What an edge starts from. */
export interface RestoredPair {
  readonly revision: OpenedRevision;
  readonly sequence: number;
  readonly slots: KeyedSlots;
  /** Since control was last heard of; undefined where no overlay is kept. */
  readonly ageMs: number | undefined;
  /** Whether its verdicts are too old to be believed. */
  readonly isOld: boolean;
}

/** Bytes of a section that is in memory, by name. */
export type SectionInMemory = (name: string) => Uint8Array | undefined;

export class EdgeState {
  readonly store: SnapshotStore;
  readonly journal: SlotJournal;
  readonly links: LinksFile;
  readonly troubles: DiskTroubles = new DiskTroubles();
  readonly #folder: string;
  readonly #logger: EdgeLogger;
  #saveTimer: NodeJS.Timeout | undefined;
  /** When it fires, of `performance.now()`. */
  #saveAtMs = 0;
  /** Something has changed since the overlay was last encoded. */
  #isStale = false;
  #isSaving = false;
  /** How soon what has changed since then is to be saved. */
  #nextSaveMs = SAVE_CARRIED_MS;
  /** The newest one counts. */
  #saves = 0;
  #keepTimer: NodeJS.Timeout | undefined;
  /** The newest revision that was to be kept is not on disk, and will be tried again. */
  #isUnplaced = false;
  #pruneTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isPaused = false;
  #isPruning = false;
  /** Since the last one began. */
  #isPruneDue = false;
  /** Of what older processes kept. */
  #learning: Promise<void> | undefined;
  /** The first revision that was kept since then, of `performance.now()`. */
  #keptAtMs: number | undefined;
  #savedAtMs = 0;
  #restoredAtMs: number | undefined;
  #mirror: OverlayMirror | undefined;
  #encoder = new OverlayEncoder();
  /** Sections that the next revision to be kept may name. */
  readonly #gathered = new Set<string>();
  /** Sections of which the disk has a delta alone. */
  readonly #deltas = new Map<string, Uint8Array>();

  /** Edges of one machine are told at the same moments: what they leave for later each does at its own. */
  readonly #pace = 0.7 + 0.3 * Math.random();

  readonly #onWrong: (name: string) => void;

  /** `onWrong` hears of a section that was taken in and is not the one that its name says. */
  constructor(folder: string, logger: EdgeLogger, onWrong: (name: string) => void = () => {}) {
    this.#folder = folder;
    this.#logger = logger;
    this.#onWrong = onWrong;
    this.store = new SnapshotStore(folder);
    this.journal = new SlotJournal(folder, logger, this.troubles);
    this.links = new LinksFile(folder, (reason) =>
      logger.error("Cannot keep the links of the snapshot in the state folder", { reason }),
    );
  }

  /** Wall time at which the process before last heard of control, as far as the overlay on disk tells. */
  get restoredAtMs(): number | undefined {
    return this.#restoredAtMs;
  }

  /** The newest pair that is whole. */
  load(onSlab?: OnSlab): RestoredPair | undefined {
    const { stored, refused } = this.store.open(onSlab);
    for (const { file, reason } of refused)
      this.#logger.warn("Passed over a stored snapshot that is not whole", { file, reason });
    if (stored === undefined) return undefined;
    // The process before was killed before it had looked at them, which is done after the next revision.
    for (const [name, { bytes, start, length }] of stored.pack.entries())
      if (this.store.hasDelta(name)) this.#deltas.set(name, bytes.subarray(start, start + length));
    const overlay = this.#readOverlay();
    if (typeof overlay === "string") {
      this.#logger.warn("Starts without the stored overlay", { reason: overlay });
      const slots = new KeyedSlots();
      return { revision: stored, sequence: 0, slots, ageMs: undefined, isOld: false };
    }
    const nowMs = Date.now();
    const ageMs = nowMs - overlay.savedAtMs;
    this.#encoder = new OverlayEncoder(overlay.slots);
    this.#restoredAtMs = overlay.savedAtMs;
    const { sequence, slots } = overlay;
    return { revision: stored, sequence, slots, ageMs, isOld: ageMs > VERDICT_AGE_MS_MAX };
  }

  /** A section on disk; undefined where there is none. */
  readSection(name: string): SharedArrayBuffer | undefined {
    if (!this.store.has(name)) return undefined;
    this.#gathered.add(name);
    const found = this.store.readSection(name);
    return typeof found === "string" ? undefined : found;
  }

  /** A process that starts finds it from now on; by what it is made of, where that is said: then its name is looked at later. */
  writeSection(name: string, bytes: Uint8Array, source?: SectionSource): void {
    this.#gathered.add(name);
    this.#try(`section ${name}`, () => {
      if (source === undefined || !this.store.placeDelta(name, source))
        this.store.placeSection(name, bytes);
      else this.#deltas.set(name, bytes);
    });
  }

  /**
   * A process that starts serves this revision from now on. Resolves when a loss of power takes it no more, or the disk has failed: what it
   * did not take is tried again, what it did not sync is with the next revision. `text` is what the manifest was read from. The disk is not asked in this turn, in which workers are told.
   */
  async keep(manifest: Manifest, inMemory: SectionInMemory, text?: string): Promise<void> {
    clearTimeout(this.#keepTimer);
    const what = `revision ${manifest.revision}`;
    const isPlaced = this.#try(what, () => this.#place(manifest, inMemory, text), REVISION);
    this.#isUnplaced = !isPlaced;
    if (!isPlaced) this.#keepLater(manifest, inMemory);
    this.#gathered.clear();
    const named = new Set(manifest.sections.map(({ name }) => name));
    for (const name of this.#deltas.keys()) if (!named.has(name)) this.#deltas.delete(name);
    this.#pruneSoon(isPlaced ? PRUNE_MS : 0);
    if (!isPlaced) return;
    await nextTurn();
    await this.#settled(what, this.store.settle());
  }

  /** Sections that came with an earlier revision, and that the disk did not take then, are still in memory. */
  #place(manifest: Manifest, inMemory: SectionInMemory, text?: string): void {
    for (const { name } of manifest.sections) {
      const bytes = this.store.mayHave(name) ? undefined : inMemory(name);
      if (bytes !== undefined) this.store.placeSection(name, bytes);
    }
    this.store.place(manifest, text);
  }

  /** In silence: that it could not be kept has been told. */
  #keepLater(manifest: Manifest, inMemory: SectionInMemory): void {
    this.#keepTimer = setTimeout(() => {
      try {
        this.#place(manifest, inMemory);
      } catch {
        this.#keepLater(manifest, inMemory);
        return;
      }
      this.#isUnplaced = false;
      const { revision } = manifest;
      this.#logger.info("The state folder has the revision after all", { revision });
      void this.#settled(`revision ${revision}`, this.store.settle());
    }, RETRY_MS).unref();
  }

  /** Resolves when the revision that was loaded is on disk as well: the process before may have ended before it was. */
  restored(): Promise<void> {
    return this.#settled("the stored revision", this.store.settleNewest());
  }

  async #settled(what: string, settling: Promise<void>): Promise<void> {
    try {
      await settling;
      if (!this.#isUnplaced) this.troubles.took(REVISION);
    } catch (error) {
      this.#failed(what, error, REVISION);
    }
  }

  #pruneSoon(pauseMs: number): void {
    const nowMs = performance.now();
    this.#keptAtMs ??= nowMs;
    clearTimeout(this.#pruneTimer);
    const leftMs = Math.max(0, this.#keptAtMs + PRUNE_MS_MAX * this.#pace - nowMs);
    this.#pruneTimer = setTimeout(() => void this.#prune(), Math.min(pauseMs, leftMs)).unref();
  }

  /** One after the other: two that wrote one section would write one file. */
  async #prune(): Promise<void> {
    this.#pruneTimer = undefined;
    this.#keptAtMs = undefined;
    this.#isPruneDue = true;
    if (this.#isPruning) return;
    this.#isPruning = true;
    while (this.#isPruneDue && !this.#isResting) {
      this.#isPruneDue = false;
      await this.#pruneOnce();
    }
    this.#isPruning = false;
  }

  get #isResting(): boolean {
    return this.#isClosed || this.#isPaused;
  }

  /** In turns of a millisecond or two: a revision may come meanwhile. */
  async #pruneOnce(): Promise<void> {
    this.#learning ??= this.store.learn(() => !this.#isClosed);
    // What it could not read prune() tries, and tells of.
    await this.#learning.catch(() => {});
    if (this.#isResting) return;
    this.#try("old revisions out", () => this.store.prune(this.#gathered));
    for (const [name, bytes] of [...this.#deltas]) {
      const found = await hashOf(bytes);
      if (this.#isResting) return;
      // What is served now may have no use for it any more.
      if (!this.#deltas.delete(name)) continue;
      if (found === name) await this.#makeWhole(name, bytes);
      else {
        this.#failed(`section ${name}`, `It has the hash ${found}`);
        this.store.doubtDelta(name);
        this.#onWrong(name);
      }
    }
  }

  /** As what the disk writes, the next revision's few bytes wait for what was written before: it goes there in pieces, each waited for. */
  async #makeWhole(name: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.store.makeWhole(name, bytes);
    } catch (error) {
      // The process that takes over may have removed it, and goes on from what makes it.
      if (this.#isResting) return;
      this.#failed(`section ${name}`, error);
      // With the next revision.
      if (this.store.hasDelta(name)) this.#deltas.set(name, bytes);
    }
  }

  /** The overlay has changed, or is another one; `isCarried` where its slots are those that the one before had, by key. */
  changed(
    mirror: OverlayMirror,
    changes: readonly SlotChange[] = [],
    isCarried: boolean = false,
  ): void {
    const { revision, sequence } = mirror;
    if (this.#mirror === mirror)
      this.journal.change(revision, sequence, changes, () => mirror.copy());
    else this.journal.begin(revision, sequence, mirror.current);
    this.#touched(mirror, isCarried ? SAVE_CARRIED_MS * this.#pace : SAVE_MS);
  }

  #touched(mirror: OverlayMirror, delayMs: number): void {
    this.#mirror = mirror;
    this.#isStale = true;
    this.#touch(delayMs);
  }

  /** One save after the other. */
  #touch(delayMs: number): void {
    const dueMs = performance.now() + delayMs;
    if (this.#isSaving) {
      this.#nextSaveMs = Math.min(this.#nextSaveMs, delayMs);
      return;
    }
    if (this.#saveTimer !== undefined && this.#saveAtMs <= dueMs) return;
    clearTimeout(this.#saveTimer);
    this.#saveAtMs = dueMs;
    this.#saveTimer = setTimeout(() => void this.#saveSoon(), delayMs).unref();
  }

  get #overlayPath(): string {
    return join(this.#folder, OVERLAY_FILE);
  }

  /** Control has been heard of, whether or not anything changed. */
  heard(): void {
    if (this.#mirror !== undefined && Date.now() - this.#savedAtMs > REFRESH_MS)
      this.#touched(this.#mirror, SAVE_MS);
  }

  /** Writes what is not on disk yet, for the process that takes over; false where the overlay cannot be written. */
  flush(): boolean {
    const isKept = (!this.#isStale && !this.#isSaving) || this.#save();
    this.journal.save();
    return isKept;
  }

  /** Another process is about to take over: what it has placed is not known here, and nothing is taken for old until `resume()`. */
  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#pruneTimer);
  }

  resume(): void {
    this.#isPaused = false;
    this.#pruneSoon(PRUNE_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#keepTimer);
    clearTimeout(this.#pruneTimer);
    this.flush();
    this.links.close();
    this.journal.close();
  }

  /** While answers go on, in turns of some milliseconds, as a revision may come; a disk takes tens of them for it. */
  async #saveSoon(): Promise<void> {
    const encoding = this.#encoding();
    if (encoding === undefined) return;
    const save = ++this.#saves;
    const isNewest = (): boolean => save === this.#saves;
    this.#isSaving = true;
    this.#nextSaveMs = SAVE_CARRIED_MS;
    try {
      let step = encoding.next();
      while (step.done !== true && isNewest()) {
        await nextTurn();
        if (isNewest()) step = encoding.next();
      }
      if (step.done === true) {
        await replaceDurably(this.#overlayPath, step.value, isNewest);
        this.troubles.took(OVERLAY);
      }
    } catch (error) {
      const reason = reasonOf(error);
      if (this.troubles.failed(OVERLAY, reason)) this.#tell(OVERLAY, reason);
      this.#isStale = true;
      this.#nextSaveMs = RETRY_MS;
    }
    this.#isSaving = false;
    if (this.#isStale && !this.#isClosed) this.#touch(this.#nextSaveMs);
  }

  #save(): boolean {
    const encoding = this.#encoding();
    if (encoding === undefined) return false;
    this.#saves += 1;
    let step = encoding.next();
    while (step.done !== true) step = encoding.next();
    const bytes = step.value;
    const isSaved = this.#try(OVERLAY, () => writeDurably(this.#overlayPath, bytes), OVERLAY);
    if (isSaved) this.troubles.took(OVERLAY);
    else {
      this.#isStale = true;
      if (!this.#isClosed) this.#touch(RETRY_MS);
    }
    return isSaved;
  }

  /** The overlay as it is when the first step is done, which is to be written. */
  #encoding(): Generator<void, Uint8Array> | undefined {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    this.#isStale = false;
    const mirror = this.#mirror;
    if (mirror === undefined) return undefined;
    this.#savedAtMs = Date.now();
    const moment = { savedAtMs: this.#savedAtMs, sequence: mirror.sequence };
    return this.#encoder.encoding(moment, mirror.world, mirror.current);
  }

  #readOverlay(): ReturnType<typeof decodeOverlay> {
    try {
      return decodeOverlay(readFileSync(this.#overlayPath));
    } catch (error) {
      return reasonOf(error);
    }
  }

  /** `shown`: as what it is shown until the disk takes it. */
  #try(what: string, write: () => void, shown?: string): boolean {
    try {
      write();
      return true;
    } catch (error) {
      this.#failed(what, error, shown);
      return false;
    }
  }

  #failed(what: string, error: unknown, shown?: string): void {
    const reason = reasonOf(error);
    if (shown !== undefined) this.troubles.failed(shown, reason);
    this.#tell(what, reason);
  }

  #tell(what: string, reason: string): void {
    this.#logger.error(`Cannot keep ${what} in the state folder`, { reason });
  }
}

async function hashOf(bytes: Uint8Array): Promise<string> {
  const made = createHash("sha256");
  for (let at = 0; at < bytes.length; at += HASH_BYTES) {
    await nextTurn();
    made.update(bytes.subarray(at, at + HASH_BYTES));
  }
  return made.digest("hex");
}
