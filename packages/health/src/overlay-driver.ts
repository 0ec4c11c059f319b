// SPDX-License-Identifier: Apache-2.0

// The one writer of the overlay. Everybody who changes something (verdicts, shifts, latches, load) hands over slot values; the
// driver turns them into change sets, keeps what follows from them (pool epochs, last-known bits) and publishes each set whole.

import { assert } from "@meridian/core";
import { OverlayWriter, type SlotChange, type StoredSlots, type World } from "@meridian/snapshot";
import { carryOverridden, slotRuns } from "./carried-slots.ts";
import { comesByItself, keyedChanges, type Cause, type ChangeSet } from "./change-set.ts";
import { keepLastKnown } from "./last-known.ts";
import { OverlayChanges } from "./overlay-changes.ts";

/** Bits of a slot that take another value; the others stay what they are when the change is made. */
export interface MaskedChange extends SlotChange {
  readonly mask: number;
}

/** An overlay as it began: with a new snapshot, or with another writer. */
export interface Adoption {
  readonly sequence: number;
  readonly revision: number;
  readonly atMs: number;
  /** A copy. */
  readonly slots: Uint32Array;
  /** Stored slots that say what all of these are, together with the snapshot: nothing was carried over, and none of them is left. */
  readonly stored?: StoredSlots;
}

export interface OverlayDriverOptions {
  readonly wallMs: () => number;
  readonly onChangeSet: (changeSet: ChangeSet) => void;
  /** A change set can be read; comes before it is told. */
  readonly onPublished?: () => void;
  /** An overlay begins; comes before its first change set. `adoptionChangeSet` says what of it is to be kept. */
  readonly onAdopted?: (adoption: Adoption, world: World) => void;
}

/** Longest time for which a change set waits for readers of the spare bank, before the driver gives up on a worker that hangs. */
const SPARE_WAIT_MS_MAX = 1000;
/** Sleep between two looks: the reader may need this very core, and this thread may have the right to keep it from it. */
const SPARE_NAP_MS = 0.05;
const NOTHING = { slots: new Uint32Array(0), values: new Uint32Array(0) };

export class OverlayDriver {
  readonly #options: OverlayDriverOptions;
  #world: World | undefined;
  #writer: OverlayWriter | undefined;
  #revision = 0;
  #pending = new OverlayChanges(0);
  #pendingCause: Cause = { kind: "restore", text: "" };
  #waitingSinceMs: number | undefined;
  #retry: NodeJS.Immediate | undefined;
  /** Nobody wakes who sleeps on it. */
  readonly #nap = new Int32Array(new SharedArrayBuffer(4));

  constructor(options: OverlayDriverOptions) {
    this.#options = options;
  }

  get buffer(): SharedArrayBuffer {
    return this.#required().buffer;
  }

  get slotCount(): number {
    return this.#required().slotCount;
  }

  get sequence(): number {
    return this.#writer?.sequence ?? 0;
  }

  get revision(): number {
    return this.#revision;
  }

  /** The newest published slots; valid until the next change. */
  get slots(): Uint32Array {
    return this.#required().current();
  }

  /** Newest value of a slot, published or about to be. */
  read(slot: number): number {
    return this.#pending.get(slot) ?? this.#required().read(slot);
  }

  /**
   * Starts an overlay for a new snapshot. Endpoint and latch slots that existed keep their values by key (`stored` serves keys that the
   * running overlay lacks), changes that still wait for a bank among them; weights and dials of branches are the documents' unless they
   * were given others. Its sequence is the next one after `lastSequence` or after that of the running overlay.
   */
  adopt(world: World, revision: number, stored?: StoredSlots, lastSequence: number = 0): void {
    const slots = world.initialSlots();
    const old = this.#world;
    const before = this.#writer?.sequence ?? lastSequence;
    const left =
      old === undefined ? takeStored(world, slots, stored) : this.#carry(world, slots, old, stored);
    const isStored = old === undefined && left === 0;
    this.#begin(world, revision, new OverlayWriter(slots, before + 1), {
      slots,
      ...(isStored && stored !== undefined ? { stored } : {}),
    });
  }

  #carry(world: World, slots: Uint32Array, old: World, stored: StoredSlots | undefined): void {
    const newest = this.#takePending();
    // Keys that the running overlay lacks.
    takeStored(world, slots, stored);
    if (newest === undefined) return;
    for (const { from, to, length } of slotRuns(old, world, "carried"))
      slots.set(newest.subarray(from, from + length), to);
    carryOverridden(world, slots, old, newest);
  }

  /** Goes on with the overlay of a writer that is gone. */
  resume(world: World, revision: number, buffer: SharedArrayBuffer): void {
    const writer = new OverlayWriter(buffer);
    this.#begin(world, revision, writer, { slots: writer.current().slice() });
  }

  /** True where changes wait for a bank. */
  get isWaiting(): boolean {
    return this.#pending.size > 0;
  }

  /**
   * Adds values to the next change set, which leaves as soon as no worker reads the spare bank. Later values of a slot win; those with a
   * mask change its bits alone.
   */
  apply(changes: Iterable<SlotChange | MaskedChange>, cause: Cause): void {
    for (const change of changes)
      this.set(change.slot, change.value, "mask" in change ? change.mask : 0xffff_ffff);
    this.flush(cause);
  }

  /** Gives bits of a slot another value, with the change set that the next `flush()` makes. */
  set(slot: number, value: number, mask: number): void {
    const was = this.read(slot);
    const next = ((was & ~mask) | (value & mask)) >>> 0;
    if (was !== next) this.#pending.set(slot, next);
  }

  /** Publishes what was set, where anything was, as soon as no worker reads the spare bank. */
  flush(cause: Cause): void {
    if (this.#pending.size === 0) return;
    // What waits for a bank keeps its cause: what people move, with what is probed meanwhile, is still theirs.
    if (this.#waitingSinceMs === undefined || !comesByItself(cause)) this.#pendingCause = cause;
    this.#publish();
  }

  /** The worker is gone: its acknowledgement must not hold a bank. */
  forget(worker: number): void {
    this.#writer?.forget(worker);
  }

  close(): void {
    if (this.#retry !== undefined) clearImmediate(this.#retry);
    this.#retry = undefined;
  }

  #begin(
    world: World,
    revision: number,
    writer: OverlayWriter,
    begun: Pick<Adoption, "slots" | "stored">,
  ): void {
    this.#world = world;
    this.#revision = revision;
    this.#writer = writer;
    this.#waitingSinceMs = undefined;
    this.#pending = new OverlayChanges(writer.slotCount);
    this.#options.onAdopted?.(
      {
        sequence: writer.sequence,
        revision,
        atMs: this.#options.wallMs(),
        ...begun,
      },
      world,
    );
  }

  #publish(): void {
    const writer = this.#required();
    const nowMs = performance.now();
    if (!writer.isSpareFree()) {
      this.#waitingSinceMs ??= nowMs;
      if (nowMs - this.#waitingSinceMs < SPARE_WAIT_MS_MAX) {
        this.#retry ??= setImmediate(() => {
          this.#retry = undefined;
          Atomics.wait(this.#nap, 0, 0, SPARE_NAP_MS);
          if (this.#pending.size > 0) this.#publish();
        });
        return;
      }
      // A worker hangs in the middle of a batch: it answers nobody, so its claim on the bank counts no more.
      writer.overrun();
    }
    this.#waitingSinceMs = undefined;
    this.#publishNow();
  }

  #publishNow(): void {
    const world = this.#world;
    if (world === undefined || this.#pending.size === 0) return;
    const writer = this.#required();
    const cause = this.#pendingCause;
    this.#followPools(world);
    const changed = this.#pending.take();
    writer.publishColumns(changed.slots, changed.values);
    this.#options.onPublished?.();
    this.#options.onChangeSet({
      sequence: writer.sequence,
      revision: this.#revision,
      atMs: this.#options.wallMs(),
      cause,
      ...keyedChanges(world, changed),
    });
  }

  /** Ends the running overlay: its newest values, those that wait for a bank and what follows from them included. */
  #takePending(): Uint32Array | undefined {
    if (this.#world !== undefined) this.#followPools(this.#world);
    const { slots, values } = this.#pending.take();
    const current = this.#writer?.current();
    if (current === undefined || slots.length === 0) return current;
    const newest = current.slice();
    for (const [at, slot] of slots.entries()) newest[slot] = values[at] ?? 0;
    return newest;
  }

  /** Adds what follows from changed endpoints: their pools' epochs move, and last-known bits are set or cleared. */
  #followPools(world: World): void {
    const pending = this.#pending;
    const current = this.#required().current();
    const { poolEpochSlots } = world;
    const { length } = pending.touched;
    for (let at = 0; at < length; at++) {
      const slot = pending.touched[at] ?? poolEpochSlots;
      if (slot >= poolEpochSlots) continue;
      const pool = world.pools.poolOfEndpoint(slot);
      const epoch = poolEpochSlots + pool;
      if (pending.has(epoch)) continue;
      keepLastKnown(world, pool, pending, current);
      pending.set(epoch, ((current[epoch] ?? 0) + 1) & 0x7fff_ffff);
    }
  }

  #required(): OverlayWriter {
    if (this.#writer === undefined)
      throw new TypeError("The overlay is read before a snapshot was adopted");
    return this.#writer;
  }
}

/** An overlay that has begun, and the shared memory that it is in. */
export type BegunOverlay = Adoption & { readonly buffer: SharedArrayBuffer };

/** Begins the first overlay of a process, for whoever answers with it before anybody writes to it. */
export function beginOverlay(
  world: World,
  start: {
    readonly revision: number;
    readonly stored: StoredSlots | undefined;
    /** No change set from before has a greater sequence. */
    readonly lastSequence: number;
    readonly wallMs: () => number;
  },
): BegunOverlay {
  let begun: BegunOverlay | undefined;
  const driver = new OverlayDriver({
    wallMs: start.wallMs,
    onChangeSet: () => {},
    onAdopted: (adoption) => {
      begun = { ...adoption, buffer: driver.buffer };
    },
  });
  driver.adopt(world, start.revision, start.stored, start.lastSequence);
  assert(begun !== undefined, "an overlay that begins is told of");
  return begun;
}

/** Takes over what is stored of endpoints, latches and weights that were given; gives the number of stored slots that are not of them. */
function takeStored(world: World, slots: Uint32Array, stored: StoredSlots | undefined): number {
  let left = stored?.size ?? 0;
  const take = (from: number, to: number): void => {
    for (let slot = from; slot < to && left > 0; slot++) {
      const value = stored?.find(world.slotKeyLow(slot), world.slotKeyHigh(slot)) ?? -1;
      if (value < 0 || !world.outlives(slot, value)) continue;
      slots[slot] = value;
      left--;
    }
  };
  take(0, world.poolEpochSlots);
  take(world.latchSlots, world.slotCount);
  // Most worlds have none left: those of branches alone are stored where one was given.
  take(world.branchSlots, world.latchSlots);
  return left;
}

/**
 * What of a begun overlay neither the snapshot nor the journal gives, as a change set, so that (revision, sequence) names one state.
 * `recorded` is what the journal holds. With `before`, all of whose slots it gives already, those that are as they were there are not looked
 * up: of 130,000 that takes 10 ms, by which every change would come later.
 */
export function adoptionChangeSet(
  world: World,
  adoption: Adoption,
  cause: Cause,
  recorded: StoredSlots | undefined,
  before?: { readonly world: World; readonly slots: Uint32Array },
): ChangeSet {
  const { sequence, revision, atMs } = adoption;
  if (recorded !== undefined && adoption.stored === recorded)
    return { sequence, revision, atMs, cause, ...keyedChanges(world, NOTHING) };
  const initial = world.initialSlots();
  const changed: number[] = [];
  const look = (slot: number): void => {
    const known = recorded?.find(world.slotKeyLow(slot), world.slotKeyHigh(slot)) ?? -1;
    const value = adoption.slots[slot] ?? 0;
    if ((known < 0 || !world.outlives(slot, known) ? initial[slot] : known) !== value)
      changed.push(slot);
  };
  const isAsBefore = new Uint8Array(world.slotCount);
  isAsBefore.fill(1, world.poolEpochSlots, world.branchSlots);
  if (before !== undefined)
    for (const { from, to, length } of slotRuns(before.world, world, "all"))
      for (let at = 0; at < length; at++)
        if (adoption.slots[to + at] === before.slots[from + at]) isAsBefore[to + at] = 1;
  for (let slot = isAsBefore.indexOf(0); slot >= 0; slot = isAsBefore.indexOf(0, slot + 1))
    look(slot);
  const slots = Uint32Array.from(changed);
  const values = slots.map((slot) => adoption.slots[slot] ?? 0);
  return { sequence, revision, atMs, cause, ...keyedChanges(world, { slots, values }) };
}
