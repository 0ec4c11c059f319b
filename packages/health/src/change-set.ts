// SPDX-License-Identifier: Apache-2.0

// A published change set, and many of them together as they travel: keys and values in columns, as one may have 100,000 of them, and as on the
// day on which everything flips there are a thousand sets a second.

import type { World } from "@meridian/snapshot";

/** Why slots changed: kept in the journal and shown by explain. */
export interface Cause {
  /** `health`, `shift`, `latch`, `load`, `snapshot`, `restore`. */
  readonly kind: string;
  readonly text: string;
  /** A person has said so, where what is of this kind mostly comes by itself. */
  readonly byCommand?: true;
}

/** Whether it comes by itself, and on some days thousands of times a second; what people move is said at once. */
export function comesByItself({ kind, byCommand }: Cause): boolean {
  return byCommand !== true && (kind === "health" || kind === "load" || kind === "latch");
}

/** A published change set; plain data. Epochs of pools are left out. */
export interface ChangeSet {
  readonly sequence: number;
  readonly revision: number;
  readonly atMs: number;
  readonly cause: Cause;
  readonly keys: BigUint64Array;
  /** By place in `keys`. */
  readonly values: Uint32Array;
}

/** What a change set changed, one by one. */
export function* changesIn({ keys, values }: Pick<ChangeSet, "keys" | "values">): Generator<{
  readonly key: bigint;
  readonly value: number;
}> {
  for (const [at, key] of keys.entries()) yield { key, value: values[at] ?? 0 };
}

/** Columns of what slots were given, without epochs of pools. */
export function keyedChanges(
  world: World,
  { slots, values }: { readonly slots: Uint32Array; readonly values: Uint32Array },
): Pick<ChangeSet, "keys" | "values"> {
  const { poolEpochSlots, branchSlots } = world;
  const isKept = (slot: number): boolean => slot < poolEpochSlots || slot >= branchSlots;
  let count = 0;
  for (const slot of slots) if (isKept(slot)) count += 1;
  const keys = new BigUint64Array(count);
  const kept = new Uint32Array(count);
  // By halves: a bigint for each key would be garbage.
  const halves = new Uint32Array(keys.buffer);
  let at = 0;
  for (let index = 0; index < slots.length; index++) {
    const slot = slots[index] ?? 0;
    if (!isKept(slot)) continue;
    halves[at * 2] = world.slotKeyLow(slot);
    halves[at * 2 + 1] = world.slotKeyHigh(slot);
    kept[at] = values[index] ?? 0;
    at += 1;
  }
  return { keys, values: kept };
}

/** Several change sets, in order. Plain data. */
export interface PackedChangeSets extends Pick<ChangeSet, "keys" | "values"> {
  readonly sets: readonly (Omit<ChangeSet, "keys" | "values"> & { readonly count: number })[];
}

export function packChangeSets(sets: readonly ChangeSet[]): PackedChangeSets {
  const count = sets.reduce((sum, { keys }) => sum + keys.length, 0);
  const packed = { keys: new BigUint64Array(count), values: new Uint32Array(count) };
  let at = 0;
  const headers = sets.map(({ keys, values, sequence, revision, atMs, cause }) => {
    packed.keys.set(keys, at);
    packed.values.set(values, at);
    at += keys.length;
    return { sequence, revision, atMs, cause, count: keys.length };
  });
  return { ...packed, sets: headers };
}

export function unpackChangeSets({ sets, keys, values }: PackedChangeSets): ChangeSet[] {
  let at = 0;
  return sets.map(({ count, ...rest }) => {
    const [from, to] = [at, at + count];
    at = to;
    return { ...rest, keys: keys.subarray(from, to), values: values.subarray(from, to) };
  });
}
