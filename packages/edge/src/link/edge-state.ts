// SPDX-License-Identifier: Apache-2.0

// The pair (snapshot, overlay) of an edge on disk, in the files that `meridian up` keeps. A disk that cannot be written is told of and
// does not end the answers.

import { readFileSync } from "node:fs";
import { join } from "node:path";
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
} from "@meridian/snapshot/disk";
import type { EdgeLogger } from "../edge-logger.ts";
import type { OverlayMirror } from "./overlay-mirror.ts";
import { SlotJournal, type SlotChange } from "./slot-journal.ts";

/** The overlay is on disk at most this long after a change. */
const SAVE_MS = 500;
/** It is written this often where nothing changes, so that its age is that of the last word of control. */
const REFRESH_MS = 60_000;
/** What no kept revision needs is removed at most this long after a revision: nobody waits for it. */
const PRUNE_MS = 2000;
/** Verdicts older than this are unknown after a start. */
const VERDICT_AGE_MS_MAX = 24 * 3_600_000;
const OVERLAY_FILE = "overlay.bin";

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

export class EdgeState {
  readonly store: SnapshotStore;
  readonly journal: SlotJournal;
  readonly links: LinksFile;
  readonly #folder: string;
  readonly #logger: EdgeLogger;
  #saveTimer: NodeJS.Timeout | undefined;
  /** Something has changed since the overlay was last encoded. */
  #isStale = false;
  #isSaving = false;
  /** The newest one counts. */
  #saves = 0;
  #pruneTimer: NodeJS.Timeout | undefined;
  #savedAtMs = 0;
  #restoredAtMs: number | undefined;
  #mirror: OverlayMirror | undefined;
  #encoder = new OverlayEncoder();
  /** Sections that the next revision to be kept may name. */
  readonly #gathered = new Set<string>();

  constructor(folder: string, logger: EdgeLogger) {
    this.#folder = folder;
    this.#logger = logger;
    this.store = new SnapshotStore(folder);
    this.journal = new SlotJournal(folder, logger);
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

  /** A process that starts finds it from now on. */
  writeSection(name: string, bytes: Uint8Array): void {
    this.#gathered.add(name);
    this.#try(`section ${name}`, () => this.store.placeSection(name, bytes));
  }

  /** A process that starts serves this revision from now on. Resolves when a loss of power takes it no more, or the disk has failed. */
  async keep(manifest: Manifest): Promise<void> {
    const what = `revision ${manifest.revision}`;
    const isPlaced = this.#try(what, () => this.store.place(manifest));
    this.#gathered.clear();
    this.#pruneTimer ??= setTimeout(() => this.#prune(), isPlaced ? PRUNE_MS : 0).unref();
    if (isPlaced) await this.#settled(what, this.store.settle());
  }

  /** Resolves when the revision that was loaded is on disk as well: the process before may have ended before it was. */
  restored(): Promise<void> {
    return this.#settled("the stored revision", this.store.settleNewest());
  }

  async #settled(what: string, settling: Promise<void>): Promise<void> {
    try {
      await settling;
    } catch (error) {
      this.#failed(what, error);
    }
  }

  #prune(): void {
    this.#pruneTimer = undefined;
    this.#try("old revisions out", () => this.store.prune(this.#gathered));
  }

  /** The overlay has changed, or is another one. */
  changed(mirror: OverlayMirror, changes: readonly SlotChange[] = []): void {
    const { revision, sequence } = mirror;
    if (this.#mirror === mirror)
      this.journal.change(revision, sequence, changes, () => mirror.copy());
    else this.journal.begin(revision, sequence, mirror.current);
    this.#touched(mirror);
  }

  #touched(mirror: OverlayMirror): void {
    this.#mirror = mirror;
    this.#isStale = true;
    this.#touch();
  }

  /** One save after the other. */
  #touch(): void {
    if (this.#isSaving) return;
    this.#saveTimer ??= setTimeout(() => void this.#saveSoon(), SAVE_MS).unref();
  }

  get #overlayPath(): string {
    return join(this.#folder, OVERLAY_FILE);
  }

  /** Control has been heard of, whether or not anything changed. */
  heard(): void {
    if (this.#mirror !== undefined && Date.now() - this.#savedAtMs > REFRESH_MS)
      this.#touched(this.#mirror);
  }

  /** Writes what is not on disk yet, for the process that takes over. */
  flush(): void {
    if (this.#isStale || this.#isSaving) this.#save();
    this.journal.save();
  }

  close(): void {
    clearTimeout(this.#pruneTimer);
    this.flush();
    this.links.close();
    this.journal.close();
  }

  /** While answers go on: a disk takes tens of milliseconds for it. */
  async #saveSoon(): Promise<void> {
    const bytes = this.#encoded();
    if (bytes === undefined) return;
    const save = ++this.#saves;
    this.#isSaving = true;
    await this.#settled(
      "the overlay",
      replaceDurably(this.#overlayPath, bytes, () => save === this.#saves),
    );
    this.#isSaving = false;
    if (this.#isStale) this.#touch();
  }

  #save(): void {
    const bytes = this.#encoded();
    if (bytes === undefined) return;
    this.#saves += 1;
    this.#try("the overlay", () => writeDurably(this.#overlayPath, bytes));
  }

  /** The overlay as it is, which is about to be written. */
  #encoded(): Uint8Array | undefined {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    this.#isStale = false;
    const mirror = this.#mirror;
    if (mirror === undefined) return undefined;
    this.#savedAtMs = Date.now();
    const moment = { savedAtMs: this.#savedAtMs, sequence: mirror.sequence };
    return this.#encoder.encode(moment, mirror.world, mirror.current);
  }

  #readOverlay(): ReturnType<typeof decodeOverlay> {
    try {
      return decodeOverlay(readFileSync(this.#overlayPath));
    } catch (error) {
      return reasonOf(error);
    }
  }

  #try(what: string, write: () => void): boolean {
    try {
      write();
      return true;
    } catch (error) {
      this.#failed(what, error);
      return false;
    }
  }

  #failed(what: string, error: unknown): void {
    this.#logger.error(`Cannot keep ${what} in the state folder`, { reason: reasonOf(error) });
  }
}
