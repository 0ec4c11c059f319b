// SPDX-License-Identifier: Apache-2.0

// What the slots of an edge were: `history/slots-TIME.bin` holds, one after the other in the order in which workers saw them,
//
//   f64 time, ms   f64 revision   u32 sequence   u32 kind   u32 count   entries
//   kind 0   the whole table: count × u32 value
//   kind 1   what changed since: count × { u32 slot, u32 value }
//
// A file begins with a table, and so does whatever another revision, or another control, begins. Revision and sequence name a state, but
// not always one: each control counts by itself, and what an edge finds while it is cut off changes slots under the same sequence. So
// all states of a name are given, the newest first, and who asks takes the one of its time.

import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { reasonOf } from "@meridian/core";
import type { Moment } from "@meridian/snapshot/surface";
import type { EdgeLogger } from "../edge-logger.ts";
import { DiskTroubles } from "./disk-troubles.ts";

/** As it is shown. */
const HISTORY = "the history of the overlay";
/** What happened is on disk at most this long after. */
const SAVE_MS = 500;
/** What the disk did not take is tried again so long after. */
const RETRY_MS = 5000;
/** A file of this size is followed by another one. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes that wait for a disk that cannot be written; of more the oldest are lost, whole tables with what hangs on them. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Room that stays when what waited is written: a few tables of a million names. */
const WAITING_BYTES_KEPT = 8 * 1024 * 1024;
const HISTORY_MS_MAX = 7 * 24 * 3_600_000;
const HISTORY_BYTES_MAX = 1024 ** 3;
/** States of one name that are given. */
const STATES_MAX = 16;
const HEADER_BYTES = 28;
const TABLE = 0;
const CHANGES = 1;

/** One slot and what it became. */
export interface SlotChange {
  readonly slot: number;
  readonly value: number;
}

/** The slots as they once were. */
export interface PastSlots {
  readonly atMs: number;
  readonly revision: number;
  readonly sequence: number;
  readonly slots: Uint32Array;
}

interface Header {
  readonly atMs: number;
  readonly revision: number;
  readonly sequence: number;
  readonly kind: number;
  readonly count: number;
}

export class SlotJournal {
  readonly #folder: string;
  readonly #wallMs: () => number;
  readonly #logger: EdgeLogger;
  readonly #troubles: DiskTroubles;
  /** Its first `#waitingBytes` wait for the disk. The same memory again and again: a table of a million names is 0.7 MB a revision. */
  #waiting = new Uint8Array(0);
  #waitingBytes = 0;
  #path: string | undefined;
  #fileBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    folder: string,
    logger: EdgeLogger,
    troubles: DiskTroubles = new DiskTroubles(),
    wallMs: () => number = Date.now,
  ) {
    this.#folder = join(folder, "history");
    this.#troubles = troubles;
    this.#logger = logger;
    this.#wallMs = wallMs;
  }

  /** Workers see these slots from now on, whatever was before. */
  begin(revision: number, sequence: number, slots: Uint32Array): void {
    if (this.#fileBytes + this.#waitingBytes > FILE_BYTES_MAX) {
      this.save();
      this.#path = undefined;
    }
    const at = this.#add(revision, sequence, TABLE, slots.length, slots.length * 4);
    new Uint32Array(this.#waiting.buffer, at, slots.length).set(slots);
  }

  /** Workers see these changes from now on. `table` gives all slots, where another file begins. */
  change(
    revision: number,
    sequence: number,
    changes: readonly SlotChange[],
    table: () => Uint32Array,
  ): void {
    if (this.#fileBytes + this.#waitingBytes > FILE_BYTES_MAX) {
      this.begin(revision, sequence, table());
      return;
    }
    const at = this.#add(revision, sequence, CHANGES, changes.length, changes.length * 8);
    const view = new DataView(this.#waiting.buffer);
    changes.forEach(({ slot, value }, index) => {
      view.setUint32(at + index * 8, slot, true);
      view.setUint32(at + index * 8 + 4, value, true);
    });
  }

  /**
   * Of a time the state that held then; of a revision the newest state up to that sequence; of both, with `isExact`, every state of that
   * very name. Newest first; empty where the journal does not reach.
   */
  at(moment: Moment, isExact: boolean = false): PastSlots[] {
    this.save();
    const wanted = (header: Header): boolean => {
      if ("atMs" in moment) return header.atMs <= moment.atMs;
      if (header.revision !== moment.revision) return false;
      const { sequence } = moment;
      if (sequence === undefined) return true;
      return isExact ? header.sequence === sequence : header.sequence <= sequence;
    };
    const found: PastSlots[] = [];
    for (const { path } of this.#files().toReversed()) {
      found.push(...statesIn(path, wanted, isExact ? STATES_MAX - found.length : 1));
      if (found.length > 0 && (!isExact || found.length >= STATES_MAX)) break;
    }
    return found;
  }

  close(): void {
    this.save();
    clearTimeout(this.#timer);
  }

  /** Writes what waits. What cannot be written is told of once and tried again. */
  save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waitingBytes === 0) return;
    try {
      const isNew = this.#path === undefined;
      this.#path ??= this.#newPath();
      const bytes = this.#waiting.subarray(0, this.#waitingBytes);
      appendFileSync(this.#path, bytes, { mode: 0o600 });
      this.#fileBytes = isNew ? bytes.length : this.#fileBytes + bytes.length;
      this.#waitingBytes = 0;
      if (this.#waiting.length > WAITING_BYTES_KEPT) this.#waiting = new Uint8Array(0);
      this.#troubles.took(HISTORY);
      if (isNew) this.#prune();
    } catch (error) {
      const reason = reasonOf(error);
      if (this.#troubles.failed(HISTORY, reason))
        this.#logger.error("Cannot keep the history of the overlay", { reason });
      this.#timer ??= setTimeout(() => this.save(), RETRY_MS).unref();
      // Half a record may be there: what comes next is readable only in a file of its own, which a table begins.
      this.#path = undefined;
      this.#fileBytes = FILE_BYTES_MAX;
    }
  }

  /** Adds the header of a record to what waits, and room for its entries: where they begin, a multiple of four. */
  #add(revision: number, sequence: number, kind: number, count: number, bytes: number): number {
    if (this.#waitingBytes + HEADER_BYTES + bytes > WAITING_BYTES_MAX) this.#waitingBytes = 0;
    const at = this.#waitingBytes;
    const end = at + HEADER_BYTES + bytes;
    this.#makeRoom(end);
    this.#waitingBytes = end;
    const view = new DataView(this.#waiting.buffer, at);
    view.setFloat64(0, this.#wallMs(), true);
    view.setFloat64(8, revision, true);
    view.setUint32(16, sequence, true);
    view.setUint32(20, kind, true);
    view.setUint32(24, count, true);
    this.#timer ??= setTimeout(() => this.save(), SAVE_MS).unref();
    return at + HEADER_BYTES;
  }

  #makeRoom(bytes: number): void {
    const waiting = this.#waiting;
    if (bytes <= waiting.length) return;
    const wider = new Uint8Array(Math.max(bytes, Math.min(waiting.length * 2, WAITING_BYTES_MAX)));
    wider.set(waiting.subarray(0, this.#waitingBytes));
    this.#waiting = wider;
  }

  /** Times tell files apart and order them, also where two begin in one millisecond or the clock was set back. */
  #newPath(): string {
    const newest = this.#files().at(-1)?.atMs ?? 0;
    const path = join(this.#folder, `slots-${Math.max(this.#wallMs(), newest + 1)}.bin`);
    closeSync(openSync(path, "ax", 0o600));
    return path;
  }

  #prune(): void {
    const nowMs = this.#wallMs();
    let bytes = 0;
    for (const { path, atMs } of this.#files().toReversed()) {
      bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      const isKept = path === this.#path;
      if (!isKept && (nowMs - atMs > HISTORY_MS_MAX || bytes > HISTORY_BYTES_MAX))
        rmSync(path, { force: true });
    }
  }

  #files(): { readonly path: string; readonly atMs: number }[] {
    return readdirSync(this.#folder)
      .flatMap((name) => {
        const atMs = Number(/^slots-([0-9]{1,16})\.bin$/.exec(name)?.[1]);
        return Number.isSafeInteger(atMs) ? [{ path: join(this.#folder, name), atMs }] : [];
      })
      .toSorted((a, b) => a.atMs - b.atMs);
  }
}

/** The last `most` states of a file that are wanted, newest first. What a crash cut off is passed over. */
function statesIn(path: string, wanted: (header: Header) => boolean, most: number): PastSlots[] {
  const bytes = readOrNothing(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found: PastSlots[] = [];
  let slots: Uint32Array | undefined;
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const header = headerAt(view, at);
    const entryBytes = header.kind === TABLE ? 4 : 8;
    const end = at + HEADER_BYTES + header.count * entryBytes;
    if (header.kind > CHANGES || end > bytes.length) break;
    if (header.kind === TABLE) slots = new Uint32Array(header.count);
    // What a full disk had refused may come before the table of its file.
    for (let index = 0; index < header.count && slots !== undefined; index++) {
      const entry = at + HEADER_BYTES + index * entryBytes;
      const isTable = header.kind === TABLE;
      const slot = isTable ? index : view.getUint32(entry, true);
      if (slot < slots.length) slots[slot] = view.getUint32(isTable ? entry : entry + 4, true);
    }
    if (slots !== undefined && wanted(header)) {
      const { atMs, revision, sequence } = header;
      found.push({ atMs, revision, sequence, slots: slots.slice() });
      if (found.length > most) found.shift();
    }
    at = end;
  }
  return found.toReversed();
}

function headerAt(view: DataView, at: number): Header {
  return {
    atMs: view.getFloat64(at, true),
    revision: view.getFloat64(at + 8, true),
    sequence: view.getUint32(at + 16, true),
    kind: view.getUint32(at + 20, true),
    count: view.getUint32(at + 24, true),
  };
}

function readOrNothing(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch {
    // Pruned since it was listed, or not readable.
    return new Uint8Array(0);
  }
}
