// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { Patience } from "./patience.ts";

test("a process that has begun stays patient while another one takes its place", () => {
  const told: boolean[] = [];
  const patience = new Patience(["begins"], (isPatient) => void told.push(isPatient));
  patience.set("replaced", true);
  patience.set("begins", false);
  assert.deepEqual(told, [], "workers know from the start");
  patience.set("replaced", false);
  assert.deepEqual(told, [false]);
  patience.set("begins", false);
  assert.deepEqual(told, [false]);
  patience.set("replaced", true);
  assert.deepEqual(told, [false, true]);
});
