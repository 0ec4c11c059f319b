// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readStamp, stampPath, writeStamp } from "./stamp.mjs";

function checkout(context: TestContext): { readonly root: string; readonly node: string } {
  const root = mkdtempSync(join(tmpdir(), "meridian-stamp-"));
  context.after(() => {
    rmSync(root, { recursive: true });
  });
  mkdirSync(join(root, "node_modules"));
  const node = join(root, "node_modules/node");
  writeFileSync(node, "binary");
  writeFileSync(join(root, "package-lock.json"), "{}");
  return { root, node };
}

test("readStamp() returns what writeStamp() wrote", (context) => {
  const { root, node } = checkout(context);
  assert.equal(readStamp(root), undefined);
  writeStamp(root, { node, native: "absent" });
  assert.deepEqual(readStamp(root), { node, native: "absent" });
});

test("readStamp() is undefined once the lock file, the binary or the stamp is another", (context) => {
  const { root, node } = checkout(context);
  const ready = { node, native: "absent" };
  writeStamp(root, ready);
  writeFileSync(join(root, "package-lock.json"), "{ }");
  assert.equal(readStamp(root), undefined);
  writeStamp(root, ready);
  writeFileSync(node, "another binary");
  assert.equal(readStamp(root), undefined);
  writeStamp(root, ready);
  writeFileSync(stampPath(root), "{");
  assert.equal(readStamp(root), undefined);
  writeStamp(root, ready);
  rmSync(node);
  assert.equal(readStamp(root), undefined);
});
