// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readBackup } from "../store/backup-file.ts";
import { openStore } from "../store/open-store.ts";
import { keyOf, requestOf } from "../store/store.contract.ts";
import { loadCopy } from "../store/store-copy.ts";
import { StoreCopyFile } from "./store-copy-file.ts";

test("a copy for edges is the documents of now, made anew when the store has moved on and 30 s have passed", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-copy-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const open = async (name: string): Promise<Awaited<ReturnType<typeof openStore>>> => {
    const path = join(folder, name);
    const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
    t.after(() => store.close());
    return store;
  };
  const store = await open("store.sqlite");
  let nowMs = 0;
  const file = new StoreCopyFile({
    path: join(folder, "copy.jsonl"),
    store: () => store,
    monotonicMs: () => nowMs,
  });
  for (const text of ["one", "two"]) await store.commit(requestOf([{ key: keyOf("p"), text }]));
  const [first, again] = await Promise.all([file.latest(), file.latest()]);
  assert.deepEqual(first, again);
  assert.equal(first.bytes, statSync(first.path).size);
  await store.commit(requestOf([{ key: keyOf("p"), text: "three" }]));
  nowMs = 29_999;
  assert.deepEqual(await file.latest(), first);
  nowMs = 30_000;
  const second = await file.latest();
  assert.notEqual(second.tag, first.tag);
  nowMs = 60_000;
  const { ino } = statSync(second.path);
  assert.deepEqual(await file.latest(), second);
  assert.equal(statSync(second.path).ino, ino, "the same state is not written twice");

  const target = await open("restored.sqlite");
  const copy = await readBackup(second.path);
  await loadCopy(target, copy, { replace: false, wallMs: 0, onProgress: () => undefined });
  assert.equal((await target.get(keyOf("p")))?.text, "three");
  const { revision, oldestRevision, auditHash } = await target.head();
  assert.deepEqual({ revision, oldestRevision }, { revision: 3, oldestRevision: 3 });
  assert.equal(auditHash, (await store.head()).auditHash);
});
