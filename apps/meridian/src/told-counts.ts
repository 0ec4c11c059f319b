// SPDX-License-Identifier: Apache-2.0

// What of an edge's counters somebody has been told already: of each message only what was counted since, the largest first, and what had no
// room the next time. Blocks that stand still are passed over by the C library: a million names cost a tenth of a millisecond.

import { SnapshotCounters, counterShape } from "@meridian/edge";
import {
  Admin,
  adminOf,
  DIAL_SHIFT,
  HASTENED,
  PER_MILLE,
  SelectionLayout,
  TRAFFIC_ENTRIES_MAX,
  type KeyedCount,
  type TrafficCounts,
  type World,
} from "@meridian/snapshot";
import { key64 } from "@meridian/core";

const BLOCK_WORDS = 2048;
const COUNT_MAX = 0xffff_ffff;

/** Totals of a revision, as `SnapshotCounters` lays them out. */
export interface CountedTotals {
  readonly revision: number;
  readonly world: World;
  readonly totals: Float64Array;
}

/** Reads the slot of an endpoint of that world as it is now. */
export type SlotOf = (world: World, endpoint: number) => number;

/** What was told, carried on from one world to the next as the totals themselves are; `old` is not looked at afterwards. */
export type CarryTotals = (
  oldWorld: World,
  old: Float64Array<ArrayBuffer>,
  world: World,
) => Float64Array<ArrayBuffer>;

interface Moved {
  readonly index: number;
  readonly count: number;
}

export class ToldCounts {
  readonly #carry: CarryTotals;
  #told: { readonly world: World; readonly totals: Float64Array<ArrayBuffer> } | undefined;
  #atMs: number;

  constructor(carry: CarryTotals, nowMs: number) {
    this.#carry = carry;
    this.#atMs = nowMs;
  }

  /** What was counted since the last call; `slotOf` says what an endpoint's slot is now. */
  since(
    { revision, world, totals }: CountedTotals,
    slotOf: SlotOf,
    nowMs: number,
  ): Omit<TrafficCounts, "epoch"> {
    const told = this.#follow(world, totals.length);
    const elapsedMs = Math.max(0, Math.round(nowMs - this.#atMs));
    this.#atMs = nowMs;
    const { policyBase, poolBase, endpointBase, nodeBase, audienceBase } = new SnapshotCounters(
      counterShape(world, new SelectionLayout(world)),
    );
    const take = (base: number, end: number, most: number, isWanted?: IsWanted): Moved[] =>
      takeMoved(totals, told, { base, end, most, isWanted });
    const { policies, pools } = world;
    const max = TRAFFIC_ENTRIES_MAX;
    const keyed = (moved: readonly Moved[], keyOf: (index: number) => string): KeyedCount[] =>
      moved.map(({ index, count }) => ({ key: key64(keyOf(index)), count }));
    return {
      revision,
      elapsedMs,
      policies: keyed(
        take(policyBase, poolBase, max.policies),
        (index) => `policy/${policies.policyName(index)}`,
      ),
      pools: keyed(
        take(poolBase, endpointBase, max.pools),
        (index) => `pool/${pools.poolName(index)}`,
      ),
      endpoints: keyed(
        take(endpointBase, nodeBase, max.endpoints, (index) => isMovedAway(slotOf(world, index))),
        (index) => world.endpointName(index),
      ),
      audiences: take(audienceBase, totals.length, max.audiences).map(({ index, count }) => ({
        word: index,
        count,
      })),
    };
  }

  #follow(world: World, size: number): Float64Array {
    const told = this.#told;
    const totals =
      told === undefined
        ? new Float64Array(size)
        : told.world === world
          ? told.totals
          : this.#carry(told.world, told.totals, world);
    this.#told = { world, totals };
    return totals;
  }
}

type IsWanted = (index: number) => boolean;

/** Whether less than all that was an endpoint's comes to it now, or soon will. */
function isMovedAway(slot: number): boolean {
  return (
    adminOf(slot) !== Admin.active ||
    ((slot >>> DIAL_SHIFT) & 0x3ff) !== PER_MILLE ||
    (slot & HASTENED) !== 0
  );
}

/** What has moved between `base` and `end`, by index from `base`; what is returned counts as told, and what is not wanted too. */
function takeMoved(
  totals: Float64Array,
  told: Float64Array,
  {
    base,
    end,
    most,
    isWanted = () => true,
  }: {
    readonly base: number;
    readonly end: number;
    readonly most: number;
    readonly isWanted?: IsWanted | undefined;
  },
): Moved[] {
  const moved: Moved[] = [];
  for (let start = base; start < end; start += BLOCK_WORDS) {
    const stop = Math.min(end, start + BLOCK_WORDS);
    if (bytesOf(totals, start, stop).equals(bytesOf(told, start, stop))) continue;
    for (let at = start; at < stop; at++) {
      const count = (totals[at] ?? 0) - (told[at] ?? 0);
      if (count === 0) continue;
      // Fewer than were told: they began anew.
      if (count < 0 || !isWanted(at - base)) told[at] = totals[at] ?? 0;
      else moved.push({ index: at - base, count: Math.min(count, COUNT_MAX) });
    }
  }
  const taken =
    moved.length <= most ? moved : moved.toSorted((a, b) => b.count - a.count).slice(0, most);
  for (const { index, count } of taken) told[base + index] = (told[base + index] ?? 0) + count;
  return taken;
}

function bytesOf({ buffer, byteOffset }: Float64Array, start: number, stop: number): Buffer {
  return Buffer.from(buffer, byteOffset + start * 8, (stop - start) * 8);
}
