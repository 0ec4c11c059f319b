// SPDX-License-Identifier: Apache-2.0

// The overlay is the only memory that changes under a data plane: an array of 32-bit slots in two banks, and one word that says
// which bank holds the newest change set.
//
//   word 0          published: sequence × 2 + bank
//   words 1..64     one acknowledgement a worker: the published word it reads, or IDLE
//   word 65         until when the process may answer what fenced panels govern, see `leaseWord`; 0 where nothing is governed
//   words 66, 67    one bit a worker: it has read this overlay
//   words 68, 69    one bit a worker: its acknowledgement was taken from it, and it may still read a bank of before
//   words 70..127   unused
//   word 128 …      bank 0, then bank 1: `slotCount` words each
//
// The writer copies the current bank to the spare one, applies a whole change set there and publishes with one atomic store.
// It rewrites a bank only when no worker can still read it: each worker is idle or has acknowledged the newest word. So a query
// sees a change set whole, and in order. The spare bank lacks only the change set before, so that is all that is copied: a flip among
// 170,000 slots costs neither the copy nor the workers' caches.

import { assert } from "@meridian/core";
import { isLeaseHeld } from "./lease-word.ts";

/** Most worker threads that can share an overlay. */
export const OVERLAY_WORKERS_MAX = 64;
/** Word at which bank 0 begins. */
export const FIRST_BANK = 128;
/** The acknowledgement of a worker that reads nothing. */
export const IDLE = 0xffff_ffff;
const LEASE = 65;
const ADOPTED = 66;
const OVERRUN = 68;

// Endpoint slot: verdict 2 bits, admin 2, fenced 1, capacity factor 10, dial 10, log2 of seconds to the earliest change 5.
export const Verdict = { unknown: 0, healthy: 1, unhealthy: 2 } as const;
export const Admin = { active: 0, drained: 1, disabled: 2, fencedOff: 3 } as const;
/** What operators want of the endpoint of a slot, one of `Admin`; whether it is fenced is another bit. */
export function adminOf(slot: number): number {
  return (slot >>> 2) & 3;
}
export const CAPACITY_SHIFT = 5;
export const DIAL_SHIFT = 15;
export const CHANGE_SHIFT = 25;
/** Set while traffic is about to be moved away from an endpoint: answers of its pool are kept for as short as they may be. Bit 30 is `LAST_KNOWN_BIT`. */
export const HASTENED = 0x8000_0000;
/** Capacity factor and dial are in thousandths. */
export const PER_MILLE = 1000;

/** Overlay bit of an endpoint that a panel with fenced hand-over governs: without a lease it is not answered, nor by who does not know the bit. */
export const FENCED_BIT: number = 1 << 4;

/** Packs an endpoint slot. `capacity` and `dial` in thousandths (0..1000), `changeLog2` 0..31. */
export function endpointSlot(
  verdict: number,
  admin: number,
  capacity: number,
  dial: number,
  changeLog2: number,
): number {
  return (
    (verdict |
      (admin << 2) |
      (capacity << CAPACITY_SHIFT) |
      (dial << DIAL_SHIFT) |
      (changeLog2 << CHANGE_SHIFT)) >>>
    0
  );
}

/** The bits of an endpoint's slot that people and their plans move: administrative state and dial. */
export const MOVE_MASK: number = (3 << 2) | (0x3ff << DIAL_SHIFT);
/** Those bits where nobody has moved anything. */
export const UNMOVED: number = (Admin.active << 2) | (PER_MILLE << DIAL_SHIFT);

/** The slot of an endpoint nobody has judged yet. */
export const INITIAL_ENDPOINT_SLOT: number = endpointSlot(
  Verdict.unknown,
  Admin.active,
  PER_MILLE,
  PER_MILLE,
  0,
);

// Branch slot: weight 0..1,000,000 in 20 bits, dial 0..1000 in 10, and whether the weight is another than the document's.
export const BRANCH_WEIGHT_MASK = 0xf_ffff;
export const BRANCH_DIAL_MASK = 0x3ff;
/** Set where a rollout or a plan has given the branch another weight: such a slot outlives the snapshot that it was set with. */
export const BRANCH_OVERRIDDEN: number = 1 << 30;

/** The slot of a branch as its document says it. */
export function branchSlot(weight: number, dial: number): number {
  return (weight | (dial << 20)) >>> 0;
}

/** Bytes of the shared buffer for `slotCount` slots. */
export function overlayBytes(slotCount: number): number {
  return (FIRST_BANK + slotCount * 2) * 4;
}

/** One slot's new value. */
export interface SlotChange {
  readonly slot: number;
  readonly value: number;
}

/** The one writer of an overlay. */
export class OverlayWriter {
  readonly buffer: SharedArrayBuffer;
  readonly slotCount: number;
  readonly #words: Uint32Array;
  #sequence = 0;
  #bank = 0;
  /** Slots in which the spare bank lags behind; undefined where another writer left it in whatever state. */
  #lagging: Uint32Array | undefined = new Uint32Array(0);

  /**
   * A new overlay whose both banks start as `initial`; or, with a buffer, the overlay of a writer that is gone: what it had not published
   * is lost, what it had is whole.
   */
  constructor(initial: Uint32Array | SharedArrayBuffer, sequence = 0) {
    if (initial instanceof SharedArrayBuffer) {
      this.buffer = initial;
      this.slotCount = (initial.byteLength / 4 - FIRST_BANK) / 2;
      this.#words = new Uint32Array(initial);
      const word = Atomics.load(this.#words, 0);
      this.#sequence = word >>> 1;
      this.#bank = word & 1;
      this.#lagging = undefined;
      return;
    }
    this.slotCount = initial.length;
    this.buffer = new SharedArrayBuffer(overlayBytes(initial.length));
    this.#words = new Uint32Array(this.buffer);
    this.#words.set(initial, FIRST_BANK);
    this.#words.set(initial, FIRST_BANK + initial.length);
    this.#words.fill(IDLE, 1, 1 + OVERLAY_WORKERS_MAX);
    this.#sequence = sequence;
    Atomics.store(this.#words, 0, publishedWord(sequence, 0));
  }

  /** Sequence of the newest published change set. */
  get sequence(): number {
    return this.#sequence;
  }

  read(slot: number): number {
    assert(slot < this.slotCount, "the slot exists");
    return this.#words[FIRST_BANK + this.#bank * this.slotCount + slot] ?? 0;
  }

  /** The newest bank, valid until the next `publish()`: for explain and for the writer's own decisions. */
  current(): Uint32Array {
    return new Uint32Array(
      this.buffer,
      (FIRST_BANK + this.#bank * this.slotCount) * 4,
      this.slotCount,
    );
  }

  /** True where every worker is idle or reads the newest bank, so that the spare one may be rewritten. */
  isSpareFree(): boolean {
    const published = Atomics.load(this.#words, 0);
    for (let worker = 1; worker <= OVERLAY_WORKERS_MAX; worker++) {
      const seen = Atomics.load(this.#words, worker);
      if (seen !== IDLE && seen !== published) return false;
    }
    return true;
  }

  /**
   * Publishes one change set, all of it or nothing. Returns false, having changed nothing, while a worker still reads the spare bank. A
   * copy of another overlay takes the sequence over.
   */
  publish(changes: Iterable<SlotChange>, sequence: number = this.#sequence + 1): boolean {
    const all = [...changes];
    return this.publishColumns(
      Uint32Array.from(all, ({ slot }) => slot),
      Uint32Array.from(all, ({ value }) => value),
      sequence,
    );
  }

  /** The same in columns; `slots` are the writer's from now on. */
  publishColumns(
    slots: Uint32Array,
    values: Uint32Array,
    sequence: number = this.#sequence + 1,
  ): boolean {
    if (!this.isSpareFree()) return false;
    const words = this.#words;
    const spare = 1 - this.#bank;
    const from = FIRST_BANK + this.#bank * this.slotCount;
    const to = FIRST_BANK + spare * this.slotCount;
    if (this.#lagging === undefined) words.copyWithin(to, from, from + this.slotCount);
    else for (const slot of this.#lagging) words[to + slot] = words[from + slot]!;
    this.#lagging = slots;
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at]!;
      assert(slot < this.slotCount, "the slot exists");
      words[to + slot] = values[at]!;
    }
    this.#bank = spare;
    this.#sequence = sequence;
    Atomics.store(words, 0, publishedWord(this.#sequence, spare));
    return true;
  }

  /** Frees the acknowledgement of a worker that died, so that the writer does not wait for it. */
  forget(worker: number): void {
    forgetWorker(this.#words, worker);
  }

  /**
   * Frees the acknowledgements of workers that read a bank of before for too long: they may be alive, so each of them counts as overrun until it
   * has left that bank.
   */
  overrun(): void {
    const words = this.#words;
    const published = Atomics.load(words, 0);
    for (let worker = 0; worker < OVERLAY_WORKERS_MAX; worker++) {
      const seen = Atomics.load(words, 1 + worker);
      if (seen === IDLE || seen === published) continue;
      // First, so that a worker that leaves from now on sees it.
      const [at, bit] = [OVERRUN + (worker >>> 5), 1 << (worker & 31)];
      Atomics.or(words, at, bit);
      if (Atomics.compareExchange(words, 1 + worker, seen, IDLE) !== seen)
        Atomics.and(words, at, ~bit);
    }
  }

  /** Whether every one of so many workers answers by the newest change set, if at all, and by no overlay before this one. */
  isSettled(workers: number): boolean {
    return isSettled(this.#words, workers);
  }

  /** Until when what is fenced may be answered, as `leaseWord` says it; 0 where nothing is. In force from each worker's next batch on. */
  setLease(word: number): void {
    Atomics.store(this.#words, LEASE, word);
  }
}

/** Whether every one of the first workers answers by the newest change set of these words, if at all, and by no overlay before them. */
export function isSettled(words: Uint32Array, workers: number): boolean {
  const published = Atomics.load(words, 0);
  for (let worker = 0; worker < workers; worker++) {
    const [at, bit] = [worker >>> 5, 1 << (worker & 31)];
    if ((Atomics.load(words, ADOPTED + at) & bit) === 0) return false;
    const seen = Atomics.load(words, 1 + worker);
    if (seen !== IDLE && seen !== published) return false;
    // After the acknowledgement: the writer says so before it takes that.
    if ((Atomics.load(words, OVERRUN + at) & bit) !== 0) return false;
  }
  return true;
}

/** Frees what a worker that died has said of itself. */
export function forgetWorker(words: Uint32Array, worker: number): void {
  Atomics.store(words, 1 + worker, IDLE);
  Atomics.and(words, OVERRUN + (worker >>> 5), ~(1 << (worker & 31)));
}

/** What a worker does about a lease that has run out. */
export interface Fence {
  /** As `leaseWord` says it, of now. */
  readonly nowWord: () => number;
  /** A bank as it is to be read then. */
  readonly fenced: (slots: Uint32Array) => Uint32Array;
}

/** One worker's view. `slots` is the bank to read until the next `enter()`. */
export class OverlayReader {
  slots: Uint32Array;
  sequence: number;
  readonly #words: Uint32Array;
  readonly #banks: readonly [Uint32Array, Uint32Array];
  readonly #worker: number;
  readonly #fence: Fence | undefined;
  #seen = IDLE;
  /** The published word whose bank is read as fenced; IDLE while that is read as it is. */
  #fencedWord = IDLE;

  /** Without `fence` a lease is not looked at. */
  constructor(buffer: SharedArrayBuffer, slotCount: number, worker: number, fence?: Fence) {
    assert(worker < OVERLAY_WORKERS_MAX, "the worker has an acknowledgement word");
    this.#words = new Uint32Array(buffer);
    this.#banks = [
      new Uint32Array(buffer, FIRST_BANK * 4, slotCount),
      new Uint32Array(buffer, (FIRST_BANK + slotCount) * 4, slotCount),
    ];
    this.#worker = worker;
    this.#fence = fence;
    this.slots = this.#banks[0];
    this.sequence = 0;
    this.enter();
    this.leave();
    if (fence !== undefined) Atomics.or(this.#words, ADOPTED + (worker >>> 5), 1 << (worker & 31));
  }

  /** Adopts the newest bank for a batch. The acknowledgement is stored before the word is looked at again (hazard protocol). */
  enter(): void {
    const words = this.#words;
    let word = Atomics.load(words, 0);
    for (;;) {
      Atomics.store(words, 1 + this.#worker, word);
      const again = Atomics.load(words, 0);
      if (again === word) break;
      word = again;
    }
    if (word !== this.#seen) {
      this.#seen = word;
      this.sequence = word >>> 1;
      this.slots = this.#banks[word & 1 ? 1 : 0];
      this.#fencedWord = IDLE;
    }
    const lease = Atomics.load(words, LEASE);
    if (lease !== 0 && this.#fence !== undefined) this.#look(this.#fence, lease, word);
    else if (this.#fencedWord !== IDLE) this.#unfence(word);
  }

  /** What is governed is answered only within the lease: this thread looks by itself, whatever the one does that renews it. */
  #look(fence: Fence, lease: number, word: number): void {
    const isHeld = isLeaseHeld(lease, fence.nowWord());
    if (isHeld && this.#fencedWord !== IDLE) this.#unfence(word);
    if (isHeld || this.#fencedWord === word) return;
    this.slots = fence.fenced(this.#banks[word & 1 ? 1 : 0]);
    this.#fencedWord = word;
  }

  #unfence(word: number): void {
    this.slots = this.#banks[word & 1 ? 1 : 0];
    this.#fencedWord = IDLE;
  }

  /** Says that this worker reads nothing until the next `enter()`. */
  leave(): void {
    const words = this.#words;
    Atomics.store(words, 1 + this.#worker, IDLE);
    const [at, bit] = [OVERRUN + (this.#worker >>> 5), 1 << (this.#worker & 31)];
    if ((Atomics.load(words, at) & bit) !== 0) Atomics.and(words, at, ~bit);
  }
}

/** The sequence wraps at 2³¹ − 1 so that the word never equals IDLE. */
function publishedWord(sequence: number, bank: number): number {
  return ((sequence % 0x7fff_ffff) * 2 + bank) >>> 0;
}
