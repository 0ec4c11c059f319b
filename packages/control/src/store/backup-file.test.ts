// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { readBackup, writeBackup } from "./backup-file.ts";
import { openStore } from "./open-store.ts";
import { codeIs, keyOf, requestOf } from "./store.contract.ts";
import { copyOf, loadCopy } from "./store-copy.ts";
import type { HeadReading, Store } from "./store.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-backup-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function openIn(t: TestContext, folder: string, name: string): Promise<Store> {
  const path = join(folder, name);
  const store = await openStore({ kind: "sqlite", path, isReadOnly: false }, () => undefined);
  t.after(() => store.close());
  return store;
}

/** Some documents, deletions and a compaction. */
async function fill(store: Store): Promise<void> {
  const separators = "a line\u2028another\r\nand \u{1F310} \0";
  for (let number = 1; number <= 30; number++)
    await store.commit(
      requestOf([
        {
          key: keyOf(`p${number % 7}`),
          text: number % 5 === 0 ? undefined : `${number} ${separators}`,
        },
        { key: keyOf(`q${number}`, "Site", ""), text: "x" },
      ]),
    );
  await store.compact(10);
}

const load = (
  target: Store,
  copy: Parameters<typeof loadCopy>[1],
  replace = false,
): Promise<HeadReading> =>
  loadCopy(target, copy, { replace, wallMs: 0, onProgress: () => undefined });

test("a restored backup has the same documents, revisions and audit chain, in the next epoch", async (t) => {
  const folder = folderFor(t);
  const source = await openIn(t, folder, "source.sqlite");
  await fill(source);
  const path = join(folder, "backup.jsonl");
  await writeBackup(path, await copyOf(source), () => undefined);
  const target = await openIn(t, folder, "target.sqlite");
  const progress: number[] = [];
  await loadCopy(target, await readBackup(path), {
    replace: false,
    wallMs: 0,
    onProgress: ({ changeSets, changeSetsWanted }) => progress.push(changeSets / changeSetsWanted),
  });
  assert.equal(progress.at(-1), 1);
  const [before, after] = [await source.head(), await target.head()];
  assert.deepEqual(after, { ...before, epoch: 2 });
  for (const revision of [10, 17, 30])
    assert.deepEqual(await target.list({ revision }), await source.list({ revision }));
  assert.deepEqual(await target.history({}), await source.history({}));
  assert.deepEqual(await target.verify(), []);
  await target.commit(requestOf([{ key: keyOf("p1"), text: "on" }]));
  await assert.rejects(load(target, await readBackup(path)), codeIs("STORE_NOT_EMPTY"));
  assert.equal((await load(target, await readBackup(path), true)).epoch, 3);
  assert.equal((await target.head()).revision, before.revision);
});

test("a backup does not replace a file, and is not there before it is whole", async (t) => {
  const folder = folderFor(t);
  const store = await openIn(t, folder, "store.sqlite");
  await fill(store);
  const path = join(folder, "backup.jsonl");
  const { start } = await copyOf(store);
  // oxlint-disable-next-line require-yield -- a store that fails at once
  const failing = async function* (): AsyncGenerator<never> {
    await Promise.resolve();
    throw new Error("gone");
  };
  await assert.rejects(
    writeBackup(path, { start, batches: failing() }, () => undefined),
    /gone/,
  );
  assert.throws(() => readFileSync(path), /ENOENT/);
  writeFileSync(path, "mine");
  await assert.rejects(
    writeBackup(path, await copyOf(store), () => undefined),
    codeIs("STORE_REQUEST_INVALID"),
  );
  assert.equal(readFileSync(path, "utf8"), "mine");
});

test("a backup that was cut or changed anywhere is refused, and the target stays as it was", async (t) => {
  const folder = folderFor(t);
  const source = await openIn(t, folder, "source.sqlite");
  await fill(source);
  const path = join(folder, "backup.jsonl");
  await writeBackup(path, await copyOf(source), () => undefined);
  const whole = readFileSync(path);
  const target = await openIn(t, folder, "target.sqlite");
  const broken = join(folder, "broken.jsonl");
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 2), fc.boolean(), async (at, isCut) => {
      const bytes = Buffer.from(isCut ? whole.subarray(0, at) : whole);
      if (!isCut) bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(broken, bytes);
      await assert.rejects(
        async () => load(target, await readBackup(broken)),
        (error) => codeIs("STORE_CORRUPT")(error) || codeIs("STORE_FOREIGN")(error),
      );
      assert.equal((await target.head()).revision, 0);
      assert.deepEqual((await target.list({})).documents, []);
    }),
    { numRuns: 60 },
  );
  await assert.rejects(readBackup(join(folder, "none")), codeIs("STORE_REQUEST_INVALID"));
});

test("a backup that has a document twice is refused as damaged", async (t) => {
  const folder = folderFor(t);
  const source = await openIn(t, folder, "source.sqlite");
  await fill(source);
  const path = join(folder, "backup.jsonl");
  await writeBackup(path, await copyOf(source), () => undefined);
  const [first, document, ...rest] = readFileSync(path, "utf8").split("\n");
  assert.match(document ?? "", /^\{"document"/);
  const twice = join(folder, "twice.jsonl");
  writeFileSync(twice, [first, document, document, ...rest].join("\n"));
  const target = await openIn(t, folder, "target.sqlite");
  await assert.rejects(async () => load(target, await readBackup(twice)), codeIs("STORE_CORRUPT"));
  assert.equal((await target.head()).revision, 0);
});
