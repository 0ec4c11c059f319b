// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { key64 } from "@meridian/core";
import { MeasuredTraffic, type DrainTally } from "./measured-traffic.ts";

const [a, b, policy, other] = ["endpoint/d/p/a", "endpoint/d/p/b", "policy/d/w", "policy/d/o"].map(
  (name) => key64(name),
) as [bigint, bigint, bigint, bigint];
const reach = { asked: new Set([policy]), isReached: (key: bigint) => key === a };

function counts(named: number, asked: number): Parameters<MeasuredTraffic["take"]>[1] {
  return {
    ...{ revision: 1, elapsedMs: 1000, pools: [], audiences: [] },
    policies: [
      { key: policy, count: asked },
      { key: other, count: 999 },
    ],
    endpoints: [
      { key: a, count: named },
      { key: b, count: 7 },
    ].filter(({ count }) => count > 0),
  };
}

test("a drain is quiet since the last answer that named it, and its share is that of the last seconds", () => {
  const traffic = new MeasuredTraffic();
  const at = (nowMs: number): DrainTally | undefined => traffic.tally("x", reach, 100_000, nowMs);
  assert.equal(at(100_000), undefined, "nobody has counted anything");
  for (let nowMs = 95_000; nowMs < 100_000; nowMs += 1000)
    traffic.take("eu", counts(50, 100), nowMs);
  const before = at(100_000);
  assert.equal(before?.quietSinceMs, 100_000);
  assert.equal(before?.lastAnswerMs, undefined, "what was answered before it began");
  traffic.take("eu", counts(20, 100), 101_000);
  assert.deepEqual(at(101_500), {
    ...{ shift: "x", answers: 20, asked: 100 },
    ...{ lastAnswerMs: 101_000, quietSinceMs: 101_000 },
  });
  for (let nowMs = 102_000; nowMs < 115_000; nowMs += 1000)
    traffic.take("eu", counts(0, 100), nowMs);
  const after = at(114_500);
  assert.deepEqual(
    [after?.answers, after?.asked, after?.quietSinceMs],
    [0, 1000, 101_000],
    "the window has moved on",
  );
});

test("what an edge was asked while it was cut off says when it last answered, and nothing of the share", () => {
  const traffic = new MeasuredTraffic();
  traffic.take("eu", { ...counts(5000, 9000), elapsedMs: 3_600_000 }, 101_000);
  const found = traffic.tally("x", reach, 100_000, 101_500);
  assert.deepEqual([found?.answers, found?.asked, found?.lastAnswerMs], [0, 0, 101_000]);
});

test("an edge that comes after a drain began counts as if it had answered until then", () => {
  const traffic = new MeasuredTraffic();
  traffic.take("eu", counts(0, 1), 90_000);
  traffic.take("us", counts(0, 1), 130_000);
  assert.equal(traffic.tally("x", reach, 100_000, 131_000)?.quietSinceMs, 130_000);
  assert.equal(traffic.tally("x", reach, 140_000, 141_000)?.quietSinceMs, 140_000);
});

test("what is remembered is bounded: those longest silent go", () => {
  const traffic = new MeasuredTraffic();
  const many = Array.from({ length: 25_000 }, (_, index) => ({ key: BigInt(index), count: 1 }));
  traffic.take("eu", { ...counts(0, 0), endpoints: many }, 1000);
  const all = { asked: new Set<bigint>(), isReached: () => true };
  assert.equal(traffic.tally("x", all, -1, 1000)?.answers, 20_000);
});
