// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { ControlChoice } from "./control-choice.ts";

const controls = ["one", "two", "three"];
const some = (choice: ControlChoice, count: number, nowMs: number): string[] =>
  Array.from({ length: count }, () => choice.next(nowMs));

test("next() goes round the controls, and passes over one that has lost its store", () => {
  const choice = new ControlChoice(controls);
  assert.deepEqual(some(choice, 4, 0), ["one", "two", "three", "one"]);
  choice.heard("two", false, 0);
  assert.deepEqual(some(choice, 2, 0), ["two", "three"], "no other is known to be better");
  choice.heard("three", true, 0);
  assert.deepEqual(some(choice, 4, 0), ["one", "three", "one", "three"]);
  assert.equal(choice.isWorse("two", 2999), true);
});

test("isWorse() believes a word for three seconds, and nobody where all have lost the store", () => {
  const choice = new ControlChoice(controls);
  choice.heard("one", false, 0);
  choice.heard("two", true, 0);
  assert.equal(choice.isWorse("one", 3000), false);
  for (const url of controls) choice.heard(url, false, 5000);
  assert.deepEqual(
    controls.map((url) => choice.isWorse(url, 5000)),
    [false, false, false],
  );
  choice.heard("three", true, 6000);
  assert.equal(choice.isWorse("one", 6000), true);
});
