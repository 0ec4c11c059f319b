// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { TERM_MS, handOverWaits, type HandOverScene, type LeasedEdge } from "./hand-over-waits.ts";

const edge = (name: string, revision: number, leftMs = 0, instance = "1"): LeasedEdge => ({
  ...{ name, instance, epoch: 1, revision, leftMs },
});
const leases = (edges: readonly LeasedEdge[], confirmed = 7, sinceMs = 60_000) => ({
  ...{ confirmed: { epoch: 1, revision: confirmed }, sinceMs, edges },
});
const scene: HandOverScene = {
  ...{ needs: { epoch: 1, revision: 7 }, termMs: 9000, isKnown: true },
  ...{ edges: ["x", "y"], revoked: [] },
  controls: [{ name: "a", leases: leases([edge("x", 7), edge("y", 8)]) }],
};

function waits(more: Partial<HandOverScene>): string[] {
  return handOverWaits({ ...scene, ...more }).map(
    ({ who, why, forMs }) => `${who} ${why} ${forMs ?? "∞"}`,
  );
}

test("handOverWaits() is over by word when all controls and edges have said so", () => {
  assert.deepEqual(waits({}), []);
  assert.deepEqual(waits({ edges: [], controls: [] }), []);
  assert.deepEqual(
    waits({ controls: [{ name: "a", leases: leases([edge("x", 7), edge("y", 6)]) }] }),
    ["edge y has not said that it answers none of it 9000"],
  );
  // It may be at another control.
  const elsewhere = { name: "b", leases: leases([edge("y", 7)]) };
  assert.deepEqual(
    waits({ controls: [{ name: "a", leases: leases([edge("x", 7), edge("y", 6)]) }, elsewhere] }),
    [],
  );
  // Its process before may hold a lease.
  const before = leases([edge("x", 7), edge("y", 6, 4000, "0"), edge("y", 7)]);
  assert.deepEqual(waits({ controls: [{ name: "a", leases: before }] }), [
    "edge y was another process before 4000",
  ]);
});

test("handOverWaits() waits for controls that may give leases by what was", () => {
  const all = [edge("x", 7), edge("y", 7)];
  const other = (more: object): string[] =>
    waits({
      controls: [
        { name: "a", leases: leases(all) },
        { name: "b", ...more },
      ],
    });
  assert.deepEqual(other({}), ["control b does not answer 9000"]);
  assert.deepEqual(other({ leases: leases([], 6) }), ["control b has not seen the change 9000"]);
  assert.deepEqual(other({ leases: { ...leases([]), confirmed: undefined } }), [
    "control b has not seen the change 9000",
  ]);
  assert.deepEqual(other({ leases: leases([], 7, TERM_MS - 300) }), [
    "control b began a moment ago 300",
  ]);
  assert.deepEqual(waits({ revoked: [{ name: "z", sinceMs: 10_000 }] }), [
    "edge z was revoked a moment ago 1000",
  ]);
  assert.deepEqual(waits({ needs: { epoch: 2, revision: 1 } }).length, 3);
});

test("handOverWaits() is over by time for edges that know what is fenced, and for no others", () => {
  const nobody = { termMs: 0, controls: [{ name: "a" }] };
  assert.deepEqual(waits(nobody), []);
  assert.deepEqual(waits({ ...nobody, isKnown: false }), [
    "edge x has not said that it knows what is fenced ∞",
    "edge y has not said that it knows what is fenced ∞",
  ]);
  assert.deepEqual(waits({ termMs: 0, isKnown: false }), []);
});
