// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  largestOverlap,
  packingBound,
  placeShards,
  type PlaceRequest,
  type Placement,
} from "./place-shards.ts";

const named = (what: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${what}-${index}`);

/** A request that asks nothing of before. */
function requestOf(
  given: Pick<PlaceRequest, "size" | "overlap"> & {
    edgeCount: number;
    unitCount: number;
    seed?: number;
  },
): PlaceRequest {
  const { edgeCount, unitCount, size, overlap, seed = 0 } = given;
  const [edges, units] = [named("edge", edgeCount), named("unit", unitCount)];
  return { edges, units, size, overlap, seed, before: new Map() };
}

const request = fc
  .record({ edgeCount: fc.integer({ min: 1, max: 12 }), unitCount: fc.nat(30), seed: fc.nat() })
  .chain((counts) =>
    fc
      .integer({ min: 1, max: counts.edgeCount })
      .chain((size) =>
        fc.nat(size).map((overlap): PlaceRequest => requestOf({ ...counts, size, overlap })),
      ),
  );

function placed(asked: PlaceRequest): Placement {
  const found = placeShards(asked);
  assert.ok(found.kind === "placed", `full: ${JSON.stringify(found)}`);
  return found.placement;
}

/** The slow twin: what must hold of a placement, pair by pair. */
function assertHolds({ edges, units, size, overlap }: PlaceRequest, placement: Placement): void {
  assert.deepEqual([...placement.keys()].toSorted(), units.toSorted());
  const all = [...placement.values()];
  for (const [index, own] of all.entries()) {
    assert.equal(new Set(own).size, size);
    assert.ok(own.every((edge) => edges.includes(edge)));
    for (const other of all.slice(index + 1))
      assert.ok(own.filter((edge) => other.includes(edge)).length <= overlap);
  }
}

/** The slow twin of "how many fit": every choice of sets, in turn. */
function greatestCount(count: number, size: number, overlap: number, stopAt: number): number {
  const sets = Array.from({ length: 2 ** count }, (_, bits) => bits).filter(
    (bits) => ones(bits) === size,
  );
  const search = (from: number, taken: readonly number[]): number => {
    let most = taken.length;
    for (let at = from; at < sets.length && most < stopAt; at++) {
      const set = sets[at] ?? 0;
      if (taken.every((other) => ones(set & other) <= overlap))
        most = Math.max(most, search(at + 1, [...taken, set]));
    }
    return most;
  };
  return search(0, []);
}

function ones(bits: number): number {
  return bits.toString(2).replaceAll("0", "").length;
}

test("placeShards() gives each unit its edges, and no two more in common than they may have", () => {
  fc.assert(
    fc.property(request, (asked) => {
      const found = placeShards(asked);
      if (found.kind === "placed") assertHolds(asked, found.placement);
      else {
        assert.ok(found.foundCount < asked.units.length);
        assert.ok(found.foundCount <= found.countMax);
      }
    }),
    { numRuns: 300 },
  );
});

test("placeShards() finds room for as many as there is room for, of few edges", () => {
  for (let edgeCount = 1; edgeCount <= 5; edgeCount++)
    for (let size = 1; size <= edgeCount; size++)
      for (let overlap = 0; overlap < size; overlap++) {
        const most = greatestCount(edgeCount, size, overlap, Infinity);
        assert.ok(most <= packingBound(edgeCount, size, overlap));
        const asked = { edgeCount, size, overlap };
        placed(requestOf({ ...asked, unitCount: most }));
        const { kind, ...full } = placeShards(requestOf({ ...asked, unitCount: most + 1 }));
        assert.equal(kind, "full");
        assert.deepEqual(full, {
          foundCount: most,
          countMax: packingBound(edgeCount, size, overlap),
        });
      }
});

test("placeShards() is a function of its input, whatever the order of units and edges", () => {
  fc.assert(
    fc.property(request, (asked) => {
      const turned = { ...asked, units: asked.units.toReversed(), edges: asked.edges.toReversed() };
      const sorted = (found: ReturnType<typeof placeShards>): unknown =>
        found.kind === "placed" ? new Map([...found.placement].toSorted(byName)) : found;
      assert.deepEqual(sorted(placeShards(turned)), sorted(placeShards(asked)));
    }),
    { numRuns: 100 },
  );
});

test("placeShards() moves nothing when edges and units come", () => {
  const asked = requestOf({ edgeCount: 16, unitCount: 60, size: 4, overlap: 2 });
  const before = placed(asked);
  const more = {
    ...asked,
    edges: [...asked.edges, "new"],
    units: [...asked.units, "more"],
    before,
  };
  const after = placed(more);
  for (const [unit, edges] of before) assert.deepEqual(after.get(unit), edges);
});

test("placeShards() moves those alone that had an edge that is gone, and of them that edge alone", () => {
  const asked = requestOf({ edgeCount: 16, unitCount: 60, size: 4, overlap: 2 });
  const before = placed(asked);
  for (const gone of asked.edges) {
    const after = placed({ ...asked, edges: asked.edges.filter((edge) => edge !== gone), before });
    let keptCount = 0;
    for (const [unit, edges] of before) {
      const stay = edges.filter((edge) => edge !== gone);
      const now = after.get(unit) ?? [];
      if (stay.length === edges.length) assert.deepEqual(now, edges);
      else keptCount += stay.filter((edge) => now.includes(edge)).length / stay.length;
    }
    const moved = [...before.values()].filter((edges) => edges.includes(gone)).length;
    // Where the limit is in the way of the other edges, too, more than one has to go.
    assert.ok(keptCount >= moved * 0.75, `${gone}: ${keptCount} of ${moved}`);
  }
});

test("placeShards() loads edges alike", () => {
  const placement = placed(requestOf({ edgeCount: 20, unitCount: 200, size: 4, overlap: 3 }));
  const loads = new Map<string, number>();
  for (const edges of placement.values())
    for (const edge of edges) loads.set(edge, (loads.get(edge) ?? 0) + 1);
  assert.ok(
    Math.max(...loads.values()) - Math.min(...loads.values()) <= 2,
    [...loads.values()].join(),
  );
});

test("another seed shuffles otherwise", () => {
  const asked = { edgeCount: 16, unitCount: 30, size: 4, overlap: 2 };
  assert.notDeepEqual(
    placed(requestOf({ ...asked, seed: 1 })),
    placed(requestOf({ ...asked, seed: 2 })),
  );
});

test("largestOverlap() is what the twin counts", () => {
  fc.assert(
    fc.property(request, (asked) => {
      const found = placeShards({ ...asked, overlap: asked.size });
      assert.ok(found.kind === "placed");
      const all = [...found.placement.values()];
      const pairs = all.flatMap((own, index) =>
        all.slice(index + 1).map((other) => own.filter((edge) => other.includes(edge)).length),
      );
      assert.equal(largestOverlap(found.placement), Math.max(0, ...pairs));
    }),
    { numRuns: 100 },
  );
});

test("2,048 units on 4 of 256 edges are placed, with at most two in common", () => {
  const asked = requestOf({ edgeCount: 256, unitCount: 2048, size: 4, overlap: 2 });
  assert.ok(largestOverlap(placed(asked)) <= 2);
});

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
