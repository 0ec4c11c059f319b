// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { Urgency } from "./urgency.ts";

test("Urgency is for short work only, and tells the kernel of changes alone", () => {
  let cpuMs = 0;
  let wallMs = 0;
  const nices: number[] = [];
  const setNice = (nice: number): void => void nices.push(nice);
  const urgency = new Urgency({ cpuMs: () => cpuMs, wallMs: () => wallMs, setNice });
  const pass = (used: number): void => {
    cpuMs += used;
    wallMs += 1000;
    urgency.check();
  };
  pass(900);
  pass(100);
  pass(200);
  pass(800);
  pass(100);
  urgency.relax();
  assert.equal(urgency.isUrgent, false);
  assert.deepEqual(nices, [-20, 0, -20, 0]);
});

test("Urgency goes without where the user may not lower nice values", () => {
  const refuse = (): never => {
    throw new Error("EACCES");
  };
  const urgency = new Urgency({ cpuMs: () => 0, wallMs: () => 0, setNice: refuse });
  urgency.check();
  urgency.relax();
  assert.equal(urgency.isUrgent, false);
});
