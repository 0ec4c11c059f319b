// SPDX-License-Identifier: Apache-2.0

// What the overlay was, and why: `overlay.bin` is the newest table, `history/journal-TIME.jsonl` every change set with its time and
// cause, `history/overlay-TIME.bin` a checkpoint a minute. A past overlay is the checkpoint before it plus the change sets since.

import { appendFileSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ChangeSet } from "./overlay-driver.ts";
import {
  decodeOverlay,
  encodeOverlay,
  type StoredOverlay,
  type StoredSlot,
} from "./overlay-file.ts";
import { writeDurably } from "./state-dir.ts";

/** The newest table is on disk at most this long after a change. */
const SAVE_MS = 500;
const CHECKPOINT_MS = 60_000;
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

/** A moment to go back to: wall time, or a revision and optionally a sequence. */
export type Moment =
  | { readonly atMs: number }
  | { readonly revision: number; readonly sequence?: number };

export class OverlayJournal {
  readonly #folder: string;
  readonly #slots = new Map<bigint, StoredSlot>();
  readonly #wallMs: () => number;
  #sequence = 0;
  #buffered: string[] = [];
  #saveTimer: NodeJS.Timeout | undefined;
  #journalPath: string;
  #journalBytes = 0;
  #checkpointAtMs = 0;

  constructor(folder: string, wallMs: () => number) {
    this.#folder = folder;
    this.#wallMs = wallMs;
    this.#journalPath = this.#historyPath(`journal-${wallMs()}.jsonl`);
  }

  /** The table from before, with its age; the reason where there is none that can be read. */
  load(): StoredOverlay | string {
    try {
      const overlay = decodeOverlay(readFileSync(join(this.#folder, "overlay.bin")));
      if (typeof overlay === "string") return overlay;
      for (const [key, slot] of overlay.slots) this.#slots.set(key, slot);
      this.#sequence = overlay.sequence;
      return overlay;
    } catch {
      return "there is no stored overlay";
    }
  }

  record(changeSet: ChangeSet): void {
    const changedAtSeconds = Math.floor(changeSet.atMs / 1000);
    for (const { key, value } of changeSet.changes)
      this.#slots.set(key, { value, changedAtSeconds });
    this.#sequence = changeSet.sequence;
    const entry: JournalEntry = {
      sequence: changeSet.sequence,
      revision: changeSet.revision,
      atMs: changeSet.atMs,
      cause: changeSet.cause,
      changes: changeSet.changes.map(({ key, value }) => [key.toString(16), value]),
    };
    this.#buffered.push(JSON.stringify(entry));
    this.#saveTimer ??= setTimeout(() => this.save(), SAVE_MS);
  }

  /** Writes what is buffered, and a checkpoint where one is due. */
  save(): void {
    clearTimeout(this.#saveTimer);
    this.#saveTimer = undefined;
    if (this.#buffered.length === 0) return;
    const nowMs = this.#wallMs();
    const overlay = encodeOverlay({
      savedAtMs: nowMs,
      sequence: this.#sequence,
      slots: this.#slots,
    });
    writeDurably(join(this.#folder, "overlay.bin"), overlay);
    const text = `${this.#buffered.join("\n")}\n`;
    this.#buffered = [];
    appendFileSync(this.#journalPath, text, { mode: 0o600 });
    this.#journalBytes += text.length;
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
    const entries = this.entries().filter(isBefore);
    const last = entries.at(-1);
    const base = this.#checkpointBefore(last?.atMs ?? ("atMs" in moment ? moment.atMs : 0));
    if (base === undefined && last === undefined)
      return "The journal holds nothing from before that moment";
    const slots = new Map([...(base?.slots ?? [])].map(([key, { value }]) => [key, value]));
    for (const entry of entries) {
      if (base !== undefined && entry.atMs < base.savedAtMs && entry.sequence <= base.sequence)
        continue;
      for (const [key, value] of entry.changes) slots.set(BigInt(`0x${key}`), value);
    }
    return { slots, last };
  }

  /** Everything that the journal still holds, oldest first. Lines torn by a crash are passed over. */
  entries(): JournalEntry[] {
    return this.#files("journal-").flatMap(({ path }) =>
      readFileSync(path, "utf8")
        .split("\n")
        .flatMap((line): JournalEntry[] => {
          try {
            const entry: unknown = JSON.parse(line);
            return isJournalEntry(entry) ? [entry] : [];
          } catch {
            return [];
          }
        }),
    );
  }

  close(): void {
    this.save();
  }

  #checkpointBefore(atMs: number): StoredOverlay | undefined {
    for (const { path, atMs: savedAtMs } of this.#files("overlay-").toReversed()) {
      if (savedAtMs > atMs) continue;
      const overlay = decodeOverlay(readFileSync(path));
      if (typeof overlay !== "string") return overlay;
    }
    return undefined;
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
    return readdirSync(join(this.#folder, "history"))
      .filter((name) => name.startsWith(prefix))
      .map((name) => ({
        path: this.#historyPath(name),
        atMs: Number(name.slice(prefix.length).split(".")[0]),
        size: statSync(this.#historyPath(name)).size,
      }))
      .toSorted((a, b) => a.atMs - b.atMs);
  }

  #historyPath(name: string): string {
    return join(this.#folder, "history", name);
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
    "changes" in raw &&
    Array.isArray(raw.changes)
  );
}
