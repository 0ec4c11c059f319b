// SPDX-License-Identifier: Apache-2.0

// The targets that several vantages judge, in an order that each of them works out from the plan by itself: by key. Reports name places in
// it. Two orders with one print are the same. A plan that changes a little gives the next order in one pass, without sorting or hashing what
// was there before: of 100,000 targets that is some 20 ms instead of 500.

import { hash32 } from "@meridian/core";
import type { ProbeTarget } from "../check.ts";

const encoder = new TextEncoder();

/** Whether a target is probed over the network of the vantage, so that another one may see something else. */
export function isJudgedByMany({ check }: ProbeTarget): boolean {
  const { kind, disabled } = check;
  return !disabled && kind !== "push" && kind !== "calculated" && kind !== "prometheus";
}

/** An order, and where what it holds was in the one before. */
export interface NextOrder {
  readonly order: TargetOrder;
  /** Place in the order before by place, −1 for what is new; undefined where every place is what it was. */
  readonly was: Int32Array | undefined;
}

export class TargetOrder {
  readonly targets: readonly ProbeTarget[];
  /** One of each target, for the choice of vantages. */
  readonly hashes: Uint32Array;
  readonly print: bigint;

  private constructor(targets: readonly ProbeTarget[], hashes: Uint32Array) {
    this.targets = targets;
    this.hashes = hashes;
    const bytes = new Uint8Array(hashes.buffer, hashes.byteOffset, hashes.byteLength);
    const half = (seed: number): bigint => BigInt(hash32(bytes, 0, bytes.length, seed));
    this.print = (half(0x7061) << 32n) | half(0x6e74);
  }

  static of(all: Iterable<ProbeTarget>): TargetOrder {
    const targets = [...all].filter(isJudgedByMany).sort(byKey);
    return new TargetOrder(targets, hashesOf(targets));
  }

  get length(): number {
    return this.targets.length;
  }

  /** −1 where it is not judged by many. */
  placeOf(key: string): number {
    let low = 0;
    let high = this.targets.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.targets[middle]?.key ?? "";
      if (found === key) return middle;
      if (found < key) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** The order after a change of the plan: `changed` are new or another under a known key. */
  next(changed: readonly ProbeTarget[], gone: readonly string[]): NextOrder {
    const coming = new Map(changed.filter(isJudgedByMany).map((target) => [target.key, target]));
    const going = new Set([...gone, ...changed.map(({ key }) => key)]);
    for (const key of coming.keys()) going.delete(key);
    const kept: ProbeTarget[] = [];
    const places: number[] = [];
    for (const [place, target] of this.targets.entries()) {
      if (going.size > 0 && going.has(target.key)) continue;
      const replaced = coming.size === 0 ? undefined : coming.get(target.key);
      if (replaced !== undefined) coming.delete(target.key);
      kept.push(replaced ?? target);
      places.push(place);
    }
    if (coming.size === 0 && kept.length === this.targets.length)
      return { order: new TargetOrder(kept, this.hashes), was: undefined };
    return this.#merged(kept, places, [...coming.values()].sort(byKey));
  }

  #merged(
    kept: readonly ProbeTarget[],
    places: readonly number[],
    added: readonly ProbeTarget[],
  ): NextOrder {
    const length = kept.length + added.length;
    const targets: ProbeTarget[] = [];
    const hashes = new Uint32Array(length);
    const was = new Int32Array(length);
    const addedHashes = hashesOf(added);
    let at = 0;
    let next = 0;
    for (let place = 0; place < length; place++) {
      const old = kept[at];
      const fresh = added[next];
      const isOld = old !== undefined && (fresh === undefined || old.key < fresh.key);
      const target = isOld ? old : fresh;
      if (target === undefined) break;
      targets.push(target);
      was[place] = isOld ? (places[at] ?? -1) : -1;
      hashes[place] = (isOld ? this.hashes[places[at] ?? 0] : addedHashes[next]) ?? 0;
      if (isOld) at++;
      else next++;
    }
    return { order: new TargetOrder(targets, hashes), was };
  }
}

/** Values by place, as they lie under the next order; 0 for what is new. */
export function moved<Values extends Uint8Array | Uint32Array>(
  was: Int32Array,
  before: Values,
  into: Values,
): Values {
  for (let place = 0; place < was.length; place++) {
    const from = was[place] ?? -1;
    if (from >= 0) into[place] = before[from] ?? 0;
  }
  return into;
}

/** 32 bits of a name, as vantages are chosen by. */
export function hashOf(name: string): number {
  const bytes = encoder.encode(name);
  return hash32(bytes, 0, bytes.length, 0x7661);
}

function hashesOf(targets: readonly ProbeTarget[]): Uint32Array {
  return Uint32Array.from(targets, ({ key }) => hashOf(key));
}

function byKey(a: ProbeTarget, b: ProbeTarget): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
