// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { getPriority } from "node:os";
import { test } from "node:test";
import { Haste } from "./haste.ts";

test("a thread has its own weight again when its haste is over", () => {
  const usual = getPriority(0);
  const haste = new Haste();
  haste.begin();
  haste.begin();
  // Who may not be urgent goes on as before.
  assert.equal(getPriority(0), haste.isOn ? -20 : usual);
  haste.end();
  assert.equal(getPriority(0), usual);
  haste.end();
  assert.equal(getPriority(0), usual);
});
