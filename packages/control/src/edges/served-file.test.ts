// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ServedFile } from "./served-file.ts";

const DAY_MS = 24 * 3_600_000;
const anybody = (): boolean => true;

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-served-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("what edges served is known after a restart, of each that may come and was heard of within a month", (t) => {
  const folder = folderOf(t);
  let nowMs = 1_700_000_000_000;
  const opened = (): ServedFile => new ServedFile(folder, () => nowMs);
  const first = opened();
  assert.deepEqual(first.revisions, []);
  first.take(new Map(Object.entries({ "eu-1": 3, "eu-2": 4, "eu-3": 4 })), anybody);
  const second = opened();
  assert.deepEqual(second.revisions, [3, 4, 4]);
  // Two come back, and one of these is revoked.
  nowMs += 20 * DAY_MS;
  second.take(new Map(Object.entries({ "eu-2": 5, "eu-3": 5 })), (edge) => edge !== "eu-3");
  assert.deepEqual(opened().revisions, [3, 5]);
  nowMs += 11 * DAY_MS;
  const third = opened();
  third.take(new Map(), anybody);
  assert.deepEqual(third.revisions, [5]);
  assert.deepEqual(opened().revisions, [5]);
});

test("the file is written when an edge serves something else, and once an hour", (t) => {
  const folder = folderOf(t);
  let nowMs = 1_700_000_000_000;
  const file = new ServedFile(folder, () => nowMs);
  const inode = (): number => statSync(join(folder, "served.json")).ino;
  file.take(new Map([["eu-1", 3]]), anybody);
  const written = inode();
  nowMs += 1000;
  file.take(new Map([["eu-1", 3]]), anybody);
  assert.equal(inode(), written);
  file.take(new Map([["eu-1", 4]]), anybody);
  const later = inode();
  assert.notEqual(later, written);
  nowMs += 3_600_000;
  file.take(new Map([["eu-1", 4]]), anybody);
  assert.notEqual(inode(), later);
});

test("what is no such file, or a part of none, is passed over", (t) => {
  const folder = folderOf(t);
  for (const text of ["", "{}", "[1, null]", '[{"edge":1,"revision":2,"atMs":3}]']) {
    writeFileSync(join(folder, "served.json"), text);
    assert.deepEqual(new ServedFile(folder, () => 0).revisions, []);
  }
});
