// SPDX-License-Identifier: Apache-2.0

// The slots of an edge as bytes, made again half a second after each change. Slots come in the order of the snapshot, which is mostly that
// of the time before: so each is looked for where the last one was found, and what is left over at the end by its key. Without an index of
// all keys 200,000 slots take 4 ms instead of 35.

import { crc32 } from "node:zlib";
import { KeyedSlots } from "../keyed-slots.ts";
import type { World } from "../world.ts";
import { ENTRY_BYTES, HEADER_BYTES, writeHeader } from "./overlay-file.ts";

/** Of an entry: key low, key high, value, seconds. */
const ENTRY_WORDS = ENTRY_BYTES / 4;
/** How much is dated in a step: some tenths of a millisecond. */
const STEP_WORDS = 32_768 * ENTRY_WORDS;
/** How far a slot is looked for behind the one that was found last. */
const AHEAD_MAX = 64;

/** To when an overlay belongs. */
export interface OverlayMoment {
  readonly savedAtMs: number;
  readonly sequence: number;
}

/** Encodes the same overlay again and again: a slot whose value is what it was keeps the time of its change. */
export class OverlayEncoder {
  /** As they were encoded last. */
  #before: Uint32Array;

  constructor(slots: KeyedSlots = new KeyedSlots()) {
    this.#before = new Uint32Array(slots.size * ENTRY_WORDS);
    for (let row = 0; row < slots.size; row++) {
      const at = row * ENTRY_WORDS;
      this.#before[at] = slots.lowAt(row);
      this.#before[at + 1] = slots.highAt(row);
      this.#before[at + 2] = slots.valueAt(row);
      this.#before[at + 3] = slots.secondsAt(row);
    }
  }

  /** The bytes of `overlay.bin`; `slots` are those of `world`. */
  encode(moment: OverlayMoment, world: World, slots: Uint32Array): Uint8Array {
    const encoding = this.encoding(moment, world, slots);
    let step = encoding.next();
    while (step.done !== true) step = encoding.next();
    return step.value;
  }

  /** The same in steps of some milliseconds. The first one takes the values; one at a time comes to its end. */
  *encoding(
    { savedAtMs, sequence }: OverlayMoment,
    world: World,
    slots: Uint32Array,
  ): Generator<void, Uint8Array> {
    const { poolEpochSlots, branchSlots } = world;
    const count = slots.length - (branchSlots - poolEpochSlots);
    const bytes = new Uint8Array(HEADER_BYTES + count * ENTRY_BYTES + 4);
    const entries = new Uint32Array(bytes.buffer, HEADER_BYTES, count * ENTRY_WORDS);
    let at = 2;
    for (let slot = 0; slot < poolEpochSlots; slot++, at += ENTRY_WORDS) entries[at] = slots[slot]!;
    for (let slot = branchSlots; slot < slots.length; slot++, at += ENTRY_WORDS)
      entries[at] = slots[slot]!;
    yield;
    world.copySlotKeys(entries, ENTRY_WORDS);
    yield* this.#date(entries, Math.floor(savedAtMs / 1000));
    this.#before = entries;
    writeHeader(bytes, { savedAtMs, sequence, count });
    const end = HEADER_BYTES + count * ENTRY_BYTES;
    new DataView(bytes.buffer).setUint32(end, crc32(bytes.subarray(0, end)), true);
    return bytes;
  }

  /** Fills in when the slots changed. */
  *#date(entries: Uint32Array, nowSeconds: number): Generator<void, void> {
    const before = this.#before;
    const missed: number[] = [];
    const passed: number[] = [];
    let old = 0;
    for (let at = 0; at < entries.length; at += ENTRY_WORDS) {
      if (at % STEP_WORDS === 0) yield;
      // Mostly it is where it was, with what it had.
      if (
        before[old] === entries[at] &&
        before[old + 1] === entries[at + 1] &&
        before[old + 2] === entries[at + 2]
      ) {
        entries[at + 3] = before[old + 3]!;
        old += ENTRY_WORDS;
        continue;
      }
      const found = findAhead(before, old, entries, at);
      entries[at + 3] = found < 0 ? nowSeconds : secondsOf(before, found, entries, at, nowSeconds);
      if (found < 0) missed.push(at);
      else {
        for (; old < found; old += ENTRY_WORDS) passed.push(old);
        old = found + ENTRY_WORDS;
      }
    }
    for (; old < before.length; old += ENTRY_WORDS) passed.push(old);
    if (missed.length === 0 || passed.length === 0) return;
    const index = new KeyedSlots(passed.length);
    for (const from of passed) index.set(before[from] ?? 0, before[from + 1] ?? 0, from, 0);
    for (const at of missed) {
      const from = index.find(entries[at] ?? 0, entries[at + 1] ?? 0);
      if (from >= 0) entries[at + 3] = secondsOf(before, from, entries, at, nowSeconds);
    }
  }
}

/** The entry of a slot at or soon after `old`; −1 where there is none. */
function findAhead(before: Uint32Array, old: number, entries: Uint32Array, at: number): number {
  const low = entries[at];
  const high = entries[at + 1];
  const end = Math.min(before.length, old + AHEAD_MAX * ENTRY_WORDS);
  for (let from = old; from < end; from += ENTRY_WORDS)
    if (before[from] === low && before[from + 1] === high) return from;
  return -1;
}

function secondsOf(
  before: Uint32Array,
  from: number,
  entries: Uint32Array,
  at: number,
  nowSeconds: number,
): number {
  return before[from + 2] === entries[at + 2] ? (before[from + 3] ?? nowSeconds) : nowSeconds;
}
