// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TargetPlaces, TargetSpace, type TargetKeys, type TargetMoves } from "./name-targets.ts";

/** Policies and pools of a snapshot by name, in the order of their indices. */
type Named = readonly [policies: readonly number[], pools: readonly number[]];

function countsOf([policies, pools]: Named): { policyCount: number; poolCount: number } {
  return { policyCount: policies.length, poolCount: pools.length };
}

function keysOf(before: Named, after: Named): TargetKeys {
  const key =
    (named: Named) =>
    (target: number): string =>
      String(named[target & 1]?.[target >> 1]);
  return { before: key(before), after: key(after) };
}

function movesBetween(before: Named, after: Named): TargetMoves {
  const [policies, pools] = [0, 1].map((kind) => {
    const [old, now] = [before[kind] ?? [], after[kind] ?? []];
    const isSame = old.length === now.length && old.every((name, index) => name === now[index]);
    return isSame ? undefined : Int32Array.from(old, (name) => now.indexOf(name));
  });
  return { policies, pools };
}

test("a number stands for the same policy or pool in each snapshot, whatever moves, until numbers begin anew", () => {
  const some = fc.uniqueArray(fc.nat(30), { maxLength: 12 });
  const property = fc.property(
    fc.array(fc.tuple(some, some), { minLength: 2, maxLength: 8 }),
    ([given, ...others]) => {
      const first: Named = given ?? [[], []];
      let [named, places]: [Named, TargetPlaces] = [first, TargetPlaces.first(countsOf(first))];
      const numbers = new Map<string, number>();
      for (const next of [first, ...others]) {
        const moved = places.moved(movesBetween(named, next), countsOf(next), keysOf(named, next));
        assert.ok(moved !== undefined);
        [named, places] = [next, moved];
        for (const [kind, names] of next.entries()) {
          for (const [index, name] of names.entries()) {
            const number = places.numberOf(index * 2 + kind);
            assert.equal(number & 1, kind);
            assert.equal(places.words[number], index * 2 + kind);
            numbers.set(`${kind} ${name}`, numbers.get(`${kind} ${name}`) ?? number);
          }
        }
        // It leads nowhere while what it stands for is gone, and to that again when it has come back.
        for (const [text, number] of numbers) {
          const [kind = 0, name = 0] = text.split(" ").map(Number);
          const index = next[kind]?.indexOf(name) ?? -1;
          assert.equal(places.words[number], index < 0 ? -1 : index * 2 + kind, text);
        }
      }
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test("moved() gives up when most numbers stand for nothing", () => {
  let places: TargetPlaces | undefined = TargetPlaces.first({ policyCount: 1, poolCount: 0 });
  let rounds = 0;
  // Each time another policy.
  const moves = { policies: Int32Array.of(-1), pools: undefined };
  for (; places !== undefined && rounds < 10_000; rounds++)
    places = places.moved(
      moves,
      { policyCount: 1, poolCount: 0 },
      { before: () => String(rounds), after: () => String(rounds + 1) },
    );
  assert.ok(places === undefined && rounds > 1000, `${rounds} rounds`);
});

test("numberOf() gives the same number, whether few or many were asked for", () => {
  const counts = { policyCount: 100, poolCount: 50 };
  // All policies are one further, but for the last, which is the first.
  const policies = Int32Array.from({ length: 100 }, (_, index) => (index + 1) % 100);
  const keys = { before: String, after: String };
  const places = TargetPlaces.first(counts).moved({ policies, pools: undefined }, counts, keys);
  const all = (): (number | undefined)[] =>
    Array.from({ length: 100 }, (_, index) => places?.numberOf(index * 2));
  const expected = Array.from({ length: 100 }, (_, index) => ((index + 99) % 100) * 2);
  assert.deepEqual([all(), all(), places?.numberOf(7)], [expected, expected, 7]);
});

test("take() gives each word once, and -1 where there are no more", () => {
  const space = new TargetSpace(10);
  assert.deepEqual([space.take(10), space.take(4000), space.take(0)], [0, 10, 4010]);
  assert.equal(space.take(space.words.length), -1);
  assert.equal(space.take(space.words.length - 4010), 4010);
});
