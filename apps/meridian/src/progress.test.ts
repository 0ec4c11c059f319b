// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { Progress } from "./progress.ts";

/** What work of 25 seconds, a file a millisecond, writes. */
function written(isTTY: boolean, ms: number): string[] {
  const texts: string[] = [];
  let nowMs = 0;
  const progress = new Progress({ isTTY, write: (text) => texts.push(text) }, () => nowMs);
  for (; nowMs < ms; nowMs++) progress.show(`Reading ${nowMs}`);
  progress.close();
  return texts;
}

test("on a terminal one line is written over and erased; what is quick says nothing", () => {
  assert.deepEqual(written(true, 250), []);
  assert.deepEqual(written(true, 450), [
    "\r\u001B[2KReading 300",
    "\r\u001B[2KReading 400",
    "\r\u001B[2K",
  ]);
});

test("a long step is announced at once on a terminal, and not in a pipe", () => {
  const announced = (isTTY: boolean): string[] => {
    const texts: string[] = [];
    new Progress({ isTTY, write: (text) => texts.push(text) }, () => 0).announce("Checking");
    return texts;
  };
  assert.deepEqual(announced(true), ["\r\u001B[2KChecking"]);
  assert.deepEqual(announced(false), []);
});

test("in a pipe there is a plain line every ten seconds", () => {
  assert.deepEqual(written(false, 9_000), []);
  assert.deepEqual(written(false, 25_000), ["Reading 10000\n", "Reading 20000\n"]);
});
