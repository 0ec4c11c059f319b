// SPDX-License-Identifier: Apache-2.0

// The pair (snapshot, overlay) of an edge on disk, in the files that `meridian up` keeps. A disk that cannot be written is told of and
// does not end the answers.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "@meridian/core";
import { KeyedSlots, Verdict, type Manifest, type OnSlab } from "@meridian/snapshot";
import {
  SnapshotStore,
  decodeOverlay,
  encodeOverlay,
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
}

export class EdgeState {
  readonly store: SnapshotStore;
  readonly journal: SlotJournal;
  readonly #folder: string;
  readonly #logger: EdgeLogger;
  #saveTimer: NodeJS.Timeout | undefined;
  #savedAtMs = 0;
  #restoredAtMs: number | undefined;
  #mirror: OverlayMirror | undefined;
  /** As they were last saved. */
  #slots = new KeyedSlots();

  constructor(folder: string, logger: EdgeLogger) {
    this.#folder = folder;
    this.#logger = logger;
    this.store = new SnapshotStore(folder);
    this.journal = new SlotJournal(folder, logger);
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
      return { revision: stored, sequence: 0, slots: new KeyedSlots(), ageMs: undefined };
    }
    const nowMs = Date.now();
    const ageMs = nowMs - overlay.savedAtMs;
    this.#slots = overlay.slots;
    this.#restoredAtMs = overlay.savedAtMs;
    const isOld = ageMs > VERDICT_AGE_MS_MAX;
    const slots = overlay.slots.map((row) => {
      const value = overlay.slots.valueAt(row);
      return isOld ? ((value & ~3) | Verdict.unknown) >>> 0 : value;
    });
    return { revision: stored, sequence: overlay.sequence, slots, ageMs };
  }

  /** A section on disk; undefined where there is none. */
  readSection(name: string): SharedArrayBuffer | undefined {
    if (!this.store.has(name)) return undefined;
    const found = this.store.readSection(name);
    return typeof found === "string" ? undefined : found;
  }

  writeSection(name: string, bytes: Uint8Array): void {
    this.#try(`section ${name}`, () => this.store.write(name, bytes));
  }

  keep(manifest: Manifest): void {
    this.#try(`revision ${manifest.revision}`, () => {
      this.store.keep(manifest);
      this.store.prune();
    });
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
    this.#saveTimer ??= setTimeout(() => this.#save(), SAVE_MS).unref();
  }

  /** Control has been heard of, whether or not anything changed. */
  heard(): void {
    if (this.#mirror !== undefined && Date.now() - this.#savedAtMs > REFRESH_MS)
      this.#touched(this.#mirror);
  }

  /** Writes what is not on disk yet, for the process that takes over. */
  flush(): void {
    if (this.#saveTimer !== undefined) this.#save();
    this.journal.save();
  }

  close(): void {
    this.flush();
    this.journal.close();
  }

  #save(): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    const mirror = this.#mirror;
    if (mirror === undefined) return;
    this.#savedAtMs = Date.now();
    const nowSeconds = Math.floor(this.#savedAtMs / 1000);
    const before = this.#slots;
    const slots = new KeyedSlots(before.size);
    for (const { low, high, value } of mirror.slots()) {
      const row = before.rowOf(low, high);
      const isSame = row >= 0 && before.valueAt(row) === value;
      slots.set(low, high, value, isSame ? before.secondsAt(row) : nowSeconds);
    }
    this.#slots = slots;
    this.#try("the overlay", () =>
      writeDurably(
        join(this.#folder, OVERLAY_FILE),
        encodeOverlay({ savedAtMs: this.#savedAtMs, sequence: mirror.sequence, slots }),
      ),
    );
  }

  #readOverlay(): ReturnType<typeof decodeOverlay> {
    try {
      return decodeOverlay(readFileSync(join(this.#folder, OVERLAY_FILE)));
    } catch (error) {
      return reasonOf(error);
    }
  }

  #try(what: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#logger.error(`Cannot keep ${what} in the state folder`, { reason: reasonOf(error) });
    }
  }
}
