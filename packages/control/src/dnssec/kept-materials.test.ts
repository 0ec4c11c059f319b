// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { keepMaterials, keptMaterials } from "./kept-materials.ts";

test("what is kept comes back, sealed and for its owner alone; with another key nothing does", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-kept-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [key, other] = ["a", "b"].map((name, at) => {
    const path = join(folder, name);
    writeFileSync(path, `${Buffer.alloc(32, at).toString("base64")}\n`);
    return path;
  });
  assert.ok(key !== undefined && other !== undefined);
  assert.deepEqual(keptMaterials(folder, key), []);
  keepMaterials(folder, key, new Map());
  keepMaterials(folder, key, new Map([["example.org", "a secret"]]));
  const file = join(folder, "zone-signing.sealed");
  assert.equal(readFileSync(file, "utf8").includes("a secret"), false);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(keptMaterials(folder, key), ["a secret"]);
  assert.deepEqual(keptMaterials(folder, other), []);
  assert.deepEqual(keptMaterials(folder, join(folder, "none")), []);
  keepMaterials(folder, key, new Map());
  assert.deepEqual(keptMaterials(folder, key), []);
});
