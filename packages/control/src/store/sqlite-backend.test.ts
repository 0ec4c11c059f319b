// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test, type TestContext } from "node:test";
import { ManualClock, systemClock } from "@meridian/core";
import { openDatabaseFile, storageError } from "./database-file.ts";
import { openStore } from "./open-store.ts";
import { SqliteBackend } from "./sqlite-backend.ts";
import { StoreDatabase } from "./store-database.ts";
import { verifyDatabase } from "./verify-database.ts";
import { codeIs, keyOf, requestOf, storeContract, type OpenedStore } from "./store.contract.ts";
import type { Store } from "./store.ts";

const HOUR_MS = 3_600_000;

function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "meridian-store-"));
}

function pathFor(t: TestContext): string {
  const folder = temporaryFolder();
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "store.sqlite");
}

const openAt = (path: string, reports: string[] = []): Promise<Store> =>
  openStore({ kind: "sqlite", path, isReadOnly: false }, (message) => reports.push(message));

async function open(): Promise<OpenedStore> {
  const folder = temporaryFolder();
  const store = await openAt(join(folder, "store.sqlite"));
  return {
    replicas: [store, store],
    close: async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
}

storeContract("sqlite", { open, runs: 25 });

test("a store that was killed has every acknowledged change set, and the last one whole or not at all", async (t) => {
  const path = pathFor(t);
  let acknowledged = { number: 0, revision: 0 };
  for (let kill = 0; kill < 20; kill++) {
    const child = spawn(
      process.execPath,
      [
        join(import.meta.dirname, "testing/commit-worker.ts"),
        path,
        String(acknowledged.number + 1),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let lines = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const [number, revision] = line.split(" ").map(Number);
      if (number !== undefined && revision !== undefined) acknowledged = { number, revision };
      // What the pipe still holds after the kill was acknowledged, too.
      if (++lines === 4 + ((kill * 7) % 30)) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    assert.equal(child.signalCode, "SIGKILL");

    const store = await openAt(path);
    const { revision } = await store.head();
    assert.ok(revision === acknowledged.revision || revision === acknowledged.revision + 1);
    const texts = new Set((await store.list({})).documents.map(({ text }) => text));
    assert.equal(texts.size, 1);
    const [number = 0] = [...texts].map((text) => Number(text.split(" ")[0]));
    assert.ok(number === acknowledged.number || number === acknowledged.number + 1);
    assert.deepEqual(await store.verify(), []);
    acknowledged = { number, revision };
    await store.close();
  }
});

test("one process writes a store; others may read it meanwhile", async (t) => {
  const path = pathFor(t);
  const store = await openAt(path);
  await store.commit(requestOf([{ key: keyOf("a"), text: "a1" }]));
  await assert.rejects(openAt(path), codeIs("STORE_IN_USE"));
  const reader = await openStore({ kind: "sqlite", path, isReadOnly: true }, () => undefined);
  assert.equal((await reader.get(keyOf("a")))?.text, "a1");
  await assert.rejects(
    reader.commit(requestOf([{ key: keyOf("a"), text: "a2" }])),
    codeIs("STORE_UNAVAILABLE"),
  );
  await reader.close();
  await store.close();
  await (await openAt(path)).close();
});

for (const [what, make] of [
  ["a file of another kind", (path) => writeFileSync(path, "hello, world ".repeat(100))],
  [
    "another program's SQLite file",
    (path) => {
      const database = new DatabaseSync(path);
      database.exec("CREATE TABLE theirs (a)");
      database.close();
    },
  ],
  [
    "a store of a newer version",
    (path) => {
      const database = new DatabaseSync(path);
      database.exec("CREATE TABLE future (a)");
      database.exec("PRAGMA application_id = 1296388676; PRAGMA user_version = 2");
      database.close();
    },
  ],
] satisfies [string, (path: string) => void][])
  test(`${what} is refused and left as it is`, async (t) => {
    const path = pathFor(t);
    make(path);
    const before = readFileSync(path);
    await assert.rejects(openAt(path), codeIs("STORE_FOREIGN"));
    assert.deepEqual(readFileSync(path), before);
  });

/** A store with a copy at revision 20 and change sets up to revision 60, closed. */
async function storeWithCopy(path: string): Promise<void> {
  const backend = new SqliteBackend({
    clock: systemClock,
    path,
    isReadOnly: false,
    report: assert.fail,
    copyIntervalMs: HOUR_MS,
  });
  const fill = async (from: number, to: number): Promise<void> => {
    for (let number = from; number <= to; number++)
      await backend.commit(
        requestOf([{ key: keyOf(`p${number % 10}`), text: `${number} `.repeat(200) }]),
      );
  };
  await fill(1, 20);
  // Forgets nothing, and renews the copy.
  await backend.compact(0);
  await fill(21, 60);
  await backend.close();
}

/** Overwrites the b-tree page that holds an index of the store. */
function damageIndex(path: string, index: string): void {
  const database = new DatabaseSync(path);
  const row = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").get(index);
  const size = Number(database.prepare("PRAGMA page_size").get()?.["page_size"]);
  database.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, (Number(row?.["rootpage"]) - 1) * size, Number(row?.["rootpage"]) * size);
  writeFileSync(path, bytes);
}

test("a damaged file is replaced where the last-good copy and the change sets after it lead up to its head", async (t) => {
  const path = pathFor(t);
  await storeWithCopy(path);
  damageIndex(path, "version_present");
  const reports: string[] = [];
  const store = await openAt(path, reports);
  assert.equal((await store.head()).revision, 60);
  assert.match((await store.get(keyOf("p9")))?.text ?? "", /^59 /);
  assert.deepEqual(await store.verify(), []);
  assert.match(
    reports[0] ?? "",
    /recovered whole, from the last-good copy of revision \d+ .* up to revision 60/,
  );
  assert.ok(readdirSync(join(path, "..")).some((name) => name.includes("damaged-")));
  await store.close();
});

for (const [what, damage] of [
  ["is cut in half", (path) => truncateSync(path, Math.floor(statSync(path).size / 2))],
  ["has lost a change set after the copy", (path) => damageIndex(path, "change_set")],
  [
    "has no copy",
    (path) => {
      damageIndex(path, "version_present");
      renameSync(`${path}.last-good`, `${path}.elsewhere`);
    },
  ],
] satisfies [string, (path: string) => void][])
  test(`a damaged file that ${what} is refused and left as it is`, async (t) => {
    const path = pathFor(t);
    await storeWithCopy(path);
    damage(path);
    const before = readFileSync(path);
    await assert.rejects(openAt(path), codeIs("STORE_CORRUPT"));
    assert.deepEqual(readFileSync(path), before);
  });

test("a change set for which there is no room is refused whole, and the store goes on", (t) => {
  const path = pathFor(t);
  const connection = openDatabaseFile({ path, isDurable: true, isReadOnly: false });
  const database = new StoreDatabase(connection);
  t.after(() => database.close());
  const commit = (name: string, text: string): void => {
    const request = requestOf([
      { key: keyOf("first"), text: name },
      { key: keyOf(name), text },
    ]);
    const admitted = database.admit(request, 0);
    assert.ok("next" in admitted);
    database.append(admitted.next);
  };
  commit("a", "a");
  connection.exec("PRAGMA max_page_count = 40");
  let refusal: unknown;
  try {
    commit("b", "b".repeat(400_000));
  } catch (error) {
    refusal = storageError("commit", error);
  }
  assert.ok(codeIs("STORE_UNAVAILABLE")(refusal), String(refusal));
  assert.equal(database.reader.get(keyOf("first"), 1)?.text, "a");
  commit("c", "c");
  assert.equal(database.reader.get(keyOf("first"), 2)?.text, "c");
  assert.deepEqual(verifyDatabase(database), []);
});

test("a clock that jumps by an hour ends no lease, gives it to nobody else, and refuses no commit", async (t) => {
  let [wallMs, monotonicMs] = [HOUR_MS * 24, 0];
  const backend = new SqliteBackend({
    clock: { wallMs: () => wallMs, monotonicMs: () => monotonicMs },
    path: pathFor(t),
    isReadOnly: false,
    report: assert.fail,
    copyIntervalMs: HOUR_MS * 99,
  });
  const one = await backend.tryAcquireLease("leader", "one", 1000);
  assert.ok(one !== undefined);
  for (const [index, jumpMs] of [HOUR_MS, -2 * HOUR_MS].entries()) {
    wallMs += jumpMs;
    monotonicMs += 500;
    assert.equal(await backend.tryAcquireLease("leader", "two", 1000), undefined);
    assert.equal(await backend.renewLease(one), true);
    const lease = { name: "leader", term: one.term };
    const head = await backend.commit(requestOf([{ key: keyOf("a"), text: "1" }], { lease }));
    assert.equal(head.revision, index + 1);
  }
  await backend.close();
});

test("a lease that is not renewed runs out, and its term is fenced from then on", async (t) => {
  const clock = new ManualClock();
  const path = pathFor(t);
  const backend = new SqliteBackend({
    clock,
    path,
    isReadOnly: false,
    report: assert.fail,
    copyIntervalMs: HOUR_MS,
  });
  const one = await backend.tryAcquireLease("leader", "one", 1000);
  assert.equal(one?.term, 1);
  const writeAs = (term: number): Promise<unknown> =>
    backend.commit(requestOf([], { lease: { name: "leader", term } }));
  clock.advance(900);
  assert.equal(await backend.renewLease(one), true);
  clock.advance(900);
  assert.equal(await backend.tryAcquireLease("leader", "two", 1000), undefined);
  await writeAs(1);
  clock.advance(100);
  await assert.rejects(writeAs(1), codeIs("STORE_FENCED"));
  assert.equal(await backend.renewLease(one), false);
  assert.equal((await backend.tryAcquireLease("leader", "two", 1000))?.term, 2);
  await backend.close();
});
