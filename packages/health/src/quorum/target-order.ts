// SPDX-License-Identifier: Apache-2.0

// The targets that several vantages judge, in an order that each of them works out from the plan by itself: reports name places in it. Two
// orders with one print are the same.

import { hash32 } from "@meridian/core";
import type { ProbeTarget } from "../check.ts";

const encoder = new TextEncoder();

/** Whether a target is probed over the network of the vantage, so that another one may see something else. */
export function isJudgedByMany({ check }: ProbeTarget): boolean {
  const { kind, disabled } = check;
  return !disabled && kind !== "push" && kind !== "calculated" && kind !== "prometheus";
}

export class TargetOrder {
  readonly targets: readonly ProbeTarget[];
  /** One of each target, for the choice of vantages. */
  readonly hashes: Uint32Array;
  readonly print: bigint;
  readonly #places: ReadonlyMap<string, number>;

  constructor(all: Iterable<ProbeTarget>) {
    const targets = [...all].filter(isJudgedByMany);
    targets.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    this.targets = targets;
    this.hashes = Uint32Array.from(targets, ({ key }) => hashOf(key));
    this.#places = new Map(targets.map(({ key }, place) => [key, place]));
    const bytes = new Uint8Array(this.hashes.buffer);
    const half = (seed: number): bigint => BigInt(hash32(bytes, 0, bytes.length, seed));
    this.print = (half(0x7061) << 32n) | half(0x6e74);
  }

  get length(): number {
    return this.targets.length;
  }

  /** −1 where it is not judged by many. */
  placeOf(key: string): number {
    return this.#places.get(key) ?? -1;
  }
}

/** 32 bits of a name, as vantages are chosen by. */
export function hashOf(name: string): number {
  const bytes = encoder.encode(name);
  return hash32(bytes, 0, bytes.length, 0x7661);
}
