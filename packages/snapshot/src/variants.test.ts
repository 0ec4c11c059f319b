// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { Pcg32 } from "@meridian/core";
import fc from "fast-check";
import { Client } from "./client.ts";
import { PoolWord } from "./pools/pools-format.ts";
import { Selector } from "./selector.ts";
import { chiSquareExceeds } from "./testing/chi-square.ts";
import { slotsOf } from "./testing/decisions.ts";
import { loadWorld, member, pool } from "./testing/world-fixture.ts";
import { variantBelow, variantBits, variantOf } from "./variants.ts";
import { TargetKind } from "./world.ts";

const someMember = fc.record({
  weight: fc.integer({ min: 1, max: 9 }),
  domain: fc.constantFrom("a", "b", "c", "d"),
});
interface SomeMember {
  readonly weight: number;
  readonly domain: string;
}

const somePool = fc.array(someMember, { minLength: 3, maxLength: 7 });

/** Picks `wanted` of one pool; a name's variants, 2ᵇⁱᵗˢ of them. */
class Picker {
  readonly salt: number;
  readonly #selector: Selector;
  readonly #slots: Uint32Array;
  readonly #client = new Client();
  readonly #wanted: number;

  constructor(members: readonly SomeMember[], wanted: number, bits: number) {
    const world = loadWorld(
      [
        pool(
          "default/a",
          members.map(({ weight, domain }, index) =>
            member(`m${index}`, index + 1, { weight, failureDomain: domain }),
          ),
        ),
      ],
      [],
    );
    this.salt = world.pools.poolWord(0, PoolWord.salt) | 0;
    this.#selector = new Selector(world);
    this.#selector.variantBits = bits;
    this.#slots = slotsOf(world);
    this.#wanted = wanted;
  }

  /** Members in the order in which they were picked. */
  pick(seed: number, draw: number): number[] {
    const selector = this.#selector;
    selector.variantSeed = seed | 0;
    selector.select(this.#slots, TargetKind.pool, 0, this.#client, draw, 4, this.#wanted);
    return [...selector.chosen.subarray(0, selector.chosenCount)];
  }
}

/** Members still to be picked from: those of a failure domain that has none yet, while there are any. */
function openTo(members: readonly SomeMember[], picked: readonly number[]): number[] {
  const left = members.map((_, index) => index).filter((index) => !picked.includes(index));
  const used = new Set(picked.map((index) => members[index]?.domain));
  const fresh = left.filter((index) => !used.has(members[index]?.domain ?? ""));
  return fresh.length > 0 ? fresh : left;
}

const weightOf = (members: readonly SomeMember[], index: number): number =>
  members[index]?.weight ?? 0;

/** The slow twin of free draws: the chance of every order in which `wanted` may be picked. */
function chancesOf(members: readonly SomeMember[], wanted: number): Map<string, number> {
  const chances = new Map<string, number>();
  const go = (picked: readonly number[], reach: number): void => {
    const open = openTo(members, picked);
    if (picked.length === wanted || open.length === 0) {
      chances.set(picked.join(), reach);
      return;
    }
    const total = open.reduce((sum, index) => sum + weightOf(members, index), 0);
    for (const index of open) go([...picked, index], (reach * weightOf(members, index)) / total);
  };
  go([], 1);
  return chances;
}

test("a name has no more sets than variants, each of them equal whenever it comes up, and single answers stay free", () => {
  fc.assert(
    fc.property(
      somePool,
      fc.integer({ min: 2, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer(),
      fc.integer(),
      (members, wanted, bits, name, from) => {
        const picker = new Picker(members, wanted, bits);
        const random = new Pcg32(from);
        const sets = new Map<number, string>();
        for (let round = 0; round < 200; round++) {
          const draw = random.next32();
          const set = picker.pick(name, draw).join();
          const variant = variantOf(draw, bits, picker.salt);
          assert.equal(sets.get(variant) ?? set, set);
          sets.set(variant, set);
        }
        assert.ok(sets.size <= 2 ** bits);
        const one = new Picker(members, 1, bits);
        const free = new Picker(members, 1, 0);
        for (let round = 0; round < 20; round++) {
          const draw = random.next32();
          assert.deepEqual(one.pick(name, draw), free.pick(name, draw));
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("over many names the shares of all orders are those of free draws (chi-square, α = 10⁻⁶)", () => {
  fc.assert(
    fc.property(
      somePool,
      fc.integer({ min: 2, max: 3 }),
      fc.constantFrom(1, 3, 6),
      fc.integer(),
      (members, wanted, bits, from) => {
        const picker = new Picker(members, wanted, bits);
        const random = new Pcg32(from);
        const counts = new Map<string, number>();
        const names = 4000;
        for (let name = 0; name < names; name++) {
          const set = picker.pick(random.next32(), random.next32()).join();
          counts.set(set, (counts.get(set) ?? 0) + 1);
        }
        assert.ok(
          !chiSquareExceeds(counts, chancesOf(members, wanted), names),
          JSON.stringify([...counts]),
        );
      },
    ),
    { numRuns: 12, seed: 9824 },
  );
});

test("over the variants of one name each member is picked first as often as its weight says, but for one", () => {
  fc.assert(
    fc.property(
      somePool,
      fc.integer({ min: 2, max: 7 }),
      fc.integer(),
      fc.integer(),
      (members, bits, name, salt) => {
        const total = members.reduce((sum, { weight }) => sum + weight, 0);
        const count = 2 ** bits;
        let from = 0;
        for (const { weight } of members) {
          const first = Array.from({ length: count }, (_, variant) =>
            variantBelow(variant, bits, name, salt, 0, total),
          ).filter((at) => at >= from && at < from + weight).length;
          assert.ok(Math.abs(first - (count * weight) / total) <= 1);
          from += weight;
        }
      },
    ),
    { numRuns: 200 },
  );
});

test("eight of thirty equal members: all are covered, each in about its share of the 64 sets", () => {
  const members = Array.from({ length: 30 }, (_, index) => ({ weight: 1, domain: `d${index}` }));
  const picker = new Picker(members, 8, 6);
  const random = new Pcg32(4);
  for (let name = 0; name < 20; name++) {
    const sets = new Map<number, number[]>();
    while (sets.size < 64) {
      const draw = random.next32();
      sets.set(variantOf(draw, 6, picker.salt), picker.pick(Math.imul(name, 0x9e3779b1), draw));
    }
    const counts = members.map(
      (_, index) => [...sets.values()].filter((set) => set.includes(index)).length,
    );
    // Its share is 17 of 64; free draws would be 3.5 off at one standard deviation.
    assert.ok(Math.min(...counts) >= 8 && Math.max(...counts) <= 27, counts.join());
  }
});

test("variantBits() takes the power of two at or below", () => {
  const found = [0, 1, 2, 3, 4, 63, 64, 1000, 1024, 5000].map(variantBits);
  assert.deepEqual(found, [0, 0, 1, 1, 2, 5, 6, 9, 10, 10]);
});
