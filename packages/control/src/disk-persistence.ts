// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { probePlanText, type ChangeSet, type ProbePlan } from "@meridian/health";
import { Verdict, type KeyedSlots, type OnSlab, type StoredSlots } from "@meridian/snapshot";
import type { Logger, Persistence, SectionFolder } from "./embedded-options.ts";
import { reasonOf } from "@meridian/core";
import { OverlayJournal } from "./overlay-journal.ts";
import { readProbePlan, writeProbePlan } from "./probe-plan-file.ts";
import { isShift, type Shift } from "./shift-effects.ts";
import {
  LinksFile,
  SnapshotStore,
  writeDurably,
  type OpenedRevision,
  type StateDir,
  type StoredRevision,
} from "@meridian/snapshot/disk";

/** Verdicts older than this are unknown after a restart (`maxVerdictAge`). */
const VERDICT_AGE_MS_MAX = 24 * 3_600_000;
const SHIFTS_FILE = "shifts.json";

/** What outlives the process, in a state folder that is locked already. */
export class DiskPersistence implements Persistence {
  readonly store: SnapshotStore;
  readonly sectionFolder: SectionFolder;
  readonly journal: OverlayJournal;
  readonly links: Pick<LinksFile, "read" | "keep">;
  readonly #links: LinksFile;
  readonly #directory: StateDir;
  readonly #logger: Logger;
  readonly #wallMs: () => number;

  constructor(directory: StateDir, logger: Logger, wallMs: () => number) {
    this.#directory = directory;
    this.#logger = logger;
    this.#wallMs = wallMs;
    this.store = new SnapshotStore(directory.path);
    const read = (name: string): Promise<SharedArrayBuffer | string> =>
      this.store.readSectionAsync(name);
    const has = (name: string): boolean => this.store.has(name);
    this.sectionFolder = { path: directory.path, has, read };
    this.#links = new LinksFile(directory.path, (reason) =>
      logger.error({ reason }, "Cannot write the links of the snapshot to the state folder"),
    );
    this.links = {
      read: (hash) => this.#links.read(hash),
      keep: (hash, world) => {
        this.#links.keep(hash, world);
        this.journal.follow(world);
      },
    };
    this.journal = new OverlayJournal(directory.path, wallMs, (error) =>
      logger.error({ reason: reasonOf(error) }, "Cannot write the overlay to the state folder"),
    );
  }

  loadRevision(onSlab?: OnSlab): OpenedRevision | undefined {
    const { stored, refused } = this.store.open(onSlab);
    for (const { file, reason } of refused)
      this.#logger.warn({ file, reason }, "Passed over a stored snapshot that is not whole");
    return stored;
  }

  saveRevision(revision: StoredRevision): void {
    this.store.save(revision);
  }

  loadOverlay(): KeyedSlots | undefined {
    const overlay = this.journal.load();
    if (typeof overlay === "string") return undefined;
    const { slots, savedAtMs } = overlay;
    const nowMs = this.#wallMs();
    this.#logger.info(
      { ageMs: Math.round(nowMs - savedAtMs), slots: slots.size },
      "Restored the overlay from disk",
    );
    // The table is written whenever anything changes and each minute besides: an old file means old verdicts.
    if (nowMs - savedAtMs <= VERDICT_AGE_MS_MAX) return slots;
    const oldestSeconds = (nowMs - VERDICT_AGE_MS_MAX) / 1000;
    return slots.map((row) => {
      const value = slots.valueAt(row);
      return slots.secondsAt(row) < oldestSeconds ? ((value & ~3) | Verdict.unknown) >>> 0 : value;
    });
  }

  recordChangeSet(changeSet: ChangeSet): void {
    this.journal.record(changeSet);
  }

  recordedSlots(): StoredSlots {
    return this.journal.recorded;
  }

  lastSequence(): number {
    return this.journal.lastSequence;
  }

  loadShifts(): readonly Shift[] {
    const path = join(this.#directory.path, SHIFTS_FILE);
    try {
      const shifts: unknown = JSON.parse(readFileSync(path, "utf8"));
      if (Array.isArray(shifts) && shifts.every(isShift)) return shifts;
      this.#logger.error({ file: path }, "Passed over stored shifts that are malformed");
      return Array.isArray(shifts) ? shifts.filter(isShift) : [];
    } catch (error) {
      // Without the file there were no shifts; with one that cannot be read, traffic goes back to what was drained.
      if (existsSync(path))
        this.#logger.error({ file: path, reason: reasonOf(error) }, "Cannot read the shifts");
      return [];
    }
  }

  saveProbes(plan: ProbePlan): void {
    writeProbePlan(this.#directory.path, probePlanText(plan));
  }

  loadProbes(): ProbePlan | undefined {
    return readProbePlan(this.#directory.path);
  }

  saveShifts(shifts: readonly Shift[]): void {
    writeDurably(
      join(this.#directory.path, SHIFTS_FILE),
      `${JSON.stringify(shifts, undefined, 1)}\n`,
    );
  }

  close(): void {
    this.#links.close();
    this.journal.close();
  }
}
