// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceProgram } from "../program.ts";
import { busyFactor, runProgram } from "./process.ts";

test("quickstart --check sees names follow health, weight and load", async () => {
  const { code, stdout, stderr } = await runProgram(sourceProgram, ["quickstart", "--check"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /geo\.example\.org for Brisbane \(.*\): 127\.0\.0\.13/);
  assert.match(stdout, /canary\.example\.org: \d+ of 1000 clients/);
  assert.match(stdout, /Broke region "eu": .* changed after/);
  assert.match(stdout, /came back after/);
  assert.match(stdout, /Ran plan "shift-eu": geo\.example\.org left the region/);
  const first = Number(/First answer ([\d.]+) s/.exec(stdout)?.[1]);
  assert.ok(first < 5 * busyFactor(), `the first answer came after ${first} s`);
});

test("quickstart --check fails, and says why, where nothing is probed", async () => {
  const { code, stderr } = await runProgram(sourceProgram, [
    "quickstart",
    "--check",
    "--no-probing",
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /Probing is switched off/);
});
