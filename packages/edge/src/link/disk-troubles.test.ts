// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { DiskTroubles } from "./disk-troubles.ts";

test("DiskTroubles shows the one that has lasted longest, until the disk takes it", () => {
  let nowMs = 1000;
  const troubles = new DiskTroubles(() => nowMs);
  assert.equal(troubles.worst, undefined);
  assert.equal(troubles.failed("the overlay", "full"), true);
  nowMs += 500;
  assert.equal(troubles.failed("the history", "full"), true);
  assert.equal(troubles.failed("the overlay", "gone"), false);
  assert.deepEqual(troubles.worst, { what: "the overlay", reason: "gone", forMs: 500 });
  troubles.took("the overlay");
  nowMs += 1;
  assert.deepEqual(troubles.worst, { what: "the history", reason: "full", forMs: 1 });
  troubles.took("the history");
  troubles.took("the history");
  assert.equal(troubles.worst, undefined);
});
