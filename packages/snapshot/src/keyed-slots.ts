// SPDX-License-Identifier: Apache-2.0

// Values of overlay slots by their 64-bit keys, beside the time of their last change, as they are kept on disk. Columns and open
// addressing: 100,000 slots take 3 MB and are taken from disk in 4 ms, where a Map of bigints takes 12 MB and, with its garbage, 130 ms
// of every start. Who asks in the order of the rows is answered without the index, which is built when it is needed first: a start
// that finds the slots of its snapshot in their order takes a millisecond.

import { keyHigh, keyLow, mix32 } from "@meridian/core";

/** Slot values from before, by the halves of their keys. */
export interface StoredSlots {
  /** Value of a slot, −1 where there is none of that key. */
  find(low: number, high: number): number;
  /** Number of slots. */
  readonly size: number;
}

/** The keys of a snapshot's slots. */
export interface SlotKeys {
  readonly slotCount: number;
  slotKeyLow(slot: number): number;
  slotKeyHigh(slot: number): number;
}

const CAPACITY_MIN = 16;

export class KeyedSlots implements StoredSlots {
  /** Rows in the order in which they came. */
  #lows: Uint32Array;
  #highs: Uint32Array;
  #values: Uint32Array;
  #seconds: Uint32Array;
  /** Row by hash, −1 where there is none; at most half full. Undefined until it is asked. */
  #rowOf: Int32Array | undefined;
  #size = 0;
  /** The row after the one found last. */
  #next = 0;

  /** With room for `capacity` slots; it grows. */
  constructor(capacity: number = CAPACITY_MIN) {
    const room = Math.max(CAPACITY_MIN, capacity);
    this.#lows = new Uint32Array(room);
    this.#highs = new Uint32Array(room);
    this.#values = new Uint32Array(room);
    this.#seconds = new Uint32Array(room);
  }

  /** From rows of four words: key, lower half first, value, seconds. */
  static ofRows(rows: Uint32Array): KeyedSlots {
    const size = rows.length >>> 2;
    const table = new KeyedSlots(size);
    const [lows, highs, values, seconds] = [
      table.#lows,
      table.#highs,
      table.#values,
      table.#seconds,
    ];
    for (let row = 0; row < size; row++) {
      lows[row] = rows[row * 4]!;
      highs[row] = rows[row * 4 + 1]!;
      values[row] = rows[row * 4 + 2]!;
      seconds[row] = rows[row * 4 + 3]!;
    }
    table.#size = size;
    return table;
  }

  /** For what comes by key and value; all of them changed at `seconds`. */
  static of(slots: Iterable<readonly [bigint, number]>, seconds: number = 0): KeyedSlots {
    const table = new KeyedSlots();
    for (const [key, value] of slots) table.set(keyLow(key), keyHigh(key), value, seconds);
    return table;
  }

  get size(): number {
    return this.#size;
  }

  find(low: number, high: number): number {
    const row = this.rowOf(low, high);
    return row < 0 ? -1 : this.#values[row]!;
  }

  /** Row of a key, −1 where there is none; rows count from 0 to `size`. */
  rowOf(low: number, high: number): number {
    const next = this.#next;
    if (next < this.#size && this.#lows[next] === low && this.#highs[next] === high) {
      this.#next = next + 1;
      return next;
    }
    const row = this.#index()[this.#place(low, high)]!;
    if (row >= 0) this.#next = row + 1;
    return row;
  }

  /** Sets a slot; `seconds` is the wall time of the change. */
  set(low: number, high: number, value: number, seconds: number): void {
    let row = this.rowOf(low, high);
    if (row < 0) {
      if (this.#size === this.#lows.length) this.#grow();
      row = this.#size;
      this.#index()[this.#place(low, high)] = row;
      this.#size++;
      this.#lows[row] = low;
      this.#highs[row] = high;
    }
    this.#values[row] = value;
    this.#seconds[row] = seconds;
  }

  lowAt(row: number): number {
    return this.#lows[row]!;
  }

  highAt(row: number): number {
    return this.#highs[row]!;
  }

  valueAt(row: number): number {
    return this.#values[row]!;
  }

  /** Wall seconds of the last change. */
  secondsAt(row: number): number {
    return this.#seconds[row]!;
  }

  /** Keys with their values. */
  *entries(): Generator<[bigint, number]> {
    for (let row = 0; row < this.#size; row++) {
      const key = (BigInt(this.#highs[row]!) << 32n) | BigInt(this.#lows[row]!);
      yield [key, this.#values[row]!];
    }
  }

  /** Another table of the same slots, in the order in which a world has them, and so finds them. */
  inOrderOf(world: SlotKeys): KeyedSlots {
    const rows = new Uint32Array(this.#size * 4);
    const isMoved = new Uint8Array(this.#size);
    let at = 0;
    const move = (row: number): void => {
      isMoved[row] = 1;
      rows[at++] = this.#lows[row]!;
      rows[at++] = this.#highs[row]!;
      rows[at++] = this.#values[row]!;
      rows[at++] = this.#seconds[row]!;
    };
    for (let slot = 0; slot < world.slotCount && at < rows.length; slot++) {
      const row = this.rowOf(world.slotKeyLow(slot), world.slotKeyHigh(slot));
      if (row >= 0 && isMoved[row] === 0) move(row);
    }
    for (let row = 0; row < this.#size; row++) if (isMoved[row] === 0) move(row);
    return KeyedSlots.ofRows(rows);
  }

  /** Another table of the slots for which `value` gives one; those below 0 are left out. */
  map(value: (row: number) => number): KeyedSlots {
    const table = new KeyedSlots(this.#size);
    for (let row = 0; row < this.#size; row++) {
      const mapped = value(row);
      if (mapped >= 0) table.set(this.#lows[row]!, this.#highs[row]!, mapped, this.#seconds[row]!);
    }
    return table;
  }

  /** Where the key's row is, or would be, in the index. */
  #place(low: number, high: number): number {
    const rowOf = this.#index();
    const mask = rowOf.length - 1;
    for (let at = hashOf(low, high) & mask; ; at = (at + 1) & mask) {
      const row = rowOf[at]!;
      if (row < 0 || (this.#lows[row] === low && this.#highs[row] === high)) return at;
    }
  }

  #grow(): void {
    const room = this.#lows.length * 2;
    this.#lows = grown(this.#lows, room);
    this.#highs = grown(this.#highs, room);
    this.#values = grown(this.#values, room);
    this.#seconds = grown(this.#seconds, room);
    this.#rowOf = undefined;
  }

  #index(): Int32Array {
    if (this.#rowOf !== undefined) return this.#rowOf;
    const rowOf = emptyIndex(this.#lows.length);
    this.#rowOf = rowOf;
    for (let row = 0; row < this.#size; row++)
      rowOf[this.#place(this.#lows[row]!, this.#highs[row]!)] = row;
    return rowOf;
  }
}

function emptyIndex(rows: number): Int32Array {
  return new Int32Array(1 << (33 - Math.clz32(rows))).fill(-1);
}

function grown(column: Uint32Array, room: number): Uint32Array {
  const wider = new Uint32Array(room);
  wider.set(column);
  return wider;
}

function hashOf(low: number, high: number): number {
  return mix32(low ^ Math.imul(high, 0x9e3779b1));
}
