// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SettledFile } from "./settled-file.ts";

test("read() gives what was written, and nothing of what is no such file", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-settled-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = new SettledFile(folder);
  assert.equal(file.read(), undefined);
  const settled = { epoch: 1, revision: 3, documents: 9, staged: { epoch: 1, revision: 4 } };
  file.write(settled);
  assert.deepEqual(new SettledFile(folder).read(), settled);
  file.write({ epoch: 1, revision: 4, documents: 10 });
  assert.deepEqual(file.read(), { epoch: 1, revision: 4, documents: 10, staged: undefined });
  for (const text of ["", "{}", '{"epoch":1,"revision":"4","documents":1}', "[1]"]) {
    writeFileSync(join(folder, "settled.json"), text);
    assert.equal(file.read(), undefined);
  }
});
