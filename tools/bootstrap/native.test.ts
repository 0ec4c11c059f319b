// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test, type TestContext } from "node:test";
import { ensureNative } from "./native.mjs";

/** A checkout whose native/build.mjs counts its runs in a file. */
function checkout(context: TestContext, ending: string): { root: string; runs: () => number } {
  const root = mkdtempSync(join(tmpdir(), "meridian-native-"));
  context.after(() => {
    rmSync(root, { recursive: true });
  });
  mkdirSync(join(root, "native/src"), { recursive: true });
  writeFileSync(join(root, "native/src/module.c"), "int x;");
  writeFileSync(join(root, "runs"), "");
  writeFileSync(
    join(root, "native/build.mjs"),
    `import { appendFileSync } from "node:fs"; appendFileSync("runs", "."); ${ending}`,
  );
  return { root, runs: () => readFileSync(join(root, "runs"), "utf8").length };
}

test("ensureNative() builds once, and again when a source changes", (context) => {
  const { root, runs } = checkout(context, "");
  const native = ensureNative(root, process.execPath, undefined);
  assert.equal(runs(), 1);
  assert.equal(ensureNative(root, process.execPath, { native }), native);
  assert.equal(runs(), 1);
  writeFileSync(join(root, "native/src/module.c"), "int x, y;");
  assert.notEqual(ensureNative(root, process.execPath, { native }), native);
  assert.equal(runs(), 2);
});

test("ensureNative() does nothing where there is no add-on to build", (context) => {
  const { root } = checkout(context, "");
  rmSync(join(root, "native/build.mjs"));
  assert.equal(ensureNative(root, process.execPath, undefined), "absent");
});

test("ensureNative() says which code a failing build ended with", (context) => {
  const { root } = checkout(context, "process.exit(3);");
  assert.throws(() => ensureNative(root, process.execPath, undefined), {
    name: "BootstrapError",
    message: "Cannot build the native add-on: native/build.mjs ended with code 3",
  });
});
