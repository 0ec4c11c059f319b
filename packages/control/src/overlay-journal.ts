// SPDX-License-Identifier: Apache-2.0

// What the overlay was, and why: `overlay.bin` is the newest table, `history/journal-TIME.jsonl` every change set with its time and
// cause, `history/overlay-TIME.bin` a checkpoint a minute. A past overlay is the checkpoint before it plus the change sets since.
//
// Nothing here may end the process: what cannot be written is reported, kept for a while, and tried again.

import {
  appendFileSync,
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import type { ChangeSet } from "@meridian/health";
import { reasonOf } from "@meridian/core";
import { JournalLines } from "./journal-lines.ts";
import { KeyedSlots, type StoredSlots, type World } from "@meridian/snapshot";
import type { Moment } from "@meridian/snapshot/surface";
import {
  decodeOverlay,
  encodeOverlay,
  replaceDurably,
  syncPath,
  writeDurably,
  type StoredOverlay,
} from "@meridian/snapshot/disk";

/** The newest table is on disk at most this long after a change. */
const SAVE_MS = 250;
/**
 * The same after a snapshot that has all slots as they were: nothing that a start takes from the table has changed, and to write it a quarter
 * of a second after each change of documents would have the next one wait for the disk.
 */
const SAVE_CARRIED_MS = 10_000;
/**
 * The same where it was written in the second before: changes that come one by one all the time cost a table a second, not four. Still on disk
 * within a second.
 */
const SAVE_AGAIN_MS = 750;
const AGAIN_WITHIN_MS = 1000;
/** When writing is tried again after it failed. */
const RETRY_MS = 5000;
/** The table is written this often where nothing changes, so that its age is that of the process that kept it. */
const REFRESH_MS = 60_000;
/** Most change sets that wait for a disk that cannot be written; of more the oldest are lost. */
const BUFFERED_MAX = 10_000;
/** Most slots of the table; of more the half that changed longest ago is left out. */
const SLOTS_MAX = 1_000_000;
const CHECKPOINT_MS = 60_000;
/** More change sets than can be published between two saves. */
const LOST_SEQUENCES_MAX = 65_536;
/** What is read of a journal's end at first. */
const TAIL_BYTES = 64 * 1024;
/** A journal file is closed at this size. */
const JOURNAL_BYTES_MAX = 64 * 1024 * 1024;
const HISTORY_MS_MAX = 7 * 24 * 3_600_000;
const HISTORY_BYTES_MAX = 2 * 1024 ** 3;

/** A change set as the journal keeps it. */
export interface JournalEntry {
  readonly sequence: number;
  readonly revision: number;
  readonly atMs: number;
  readonly cause: { readonly kind: string; readonly text: string };
  /** Keys in hex, and values. */
  readonly changes: readonly (readonly [string, number])[];
}

export class OverlayJournal {
  readonly #folder: string;
  #slots = new KeyedSlots();
  readonly #wallMs: () => number;
  readonly #onError: (error: unknown) => void;
  #sequence = 0;
  #hasBegun = false;
  /** Whose slots the table is not in the order of yet. */
  #unordered: World | undefined;
  /** The table on disk is this one. */
  #isLoaded = false;
  /** What waits for the disk. */
  readonly #lines = new JournalLines();
  #saveTimer: NodeJS.Timeout | undefined;
  /** Of that timer. */
  #savePauseMs = 0;
  /** Times that what was buffered has become something else than more: it was written, or some of it lost. */
  #turnover = 0;
  #isSaving = false;
  /** When it was last written while others went on. */
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #isClosed = false;
  #refreshTimer: NodeJS.Timeout | undefined;
  #journalPath: string;
  #journalBytes = 0;
  #checkpointAtMs = 0;

  /** `onError` hears of what could not be written. */
  constructor(folder: string, wallMs: () => number, onError: (error: unknown) => void) {
    this.#folder = folder;
    this.#wallMs = wallMs;
    this.#onError = onError;
    this.#journalPath = this.#historyPath(`journal-${wallMs()}.jsonl`);
  }

  /** What the newest table holds; it goes on changing. */
  get recorded(): StoredSlots {
    return this.#slots;
  }

  /** A number that every sequence on disk is below, with room for change sets that were published and lost in a crash. */
  get lastSequence(): number {
    return this.#sequence === 0 ? 0 : this.#sequence + LOST_SEQUENCES_MAX;
  }

  /** The table from before, with its age; the reason where there is none that can be read. */
  load(): StoredOverlay | string {
    this.#sequence = this.#lastJournaled();
    const overlay = readOverlay(join(this.#folder, "overlay.bin"));
    if (typeof overlay === "string") return overlay;
    this.#slots = overlay.slots;
    this.#isLoaded = true;
    this.#sequence = Math.max(this.#sequence, overlay.sequence);
    return overlay;
  }

  record(changeSet: ChangeSet): void {
    const changedAtSeconds = Math.floor(changeSet.atMs / 1000);
    const { keys, values } = changeSet;
    const halves = new Uint32Array(keys.buffer, keys.byteOffset, keys.length * 2);
    for (let at = 0; at < keys.length; at++)
      this.#slots.set(
        halves[at * 2] ?? 0,
        halves[at * 2 + 1] ?? 0,
        values[at] ?? 0,
        changedAtSeconds,
      );
    if (this.#slots.size > SLOTS_MAX) this.#slots = newestOf(this.#slots);
    this.#sequence = changeSet.sequence;
    if (this.#lines.count >= BUFFERED_MAX) {
      this.#lines.drop(1);
      this.#turnover += 1;
    }
    this.#lines.add(changeSet);
    // The first of a process is on disk before anybody can read it: else one that dies young leaves its sequences to the next.
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      if (this.#isLoaded && keys.length === 0 && this.#mark()) return this.#refreshOften();
      this.save();
    } else {
      this.#saveSoon(keys.length === 0 ? SAVE_CARRIED_MS : this.#pauseMs());
    }
    this.#refreshOften();
  }

  #pauseMs(): number {
    const sinceMs = this.#wallMs() - this.#savedAtMs;
    return sinceMs >= 0 && sinceMs < AGAIN_WITHIN_MS ? SAVE_AGAIN_MS : SAVE_MS;
  }

  #refreshOften(): void {
    this.#refreshTimer ??= setInterval(() => this.#refresh(), REFRESH_MS).unref();
  }

  /** Leaves the sequence of a process that goes on with the table as it is; false where the disk does not take it. */
  #mark(): boolean {
    try {
      const bytes = this.#lines.first(this.#lines.count);
      appendFileSync(this.#journalPath, bytes, { mode: 0o600, flush: true });
      syncPath(join(this.#folder, "history"));
      this.#journalBytes += bytes.length;
      this.#lines.drop(this.#lines.count);
      this.#turnover += 1;
      return true;
    } catch (error) {
      this.#onError(error);
      return false;
    }
  }

  /** Writes what is buffered, and a checkpoint where one is due. What cannot be written is reported and tried again later. */
  save(): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    if (this.#lines.count === 0) return;
    try {
      this.#write();
    } catch (error) {
      this.#onError(error);
      this.#savePauseMs = RETRY_MS;
      this.#saveTimer = setTimeout(() => this.save(), RETRY_MS).unref();
    }
  }

  /** As `save`, while others go on: the disk takes longer than anything that is done between two changes. */
  async #saveAside(): Promise<void> {
    this.#saveTimer = undefined;
    const [turnover, count] = [this.#turnover, this.#lines.count];
    if (count === 0 || this.#isSaving) return;
    this.#isSaving = true;
    const isWanted = (): boolean => turnover === this.#turnover && !this.#isClosed;
    const nowMs = this.#wallMs();
    let pauseMs = SAVE_AGAIN_MS;
    try {
      const overlay = this.#encode(nowMs);
      await replaceDurably(join(this.#folder, "overlay.bin"), overlay, isWanted);
      this.#savedAtMs = this.#wallMs();
      if (isWanted()) this.#append(count, overlay, nowMs);
    } catch (error) {
      pauseMs = RETRY_MS;
      if (!this.#isClosed) this.#onError(error);
    }
    this.#isSaving = false;
    // What came meanwhile, or could not be written.
    if (this.#lines.count > 0 && !this.#isClosed) this.#saveSoon(pauseMs);
  }

  /** Sooner where something is to be sooner, but a disk that has failed is given its time. */
  #saveSoon(pauseMs: number): void {
    if (this.#saveTimer !== undefined) {
      if (pauseMs >= this.#savePauseMs || this.#savePauseMs === RETRY_MS) return;
      clearTimeout(this.#saveTimer);
    }
    this.#savePauseMs = pauseMs;
    this.#saveTimer = setTimeout(() => void this.#saveAside(), pauseMs);
    if (pauseMs > AGAIN_WITHIN_MS) this.#saveTimer.unref();
  }

  /** The snapshot that is served now: a start finds its slots soonest where they lie on disk in its order. */
  follow(world: World): void {
    this.#unordered = world;
  }

  #order(): void {
    if (this.#unordered === undefined) return;
    this.#slots = this.#slots.inOrderOf(this.#unordered);
    this.#unordered = undefined;
  }

  /** Says of the table that it is still right. */
  #refresh(): void {
    if (this.#lines.count > 0) return;
    this.#order();
    try {
      writeDurably(join(this.#folder, "overlay.bin"), this.#encode(this.#wallMs()));
    } catch (error) {
      this.#onError(error);
    }
  }

  #encode(nowMs: number): Uint8Array {
    return encodeOverlay({ savedAtMs: nowMs, sequence: this.#sequence, slots: this.#slots });
  }

  #write(): void {
    const nowMs = this.#wallMs();
    const overlay = this.#encode(nowMs);
    writeDurably(join(this.#folder, "overlay.bin"), overlay);
    this.#append(this.#lines.count, overlay, nowMs);
  }

  /** The first of what is buffered, which `overlay` has. */
  #append(count: number, overlay: Uint8Array, nowMs: number): void {
    const bytes = this.#lines.first(count);
    appendFileSync(this.#journalPath, bytes, { mode: 0o600 });
    this.#journalBytes += bytes.length;
    this.#lines.drop(count);
    this.#turnover += 1;
    if (nowMs - this.#checkpointAtMs < CHECKPOINT_MS && this.#journalBytes < JOURNAL_BYTES_MAX)
      return;
    this.#checkpointAtMs = nowMs;
    writeDurably(this.#historyPath(`overlay-${nowMs}.bin`), overlay);
    if (this.#journalBytes >= JOURNAL_BYTES_MAX) {
      this.#journalPath = this.#historyPath(`journal-${nowMs}.jsonl`);
      this.#journalBytes = 0;
    }
    this.#prune(nowMs);
  }

  /** Slot values by key at a past moment, with the entry that was the last before it; a text where the history does not reach. */
  at(
    moment: Moment,
  ):
    | { readonly slots: ReadonlyMap<bigint, number>; readonly last: JournalEntry | undefined }
    | string {
    this.save();
    const isBefore = (entry: JournalEntry): boolean =>
      "atMs" in moment
        ? entry.atMs <= moment.atMs
        : entry.revision < moment.revision ||
          (entry.revision === moment.revision &&
            (moment.sequence === undefined || entry.sequence <= moment.sequence));
    let last: JournalEntry | undefined;
    for (const entry of this.entries()) if (isBefore(entry)) last = entry;
    const base = this.#checkpointBefore(
      last?.sequence ?? Number.MAX_SAFE_INTEGER,
      "atMs" in moment ? moment.atMs : 0,
    );
    if (base === undefined && last === undefined)
      return "The journal holds nothing from before that moment";
    const slots = new Map(base?.slots.entries());
    for (const entry of this.entries()) {
      if (!isBefore(entry) || (base !== undefined && entry.sequence <= base.sequence)) continue;
      for (const [key, value] of entry.changes) slots.set(BigInt(`0x${key}`), value);
    }
    return { slots, last };
  }

  /** Everything that the journal still holds, oldest first, a file at a time. What a crash or a bad disk left unreadable is passed over. */
  *entries(): Generator<JournalEntry, void> {
    for (const { path } of this.#files("journal-")) yield* entriesOf(path);
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#refreshTimer);
    if (this.#unordered !== undefined && this.#hasBegun) this.#refresh();
    this.save();
    clearTimeout(this.#saveTimer);
  }

  /** The newest checkpoint that holds nothing later. Sequences decide: several change sets share a millisecond, and clocks step. */
  #checkpointBefore(sequence: number, atMs: number): StoredOverlay | undefined {
    for (const { path, atMs: savedAtMs } of this.#files("overlay-").toReversed()) {
      if (sequence === Number.MAX_SAFE_INTEGER && savedAtMs > atMs) continue;
      const overlay = readOverlay(path);
      if (typeof overlay !== "string" && overlay.sequence <= sequence) return overlay;
    }
    return undefined;
  }

  /** Sequence of the last entry on disk, 0 where there is none; of one that a crash cut off, too. */
  #lastJournaled(): number {
    // A week has ten thousand files of checkpoints.
    const newest = this.#names("journal-").at(-1);
    return newest === undefined ? 0 : lastSequenceIn(newest.path);
  }

  #prune(nowMs: number): void {
    let bytes = 0;
    for (const { path, atMs, size } of [
      ...this.#files("overlay-"),
      ...this.#files("journal-"),
    ].toSorted((a, b) => b.atMs - a.atMs)) {
      bytes += size;
      if (
        path !== this.#journalPath &&
        (nowMs - atMs > HISTORY_MS_MAX || bytes > HISTORY_BYTES_MAX)
      )
        rmSync(path, { force: true });
    }
  }

  #files(
    prefix: string,
  ): { readonly path: string; readonly atMs: number; readonly size: number }[] {
    return this.#names(prefix).map((file) => ({ ...file, size: statSync(file.path).size }));
  }

  /** Oldest first. */
  #names(prefix: string): { readonly path: string; readonly atMs: number }[] {
    return readdirSync(join(this.#folder, "history"))
      .filter((name) => name.startsWith(prefix))
      .map((name) => ({
        path: this.#historyPath(name),
        atMs: Number(name.slice(prefix.length).split(".")[0]),
      }))
      .toSorted((a, b) => a.atMs - b.atMs);
  }

  #historyPath(name: string): string {
    return join(this.#folder, "history", name);
  }
}

function readOverlay(path: string): StoredOverlay | string {
  try {
    return decodeOverlay(readFileSync(path));
  } catch (error) {
    return `Overlay ${path}: ${reasonOf(error)}`;
  }
}

/** The half of the most slots that changed last: room for as many, so that this happens seldom. */
function newestOf(slots: KeyedSlots): KeyedSlots {
  const times = Uint32Array.from({ length: slots.size }, (_, row) => slots.secondsAt(row)).sort();
  const oldest = times[slots.size - SLOTS_MAX / 2] ?? 0;
  return slots.map((row) => (slots.secondsAt(row) >= oldest ? slots.valueAt(row) : -1));
}

/** Each line of a journal begins with its sequence. Only the end of the file is read: it may hold hundreds of thousands of changes. */
function lastSequenceIn(path: string): number {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const { size } = fstatSync(file);
    for (let length = TAIL_BYTES; ; length *= 4) {
      const bytes = Buffer.alloc(Math.min(length, size));
      const count = readSync(file, bytes, 0, bytes.length, size - bytes.length);
      const text = bytes.toString("latin1", 0, count);
      // The greatest: what a crash has cut off says nothing for sure.
      const found = [...text.matchAll(/(?:^|\n)\{"sequence":(\d{1,15}),/g)];
      if (found.length > 0) return Math.max(...found.map(([, sequence]) => Number(sequence)));
      if (bytes.length === size) return 0;
    }
  } catch {
    // Pruned since it was listed, or not readable.
    return 0;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function* entriesOf(path: string): Generator<JournalEntry, void> {
  for (const line of linesOf(path)) {
    const entry = readEntry(line);
    if (entry !== undefined) yield entry;
  }
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch {
    // Pruned since it was listed, or not readable.
    return [];
  }
}

function readEntry(line: string): JournalEntry | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    return isJournalEntry(entry) ? entry : undefined;
  } catch {
    return undefined;
  }
}

function isJournalEntry(raw: unknown): raw is JournalEntry {
  return (
    typeof raw === "object" &&
    raw !== null &&
    "sequence" in raw &&
    typeof raw.sequence === "number" &&
    "revision" in raw &&
    typeof raw.revision === "number" &&
    "atMs" in raw &&
    typeof raw.atMs === "number" &&
    "cause" in raw &&
    isCause(raw.cause) &&
    "changes" in raw &&
    Array.isArray(raw.changes) &&
    raw.changes.every(isChange)
  );
}

function isCause(raw: unknown): raw is JournalEntry["cause"] {
  return (
    typeof raw === "object" &&
    raw !== null &&
    "kind" in raw &&
    typeof raw.kind === "string" &&
    "text" in raw &&
    typeof raw.text === "string"
  );
}

function isChange(raw: unknown): raw is JournalEntry["changes"][number] {
  if (!Array.isArray(raw) || raw.length !== 2) return false;
  const key: unknown = raw[0];
  const value: unknown = raw[1];
  return (
    typeof key === "string" &&
    /^[0-9a-f]{1,16}$/.test(key) &&
    typeof value === "number" &&
    Number.isInteger(value) &&
    value >= 0 &&
    value <= 0xffff_ffff
  );
}
