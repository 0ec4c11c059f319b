// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOTHING_BYTES, runQueryPath } from "./query-path.bench.ts";

/** As many as a busy machine may take to compile what is called: an idle one needs a few. */
const ROUNDS_MOST = 200;

test("runQueryPath() measures every case, and a query allocates nothing", () => {
  const results = runQueryPath(1000, 50_000, 2, ROUNDS_MOST);

  assert.equal(results.length, 6);
  for (const { name, medianNs, allocatedBytes } of results) {
    assert.ok(medianNs > 0, name);
    assert.ok(allocatedBytes < NOTHING_BYTES, `${name} allocates ${allocatedBytes} bytes`);
  }
});
