// SPDX-License-Identifier: Apache-2.0

// An edge's copy of control's overlay, under control's own sequence: an edge at (revision, sequence) has the very slots that control had
// then. Epochs of pools alone are counted here: they say that something of a pool moved, to the workers of this process.

import { OverlayWriter, type SlotChanges, type World } from "@meridian/snapshot";

/** Longest time for which a change set waits for readers of the spare bank, before a worker counts as hung. */
const SPARE_WAIT_MS_MAX = 1000;
const WORKERS_MAX = 64;

export class OverlayMirror {
  readonly revision: number;
  readonly #world: World;
  readonly #writer: OverlayWriter;
  readonly #onPublished: () => void;
  readonly #pending = new Map<number, number>();
  #newest: number;
  #waitingSinceMs: number | undefined;
  #retry: NodeJS.Immediate | undefined;

  constructor(
    world: World,
    start: { readonly revision: number; readonly sequence: number; readonly slots: Uint32Array },
    onPublished: () => void,
  ) {
    this.revision = start.revision;
    this.#world = world;
    this.#writer = new OverlayWriter(start.slots, start.sequence);
    this.#newest = start.sequence;
    this.#onPublished = onPublished;
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
    const { poolEpochSlots, branchSlots } = this.#world;
    for (let slot = 0; slot < slots.length; slot++) {
      if (slot >= poolEpochSlots && slot < branchSlots) continue;
      this.#set(slot, slots[slot] ?? 0);
    }
    this.#publish(sequence);
    return true;
  }

  /** Whether this is the table that the mirror has got to, epochs of pools aside. */
  holds(sequence: number, slots: Uint32Array): boolean {
    if (slots.length !== this.slotCount || sequence !== this.#newest) return false;
    const { poolEpochSlots, branchSlots } = this.#world;
    return slots.every(
      (value, slot) =>
        (slot >= poolEpochSlots && slot < branchSlots) ||
        value === (this.#pending.get(slot) ?? this.#writer.read(slot)),
    );
  }

  /** Takes the change set that follows the newest one; any other is left to the next table. */
  takeChanges({ sequence, changes }: SlotChanges): boolean {
    if (sequence !== this.#newest + 1) return false;
    for (const { key, value } of changes) {
      const slot = this.#world.slotOfKey(key);
      if (slot >= 0) this.#set(slot, value);
    }
    this.#publish(sequence);
    return true;
  }

  /** Every slot with a key that outlives the revision, as workers read it. */
  *slots(): Generator<{ readonly low: number; readonly high: number; readonly value: number }> {
    const world = this.#world;
    for (let slot = 0; slot < this.slotCount; slot++) {
      if (slot >= world.poolEpochSlots && slot < world.branchSlots) continue;
      const [low, high] = [world.slotKeyLow(slot), world.slotKeyHigh(slot)];
      yield { low, high, value: this.#writer.read(slot) };
    }
  }

  /** A worker died: its acknowledgement must not hold a bank. */
  forget(worker: number): void {
    this.#writer.forget(worker);
  }

  close(): void {
    if (this.#retry !== undefined) clearImmediate(this.#retry);
    this.#retry = undefined;
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
      for (let worker = 0; worker < WORKERS_MAX; worker++) writer.forget(worker);
    }
    this.#waitingSinceMs = undefined;
    writer.publish(this.#withEpochs(), this.#newest);
    this.#pending.clear();
    this.#onPublished();
  }

  #withEpochs(): { readonly slot: number; readonly value: number }[] {
    const { pools, poolEpochSlots } = this.#world;
    const changes = [...this.#pending].map(([slot, value]) => ({ slot, value }));
    const moved = new Set<number>();
    for (const { slot } of changes)
      if (slot < poolEpochSlots) moved.add(pools.poolOfEndpoint(slot));
    for (const pool of moved) {
      const slot = poolEpochSlots + pool;
      changes.push({ slot, value: (this.#writer.read(slot) + 1) & 0x7fff_ffff });
    }
    return changes;
  }
}
