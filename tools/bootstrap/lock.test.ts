// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { withLock } from "./lock.mjs";

function emptyFolder(context: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), "meridian-lock-"));
  context.after(() => {
    rmSync(root, { recursive: true });
  });
  return root;
}

test("withLock() runs one at a time and returns what the work returns", async (context) => {
  const root = emptyFolder(context);
  const seen: string[] = [];
  const work = (name: string) => async (): Promise<string> => {
    seen.push(`${name} starts`);
    await sleep(20);
    seen.push(`${name} ends`);
    return name;
  };
  const results = await Promise.all([withLock(root, work("a")), withLock(root, work("b"))]);
  assert.deepEqual(results, ["a", "b"]);
  assert.deepEqual(seen, ["a starts", "a ends", "b starts", "b ends"]);
});

test("withLock() takes over the lock of a process that is gone", async (context) => {
  const root = emptyFolder(context);
  mkdirSync(join(root, ".build"));
  // Larger than any process number that Linux gives.
  writeFileSync(join(root, ".build/bootstrap.lock"), "4194305");
  assert.equal(await withLock(root, () => Promise.resolve("done")), "done");
});

test("withLock() releases after a failure", async (context) => {
  const root = emptyFolder(context);
  await assert.rejects(
    withLock(root, () => Promise.reject(new Error("broken"))),
    /broken/,
  );
  assert.equal(await withLock(root, () => Promise.resolve("done")), "done");
});
