// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { runLimits } from "./limits.bench.ts";

test("runLimits() measures a query with and without limits", () => {
  const { withoutNs, withNs } = runLimits(100, 6400, 1);
  assert.ok(withoutNs > 0 && withNs > 0);
});
