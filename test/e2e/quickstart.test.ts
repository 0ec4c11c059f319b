// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceProgram } from "../program.ts";
import { leastMs, runProgram } from "./process.ts";

const FIRST_MS_MAX = 5000;
const ATTEMPTS_MAX = 5;

test("quickstart --check sees names follow health, weight and load", async () => {
  const first = await leastMs(FIRST_MS_MAX, ATTEMPTS_MAX, firstAnswerMs);
  assert.ok(first <= FIRST_MS_MAX, `the first answer came after ${first} ms`);
});

async function firstAnswerMs(): Promise<number> {
  const { code, stdout, stderr } = await runProgram(sourceProgram, ["quickstart", "--check"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /geo\.example\.org for Brisbane \(.*\): 127\.0\.0\.13/);
  assert.match(stdout, /canary\.example\.org: \d+ of 1000 clients/);
  assert.match(stdout, /Broke region "eu": .* changed after/);
  assert.match(stdout, /came back after/);
  assert.match(stdout, /Ran plan "shift-eu": geo\.example\.org left the region/);
  return Number(/First answer ([\d.]+) s/.exec(stdout)?.[1]) * 1000;
}

test("quickstart --check fails, and says why, where nothing is probed", async () => {
  const { code, stderr } = await runProgram(sourceProgram, [
    "quickstart",
    "--check",
    "--no-probing",
  ]);
  assert.equal(code, 1);
  assert.match(stderr, /Probing is switched off/);
});
