// SPDX-License-Identifier: Apache-2.0

// Are the conformance tests able to fail? Each planted fault is put into a copy of the sources, where the quick conformance tests must
// then fail. Some minutes in all, so it runs only where PLANTED_FAULTS asks for it: 1 for all, or a part of what is replaced.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { plantedFaults } from "./planted-faults.ts";

const root = join(import.meta.dirname, "../..");
const wanted = process.env["PLANTED_FAULTS"];
const skip = wanted === undefined ? "PLANTED_FAULTS is not set" : false;
const chosen = plantedFaults.filter(({ find }) => wanted === "1" || find.includes(wanted ?? ""));
const quick = [
  "rfc2181",
  "rfc2308",
  "rfc4343",
  "rfc4592",
  "rfc6672",
  "rfc6891",
  "rfc7871",
  "rfc8020",
  "rfc8482",
  "rfc8906",
  "rfc8914",
  "rfc9460",
  "bound-names",
  "bad-packets",
  "twin",
];

/** Sources, tests and links to modules, so that a fault touches nothing else. */
function copyTree(): string {
  const copy = mkdtempSync(join(tmpdir(), "meridian-faults-"));
  for (const folder of ["packages", "native", "test"])
    cpSync(join(root, folder), join(copy, folder), { recursive: true });
  cpSync(join(root, "package.json"), join(copy, "package.json"));
  const modules = join(copy, "node_modules");
  mkdirSync(join(modules, "@meridian"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@meridian") symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  for (const name of readdirSync(join(copy, "packages"))) {
    symlinkSync(join(copy, "packages", name), join(modules, "@meridian", name));
  }
  symlinkSync(join(copy, "native"), join(modules, "@meridian", "native"));
  return copy;
}

function passes(tree: string): boolean {
  const files = quick.map((name) => join(tree, "test/conformance", `${name}.test.ts`));
  // Not as a child of this runner, which would swallow the exit code.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return (
    spawnSync(process.execPath, ["--test", ...files], { cwd: tree, env, stdio: "ignore" })
      .status === 0
  );
}

test("the conformance tests notice every planted fault", { skip }, () => {
  const tree = copyTree();
  try {
    assert.ok(passes(tree), "the sources themselves pass");
    const unnoticed: string[] = [];
    for (const { file, find, replace } of chosen) {
      const path = join(tree, file);
      const text = readFileSync(path, "utf8");
      assert.equal(text.split(find).length, 2, `"${find}" occurs once in ${file}`);
      writeFileSync(path, text.replace(find, replace));
      if (passes(tree)) unnoticed.push(`${file}: ${find}`);
      writeFileSync(path, text);
    }
    assert.deepEqual(unnoticed, []);
  } finally {
    rmSync(tree, { recursive: true });
  }
});
