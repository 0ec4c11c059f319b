// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { rowTarget } from "./row-target.ts";

test("a row is of its own namespace, not of the one that it acts on", () => {
  const rollout = { name: "shop/r", target: "policy web" };
  assert.equal(rowTarget("Rollout", rollout).namespace, "shop");
  const drill = { name: "shop/d", target: "pool/other/web" };
  assert.equal(rowTarget("Drill", drill).namespace, "shop");
  assert.equal(rowTarget("Shift", { target: "pool/other/web" }).namespace, "other");
});
