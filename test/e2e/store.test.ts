// SPDX-License-Identifier: Apache-2.0

// `meridian store`: a backup, its restore, and what is refused, with the exit codes.

import assert from "node:assert/strict";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openStore, parseStoreLocation } from "@meridian/control";
import { meridian, temporaryFolder } from "./process.ts";

const REVISIONS = 12;

async function makeStore(place: string): Promise<void> {
  const store = await openStore(parseStoreLocation(place), assert.fail);
  for (let number = 1; number <= REVISIONS; number++) {
    const key = { kind: "Pool", namespace: "default", name: `p${number % 5}` };
    const writes = [{ key, text: JSON.stringify({ number }) }];
    await store.commit({ id: `id-${number}`, cause: '{"actor":"test"}', writes });
  }
  await store.close();
}

test("a store is backed up, restored, migrated, compacted and verified", async (t) => {
  const folder = temporaryFolder(t);
  const [source, target, third] = ["a", "b", "c"].map((name) => `sqlite:${join(folder, name)}`);
  assert.ok(source !== undefined && target !== undefined && third !== undefined);
  await makeStore(source);
  const file = join(folder, "backup.jsonl");

  const backup = await meridian("store", "backup", file, "--store", source, "-o", "json");
  assert.equal(backup.code, 0, backup.stderr);
  const made: unknown = JSON.parse(backup.stdout);
  assert.equal((made as { revision: number }).revision, REVISIONS);
  assert.equal((await meridian("store", "backup", file, "--store", source)).code, 2, "exists");

  const restore = await meridian("store", "restore", file, "--store", target);
  assert.equal(restore.code, 0, restore.stderr);
  assert.match(restore.stdout, /^The store is at revision 12 of epoch \d+\n$/);
  const again = await meridian("store", "restore", file, "--store", target);
  assert.equal(again.code, 3);
  assert.match(again.stderr, /it is at revision 12, expected an empty one/);
  assert.equal((await meridian("store", "restore", file, "--store", target, "--force")).code, 0);

  const migrate = await meridian("store", "migrate", target, third);
  assert.equal(migrate.code, 0, migrate.stderr);
  const compact = await meridian("store", "compact", "--keep", "3", "--store", third);
  assert.equal(compact.stdout, "History begins at revision 10, head is revision 12\n");
  const verify = await meridian("store", "verify", "--store", third);
  assert.equal(verify.code, 0, verify.stderr);
  assert.match(verify.stdout, /^Revisions 10 to 12 of epoch \d+ are whole/);
  const hashOf = (text: string): string => /[0-9a-f]{64}/.exec(text)?.[0] ?? assert.fail(text);
  assert.equal(
    hashOf(verify.stdout),
    hashOf((await meridian("store", "verify", "--store", source)).stdout),
  );
});

test("what is no store, no backup, or in use is refused with a reason", async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, "store.sqlite");
  await makeStore(`sqlite:${path}`);
  const inUse = await openStore(parseStoreLocation(`sqlite:${path}`), assert.fail);
  const compact = await meridian("store", "compact", "--store", `sqlite:${path}`);
  assert.equal(compact.code, 3);
  assert.match(compact.stderr, /another process has it open/);
  const file = join(folder, "backup.jsonl");
  assert.equal((await meridian("store", "backup", file, "--store", `sqlite:${path}`)).code, 0);
  await inUse.close();

  truncateSync(file, readFileSync(file).length - 100);
  const cut = await meridian("store", "restore", file, "--store", `sqlite:${join(folder, "new")}`);
  assert.equal(cut.code, 1);
  assert.match(cut.stderr, /backup\.jsonl": line \d+ /);
  const foreign = join(folder, "foreign");
  writeFileSync(foreign, "not a database".repeat(100));
  assert.equal((await meridian("store", "verify", "--store", `sqlite:${foreign}`)).code, 2);
  assert.equal((await meridian("store", "verify", "--store", "mysql:x")).code, 2);
  assert.equal((await meridian("store", "verify", "--store", "etcd://127.0.0.1:1/x")).code, 5);
});
