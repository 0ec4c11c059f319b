// SPDX-License-Identifier: Apache-2.0

// One hashed timer wheel for every timer of the runner. Each timer is an integer id; each slot is a doubly linked list threaded
// through two integer arrays, so that setting, moving and cancelling a timer is a few array writes and allocates nothing:
//
//   slot 0    slot 1    slot 2   …   slot 1023
//     │         │
//     7 ⇄ 12    3            ids; a timer of a later turn stays in its slot until its time has come
//
// A heap would cost log n for each probe and closures per timer; node's own timers cost an object each.

const slotCount = 1024;
const none = -1;

/** Timers by id, fired in slots of `tickMs`. A timer fires at the first `advance` at or after its time, at most one tick late. */
export class TimerWheel {
  readonly #tickMs: number;
  readonly #heads: Int32Array = new Int32Array(slotCount).fill(none);
  #next: Int32Array = new Int32Array(0);
  #previous: Int32Array = new Int32Array(0);
  #slots: Int32Array = new Int32Array(0);
  #ticks: Float64Array = new Float64Array(0);
  #currentTick: number;
  #count = 0;

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#currentTick = Math.floor(nowMs / tickMs);
  }

  /** Timers set. */
  get count(): number {
    return this.#count;
  }

  /** Sets timer `id` (≥ 0) to `dueMs`, wherever it was before. */
  set(id: number, dueMs: number): void {
    if (id >= this.#slots.length) this.#grow(id);
    this.cancel(id);
    const tick = Math.max(this.#currentTick + 1, Math.ceil(dueMs / this.#tickMs));
    const slot = tick % slotCount;
    const head = this.#heads[slot] ?? none;
    this.#ticks[id] = tick;
    this.#slots[id] = slot;
    this.#next[id] = head;
    this.#previous[id] = none;
    if (head !== none) this.#previous[head] = id;
    this.#heads[slot] = id;
    this.#count++;
  }

  /** Forgets timer `id`; nothing where it is not set. */
  cancel(id: number): void {
    const slot = this.#slots[id] ?? none;
    if (slot === none) return;
    const next = this.#next[id] ?? none;
    const previous = this.#previous[id] ?? none;
    if (previous === none) this.#heads[slot] = next;
    else this.#next[previous] = next;
    if (next !== none) this.#previous[next] = previous;
    this.#slots[id] = none;
    this.#count--;
  }

  /** Calls `fire` for every timer that is due by `nowMs`, slot by slot. A timer set meanwhile fires in a later tick. */
  advance(nowMs: number, fire: (id: number) => void): void {
    const lastTick = Math.floor(nowMs / this.#tickMs);
    // After a long sleep one turn visits every slot: what is overdue fires whichever slot it is in.
    const firstTick = Math.max(this.#currentTick + 1, lastTick - slotCount + 1);
    const due: number[] = [];
    for (let tick = firstTick; tick <= lastTick; tick++) {
      let id = this.#heads[tick % slotCount] ?? none;
      while (id !== none) {
        if ((this.#ticks[id] ?? 0) <= lastTick) due.push(id);
        id = this.#next[id] ?? none;
      }
    }
    this.#currentTick = Math.max(this.#currentTick, lastTick);
    for (const id of due) {
      // An earlier one of this batch may have cancelled or moved it.
      if ((this.#slots[id] ?? none) === none || (this.#ticks[id] ?? 0) > lastTick) continue;
      this.cancel(id);
      fire(id);
    }
  }

  /** The time of the next slot that holds a timer of this or a later turn, or undefined where no timer is set. */
  nextSlotMs(): number | undefined {
    if (this.#count === 0) return undefined;
    for (let ahead = 1; ahead <= slotCount; ahead++) {
      const tick = this.#currentTick + ahead;
      if (this.#heads[tick % slotCount] !== none) return tick * this.#tickMs;
    }
    return (this.#currentTick + slotCount) * this.#tickMs;
  }

  #grow(id: number): void {
    const size = Math.max(64, 2 ** Math.ceil(Math.log2(id + 1)));
    this.#next = copyInto(new Int32Array(size), this.#next);
    this.#previous = copyInto(new Int32Array(size), this.#previous);
    this.#slots = copyInto(new Int32Array(size).fill(none), this.#slots);
    const ticks = new Float64Array(size);
    ticks.set(this.#ticks);
    this.#ticks = ticks;
  }
}

function copyInto(target: Int32Array, source: Int32Array): Int32Array {
  target.set(source);
  return target;
}
