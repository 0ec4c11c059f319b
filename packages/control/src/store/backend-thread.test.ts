// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BackendThread } from "./backend-thread.ts";
import { codeIs, keyOf, requestOf } from "./store.contract.ts";

test("a thread that ends fails what it was asked, says so, and the next question starts it anew", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-thread-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const location = {
    kind: "sqlite",
    path: join(folder, "store.sqlite"),
    isReadOnly: false,
  } as const;
  const reports: string[] = [];
  const entry = new URL("./testing/dying-worker.ts", import.meta.url);
  const backend = await BackendThread.open({ location }, (message) => reports.push(message), entry);
  t.after(() => backend.close());
  await backend.commit(requestOf([{ key: keyOf("a"), text: "1" }]));
  const lease = (await backend.tryAcquireLease("leader", "me", 60_000)) ?? assert.fail();
  const waiting = backend.changesAfter(1, 1);
  await Promise.all([
    assert.rejects(backend.verify(), codeIs("STORE_UNAVAILABLE")),
    assert.rejects(waiting, codeIs("STORE_UNAVAILABLE")),
  ]);
  assert.match(reports.join("\n"), /^Cannot ask the store: its thread ended/);

  assert.equal((await backend.get(keyOf("a"), {}))?.text, "1");
  assert.equal(await backend.renewLease(lease), false);
  const next = await backend.tryAcquireLease("leader", "me", 60_000);
  assert.equal(next?.term, lease.term + 1);
});
