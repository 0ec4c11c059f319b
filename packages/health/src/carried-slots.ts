// SPDX-License-Identifier: Apache-2.0

// What outlives a snapshot of its overlay: endpoints and latches keep their values by key, the weights and dials of branches are the next
// snapshot's own unless they were given others. Control and edges work it out alike, so that a revision need not bring every slot.

import { BRANCH_OVERRIDDEN, BRANCH_WEIGHT_MASK, type KeyRun, type World } from "@meridian/snapshot";

/** Slots of one snapshot in another, by key: `carried` ones keep their values, the weights and dials of branches come with a snapshot. */
export function slotRuns(before: World, after: World, kind: "carried" | "all"): KeyRun[] {
  const { endpoints, branches, nodes } = after.runsFrom(before);
  const moved = (runs: readonly KeyRun[], from: number, to: number): KeyRun[] =>
    runs.map((run) => ({ ...run, from: run.from + from, to: run.to + to }));
  return [
    ...endpoints,
    ...(kind === "all" ? moved(branches, before.branchSlots, after.branchSlots) : []),
    ...moved(nodes, before.latchSlots, after.latchSlots),
  ];
}

/** The first slots of a snapshot where `slots` were those of the one before; epochs of pools begin anew. `memory` is for as many as it has. */
export function carriedSlots(
  before: World,
  slots: Uint32Array,
  after: World,
  memory?: Uint32Array,
): Uint32Array {
  const carried = after.initialSlots(memory);
  for (const { from, to, length } of slotRuns(before, after, "carried"))
    carried.set(slots.subarray(from, from + length), to);
  carryOverridden(after, carried, before, slots);
  return carried;
}

/** Weights that were given to branches go on with those that lead to where they led. */
export function carryOverridden(
  world: World,
  slots: Uint32Array,
  old: World,
  newest: Uint32Array,
): void {
  const { branchCount } = old.policies;
  for (let branch = 0; branch < branchCount; branch++) {
    const from = old.branchSlots + branch;
    const value = newest[from] ?? 0;
    if ((value & BRANCH_OVERRIDDEN) === 0) continue;
    const to = world.slotOfHalves(old.slotKeyLow(from), old.slotKeyHigh(from));
    if (to < 0) continue;
    const isSame = world.branchTarget(to - world.branchSlots) === old.branchTarget(branch);
    const mask = BRANCH_OVERRIDDEN | BRANCH_WEIGHT_MASK;
    if (isSame) slots[to] = (((slots[to] ?? 0) & ~mask) | (value & mask)) >>> 0;
  }
}
