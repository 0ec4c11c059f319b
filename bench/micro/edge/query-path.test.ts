// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { runQueryPath } from "./query-path.bench.ts";

/** A boxed number in each query would be 16; what remains is the clock, a batch. */
const ALLOCATED_BYTES_MAX = 8;

test("runQueryPath() measures every case, and a query allocates nothing", () => {
  const results = runQueryPath(1000, 50_000, 3);

  assert.equal(results.length, 6);
  for (const { name, medianNs, allocatedBytes } of results) {
    assert.ok(medianNs > 0, name);
    assert.ok(allocatedBytes < ALLOCATED_BYTES_MAX, `${name} allocates ${allocatedBytes} bytes`);
  }
});
