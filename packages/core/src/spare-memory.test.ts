// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { SpareMemory } from "./spare-memory.ts";

test("take() gives what was given where that fits, and only once", () => {
  const spare = new SpareMemory();
  const first = spare.take(100_000);
  assert.ok(first.byteLength >= 100_000);
  spare.give(first);
  const next = spare.take(100_800);
  assert.equal(next, first);
  assert.notEqual(spare.take(100_000), first);
});

test("take() gives new memory where what was given is too small, or far too large", () => {
  const spare = new SpareMemory();
  const memory = spare.take(100_000);
  spare.give(memory);
  assert.ok(spare.take(1_000_000).byteLength >= 1_000_000);
  spare.give(memory);
  const small = spare.take(1000);
  assert.ok(small.byteLength < memory.byteLength);
});
