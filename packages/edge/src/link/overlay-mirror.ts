// SPDX-License-Identifier: Apache-2.0

// An edge's copy of control's overlay, under control's own sequence: an edge at (revision, sequence) has the very slots that control had
// then. Epochs of pools alone are counted here: they say that something of a pool moved, to the workers of this process.
//
// Where an edge has to judge by itself, what it found lies on top of control's slots, and is taken off when control judges again.

import type { SpareMemory } from "@meridian/core";
import { carriedSlots, keepLastKnown } from "@meridian/health";
import {
  BRANCH_OVERRIDDEN,
  FENCED_BIT,
  OverlayWriter,
  type SlotChanges,
  type World,
} from "@meridian/snapshot";
import type { SlotChange } from "./slot-journal.ts";

/** Longest time for which a change set waits for readers of the spare bank, before a worker counts as hung. */
const SPARE_WAIT_MS_MAX = 1000;

/** Bits of a slot that this edge knows better than control. */
export interface Override {
  readonly mask: number;
  readonly value: number;
}

export class OverlayMirror {
  readonly revision: number;
  readonly world: World;
  readonly #writer: OverlayWriter;
  readonly #onPublished: (changes: readonly SlotChange[]) => void;
  readonly #pending = new Map<number, number>();
  /** As control has them. */
  #controls: Uint32Array;
  readonly #overrides = new Map<number, Override>();
  #newest: number;
  #waitingSinceMs: number | undefined;
  #retry: NodeJS.Immediate | undefined;
  /** Endpoints that a panel with fenced hand-over governs. */
  readonly #fenced = new Set<number>();
  #fencedLow = 0;
  #fencedHigh = 0;
  /** Until when they may be answered: a word of the overlay. */
  #lease = 0;

  /** The slots are the mirror's from now on where nobody else has them (`areGiven`). */
  constructor(
    world: World,
    start: { readonly revision: number; readonly sequence: number; readonly slots: Uint32Array },
    onPublished: (changes: readonly SlotChange[]) => void,
    areGiven: boolean = false,
  ) {
    this.revision = start.revision;
    this.world = world;
    this.#writer = new OverlayWriter(start.slots, start.sequence);
    this.#controls = areGiven ? start.slots : start.slots.slice();
    this.#newest = start.sequence;
    this.#onPublished = onPublished;
    for (let endpoint = 0; endpoint < world.poolEpochSlots; endpoint++) {
      const value = start.slots[endpoint] ?? 0;
      if ((value & FENCED_BIT) !== 0) this.#noteFenced(endpoint, value);
    }
  }

  /** Until when what is fenced may be answered; as `leaseWord` says it. */
  setLease(word: number): void {
    this.#lease = word;
    this.#writer.setLease(this.#fenced.size === 0 ? 0 : word);
  }

  /** Another text wherever other endpoints are fenced, whatever the snapshot; empty for none. */
  get fencedPrint(): string {
    const size = this.#fenced.size;
    return size === 0 ? "" : `${size} ${this.#fencedLow} ${this.#fencedHigh}`;
  }

  /** Endpoints that are not answered without a lease. */
  get fencedCount(): number {
    return this.#fenced.size;
  }

  /** Whether every one of so many workers answers by the newest slots, and none is left that answers by others. */
  isSettled(workers: number): boolean {
    return this.#pending.size === 0 && this.#writer.isSettled(workers);
  }

  #noteFenced(slot: number, value: number): void {
    if (slot >= this.world.poolEpochSlots) return;
    const isFenced = (value & FENCED_BIT) !== 0;
    if (isFenced === this.#fenced.has(slot)) return;
    this.#fencedLow ^= this.world.slotKeyLow(slot);
    this.#fencedHigh ^= this.world.slotKeyHigh(slot);
    if (isFenced) this.#fenced.add(slot);
    else this.#fenced.delete(slot);
  }

  get buffer(): SharedArrayBuffer {
    return this.#writer.buffer;
  }

  get slotCount(): number {
    return this.#writer.slotCount;
  }

  /** Of what workers read. */
  get sequence(): number {
    return this.#writer.sequence;
  }

  /** Takes the whole of a later state; false where it is none of this revision's, or no later one. */
  takeTable(sequence: number, slots: Uint32Array): boolean {
    if (slots.length !== this.slotCount || sequence <= this.#newest) return false;
    const { poolEpochSlots, branchSlots } = this.world;
    for (let slot = 0; slot < slots.length; slot++) {
      if (slot >= poolEpochSlots && slot < branchSlots) continue;
      this.#controls[slot] = slots[slot] ?? 0;
      this.#noteFenced(slot, slots[slot] ?? 0);
      this.#set(slot, this.#merged(slot));
    }
    // Before workers read the first of them; none more is known only after the last has gone.
    if (this.#fenced.size > 0) this.setLease(this.#lease);
    this.#publish(sequence);
    return true;
  }

  /** Whether this is the table that the mirror has got to, epochs of pools aside. */
  holds(sequence: number, slots: Uint32Array): boolean {
    if (slots.length !== this.slotCount || sequence !== this.#newest) return false;
    const { poolEpochSlots, branchSlots } = this.world;
    return slots.every(
      (value, slot) =>
        (slot >= poolEpochSlots && slot < branchSlots) || value === this.#controls[slot],
    );
  }

  /** Takes the change set that follows the newest one; any other is left to the next table. */
  takeChanges({ sequence, changes }: SlotChanges): boolean {
    if (sequence !== this.#newest + 1) return false;
    for (const { key, value } of changes) {
      const slot = this.world.slotOfKey(key);
      if (slot < 0) continue;
      this.#controls[slot] = value;
      this.#noteFenced(slot, value);
      this.#set(slot, this.#merged(slot));
    }
    // Before workers read the first of them; none more is known only after the last has gone.
    if (this.#fenced.size > 0) this.setLease(this.#lease);
    this.#publish(sequence);
    return true;
  }

  /** Lays these on top of control's slots from now on, by key, in place of all before. */
  override(overrides: ReadonlyMap<bigint, Override>): void {
    const before = [...this.#overrides.keys()];
    this.#overrides.clear();
    this.lay(overrides, before);
  }

  /** Lays these on top, too; `slots` have lost what lay on them. */
  lay(overrides: ReadonlyMap<bigint, Override>, slots: readonly number[] = []): void {
    const touched = [...slots];
    for (const [key, override] of overrides) {
      const slot = this.world.slotOfKey(key);
      if (slot < 0) continue;
      this.#overrides.set(slot, override);
      touched.push(slot);
    }
    for (const slot of touched) this.#set(slot, this.#merged(slot));
    if (this.#pending.size > 0) this.#publish(this.#newest);
  }

  /** The newest slot, published or about to be. */
  read(slot: number): number {
    return this.#pending.get(slot) ?? this.#writer.read(slot);
  }

  /** The newest published slots; valid until the next change. */
  get current(): Uint32Array {
    return this.#writer.current();
  }

  /** Every slot with a key that outlives the revision, as workers read it. */
  *slots(): Generator<{ readonly low: number; readonly high: number; readonly value: number }> {
    const world = this.world;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (slot >= world.poolEpochSlots && slot < world.branchSlots) continue;
      const [low, high] = [world.slotKeyLow(slot), world.slotKeyHigh(slot)];
      yield { low, high, value: this.#writer.read(slot) };
    }
  }

  /** What control has said so far, whether workers read it yet or not. */
  table(): { readonly sequence: number; readonly slots: Uint32Array } {
    return { sequence: this.#newest, slots: this.#controls.slice() };
  }

  /** The first slots of the next snapshot, where control's overlay of this one ended with that sequence; undefined where this has not got there. */
  carriedTo(world: World, sequence: number, spare?: SpareMemory): Uint32Array | undefined {
    if (sequence !== this.#newest) return undefined;
    const { slotCount } = world;
    const memory = spare && new Uint32Array(spare.take(slotCount * 4), 0, slotCount);
    return carriedSlots(this.world, this.#controls, world, memory);
  }

  /** Whether branches have other weights than their snapshot says. */
  hasGivenWeights(): boolean {
    const { branchSlots, latchSlots } = this.world;
    const slots = this.current;
    for (let slot = branchSlots; slot < latchSlots; slot++)
      if (((slots[slot] ?? 0) & BRANCH_OVERRIDDEN) !== 0) return true;
    return false;
  }

  /** Every slot, as workers read it. */
  copy(): Uint32Array {
    return this.#writer.current().slice();
  }

  /** A worker died: its acknowledgement must not hold a bank. */
  forget(worker: number): void {
    this.#writer.forget(worker);
  }

  /** Nothing is published any more; `spare` may have its memory. */
  close(spare?: SpareMemory): void {
    if (this.#retry !== undefined) clearImmediate(this.#retry);
    this.#retry = undefined;
    if (spare === undefined) return;
    const { buffer } = this.#controls;
    // Whoever still looks at it finds nothing there.
    this.#controls = new Uint32Array(0);
    if (buffer instanceof ArrayBuffer) spare.give(buffer);
  }

  #merged(slot: number): number {
    const value = this.#controls[slot] ?? 0;
    const override = this.#overrides.get(slot);
    return override === undefined
      ? value
      : ((value & ~override.mask) | (override.value & override.mask)) >>> 0;
  }

  #set(slot: number, value: number): void {
    const before = this.#pending.get(slot) ?? this.#writer.read(slot);
    if (before !== value) this.#pending.set(slot, value);
  }

  #publish(sequence: number): void {
    this.#newest = sequence;
    this.#waitingSinceMs ??= performance.now();
    this.#tryPublish();
  }

  #tryPublish(): void {
    const writer = this.#writer;
    if (!writer.isSpareFree()) {
      const waitedMs = performance.now() - (this.#waitingSinceMs ?? 0);
      if (waitedMs < SPARE_WAIT_MS_MAX) {
        this.#retry ??= setImmediate(() => {
          this.#retry = undefined;
          this.#tryPublish();
        });
        return;
      }
      writer.overrun();
    }
    this.#waitingSinceMs = undefined;
    const changes = this.#withEpochs();
    writer.publish(changes, this.#newest);
    this.#pending.clear();
    this.setLease(this.#lease);
    this.#onPublished(changes);
  }

  #withEpochs(): SlotChange[] {
    const { pools, poolEpochSlots } = this.world;
    const values = new Map(this.#pending);
    const moved = new Set<number>();
    for (const slot of values.keys())
      if (slot < poolEpochSlots) moved.add(pools.poolOfEndpoint(slot));
    // Control marks the last ones of a pool that failed; here only an edge that judges by itself has to.
    if (this.#overrides.size > 0)
      for (const pool of moved) keepLastKnown(this.world, pool, values, this.#writer.current());
    const changes = [...values].map(([slot, value]) => ({ slot, value }));
    for (const pool of moved) {
      const slot = poolEpochSlots + pool;
      changes.push({ slot, value: (this.#writer.read(slot) + 1) & 0x7fff_ffff });
    }
    return changes;
  }
}
