// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { probePlanPath } from "../probe-plan-file.ts";
import { PlanSectionFile } from "./plan-section.ts";

test("section() gives the newest plan, and one that another has just replaced", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const folder = mkdtempSync(join(tmpdir(), "meridian-plan-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = probePlanPath(folder);
  mkdirSync(dirname(path), { recursive: true });
  const file = new PlanSectionFile(folder);
  const textOf = (name: string): string | undefined => {
    const found = file.section(name);
    return found === undefined ? undefined : Buffer.from(found).toString();
  };
  writeFileSync(path, "one");
  const { name: one, bytes } = await file.read();
  assert.equal(bytes, 3);
  writeFileSync(path, "two");
  const { name: two } = await file.read();
  assert.deepEqual([textOf(one), textOf(two)], ["one", "two"]);
  t.mock.timers.tick(10_000);
  assert.deepEqual([textOf(one), textOf(two)], [undefined, "two"]);
  assert.equal(file.section("0".repeat(64)), undefined);
});
