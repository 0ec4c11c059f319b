// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editDistance, suggest } from "./suggest.ts";

test("suggest() finds the nearest word and none where all are far", () => {
  const kinds = ["Site", "Pool", "EndpointSet", "HealthCheck", "TrafficPolicy"];
  assert.equal(suggest("Pol", kinds), "Pool");
  assert.equal(suggest("pool", kinds), "Pool");
  assert.equal(suggest("HaelthCheck", kinds), "HealthCheck");
  assert.equal(suggest("EndpointsSet", kinds), "EndpointSet");
  assert.equal(suggest("Gateway", kinds), undefined);
  assert.equal(suggest("x".repeat(1_000_000), kinds), undefined);
});

test("editDistance() counts a swap of neighbours as one edit", () => {
  assert.equal(editDistance("htpp", "http"), 1);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("kitten", "sitting"), 3);
});

test("editDistance() is symmetric, and at most the longer length", () => {
  const word = fc.string({ maxLength: 8, unit: fc.constantFrom("a", "b", "c") });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      assert.equal(distance, editDistance(b, a));
      assert.equal(distance === 0, a === b);
      assert.ok(distance <= Math.max(a.length, b.length));
      assert.ok(distance >= Math.abs(a.length - b.length));
    }),
  );
});
