// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CellDocument } from "@meridian/model";
import fc from "fast-check";
import {
  EVERY_EDGE,
  decodeAssignment,
  edgesOfZone,
  encodeAssignment,
  noAssignment,
  stepAssignment,
  withheldFrom,
  type Assignment,
  type AssignmentStep,
} from "./assignment.ts";

const HOUR_MS = 3_600_000;
const all = ["a", "b", "c", "d", "e"];

function cellOf(edges: readonly string[], size: number): CellDocument {
  return {
    apiVersion: "meridian.dev/v1alpha1",
    kind: "Cell",
    metadata: { name: "eu" },
    spec: {
      edges: edges.map((name) => ({ name })),
      tenants: ["shop"],
      zones: ["own.example"],
      shuffle: { edges: size, overlap: size - 1, seed: 0 },
      leaveAfter: "1h",
    },
  };
}

function stepOf(
  edges: readonly string[],
  given: Partial<Pick<AssignmentStep, "served" | "settled" | "nowMs">> = {},
): AssignmentStep {
  return {
    cells: [{ cell: cellOf(edges, 2), units: ["tenant/shop", "zone/own.example"] }],
    zones: new Map([
      ["shop.example", "tenant/shop"],
      ["own.example", "zone/own.example"],
    ]),
    served: new Set(),
    settled: new Set(),
    nowMs: 0,
    ...given,
  };
}

test("a new zone is served by its edges alone, one that all served by all until its own edges do", () => {
  const fresh = stepAssignment(noAssignment, stepOf(all)).assignment;
  assert.equal(edgesOfZone(fresh, "shop.example").length, 2);
  assert.deepEqual(edgesOfZone(fresh, "nobodys.example"), [EVERY_EDGE]);
  const served = new Set(["shop.example"]);
  const first = stepAssignment(noAssignment, stepOf(all, { served })).assignment;
  assert.deepEqual(edgesOfZone(first, "shop.example").slice(2), [EVERY_EDGE]);
  for (const edge of all) assert.ok(!withheldFrom(first, edge).includes("shop.example"));
  const settled = new Set(all);
  const early = stepAssignment(first, stepOf(all, { settled, nowMs: HOUR_MS - 1 })).assignment;
  assert.deepEqual(early, first);
  const late = stepAssignment(first, stepOf(all, { settled, nowMs: HOUR_MS })).assignment;
  assert.deepEqual(late, fresh);
});

test("what an edge leaves it serves until time is over and every new edge serves it", () => {
  const before = stepAssignment(noAssignment, stepOf(all)).assignment;
  const [gone = ""] = edgesOfZone(before, "shop.example");
  const left = all.filter((edge) => edge !== gone);
  const moved = stepAssignment(before, stepOf(left, { settled: new Set(all) })).assignment;
  const now = moved.units.get("tenant/shop") ?? [];
  assert.deepEqual(edgesOfZone(moved, "shop.example"), [...now, gone]);
  const halfSettled = stepOf(left, { settled: new Set([now[0] ?? ""]), nowMs: 2 * HOUR_MS });
  assert.deepEqual(stepAssignment(moved, halfSettled).assignment, moved);
  const settled = stepOf(left, { settled: new Set(now), nowMs: 2 * HOUR_MS });
  assert.deepEqual(edgesOfZone(stepAssignment(moved, settled).assignment, "shop.example"), now);
});

test("whatever moves, an edge never stops a zone before all of its edges have settled", () => {
  const change = fc.record({
    edges: fc.subarray(all, { minLength: 2 }),
    settled: fc.subarray(all),
    passedMs: fc.constantFrom(0, HOUR_MS, 3 * HOUR_MS),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      let assignment: Assignment = noAssignment;
      let nowMs = 0;
      for (const { edges, settled, passedMs } of changes) {
        nowMs += passedMs;
        const before = assignment;
        const step = stepOf(edges, { settled: new Set(settled), nowMs });
        ({ assignment } = stepAssignment(before, step));
        for (const [origin, unit] of assignment.zones) {
          const had = before.zones.has(origin) ? edgesOfZone(before, origin) : [];
          const has = edgesOfZone(assignment, origin);
          const stopped = had.filter((edge) => !has.includes(edge));
          if (stopped.length === 0) continue;
          const own = assignment.units.get(unit) ?? [];
          assert.deepEqual(own, before.units.get(unit));
          assert.ok(own.every((edge) => settled.includes(edge)));
        }
        assert.deepEqual(decodeAssignment(encodeAssignment(assignment)), sorted(assignment));
      }
    }),
    { numRuns: 300 },
  );
});

test("a Cell without room keeps what it had", () => {
  const before = stepAssignment(noAssignment, stepOf(all)).assignment;
  const cell = cellOf(["a", "b", "c"], 2);
  const narrow = { ...cell, spec: { ...cell.spec, shuffle: { edges: 2, overlap: 0, seed: 0 } } };
  const units = ["tenant/shop", "zone/own.example"];
  const step = { ...stepOf(all), cells: [{ cell: narrow, units }] };
  const { assignment, full } = stepAssignment(before, step);
  assert.deepEqual([assignment, full], [before, ["eu"]]);
});

function sorted({ units, zones, leaving }: Assignment): Assignment {
  return {
    units: new Map([...units].toSorted(byName)),
    zones: new Map([...zones].toSorted(byName)),
    leaving: new Map([...leaving].toSorted(byName)),
  };
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
