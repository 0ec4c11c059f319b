// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readDocumentFiles } from "./file-loader.ts";
import { FileWatcher } from "./file-watcher.ts";

/** Nothing is polled within a test. */
const POLL_MS = 3_600_000;

interface Watched {
  readonly folder: string;
  readonly changes: () => number;
  readonly changed: (count: number) => Promise<void>;
}

/** Watches `paths` below a folder that `prepare` filled. */
function watched(
  context: TestContext,
  paths: readonly string[],
  prepare: (folder: string) => void,
): Watched {
  const folder = mkdtempSync(join(tmpdir(), "meridian-watcher-"));
  prepare(folder);
  const given = paths.map((path) => join(folder, path));
  let count = 0;
  const list = (): string[] => {
    const { files, folders } = readDocumentFiles(given);
    return [...new Set([...given, ...folders, ...files.map(({ path }) => path)])];
  };
  let listed = list();
  const watcher = new FileWatcher(
    () => listed,
    () => {
      // As the reader of the files does.
      const readAtMs = Date.now();
      listed = list();
      setImmediate(() => {
        watcher.follow(readAtMs);
        // What is changed now is seen by the watches, whatever the clock of the files says.
        count += 1;
      });
    },
    POLL_MS,
  );
  watcher.start(Date.now() + 60_000);
  context.after(() => {
    watcher.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const changed = async (wanted: number): Promise<void> => {
    const deadline = performance.now() + 60_000;
    while (count < wanted) {
      assert.ok(performance.now() < deadline, `change ${wanted} is told of`);
      await sleep(5);
    }
  };
  return { folder, changes: () => count, changed };
}

test("FileWatcher tells of files that are replaced, made and removed, in folders that are new too", async (context) => {
  const { folder, changed, changes } = watched(context, ["docs"], (root) => {
    mkdirSync(join(root, "docs"));
    writeFileSync(join(root, "docs/a.yaml"), "a");
  });
  writeFileSync(join(folder, "next"), "other");
  renameSync(join(folder, "next"), join(folder, "docs/a.yaml"));
  await changed(1);
  mkdirSync(join(folder, "docs/below"));
  await changed(changes() + 1);
  writeFileSync(join(folder, "docs/below/b.yaml"), "b");
  await changed(changes() + 1);
  rmSync(join(folder, "docs/a.yaml"));
  await changed(changes() + 1);
});

test("FileWatcher tells of a file that is given by itself, whatever is put in its place", async (context) => {
  const { folder, changed, changes } = watched(context, ["a.yaml"], (root) => {
    writeFileSync(join(root, "a.yaml"), "a");
  });
  for (const text of ["once", "twice", "a third time"]) {
    const before = changes();
    writeFileSync(join(folder, "next"), text);
    renameSync(join(folder, "next"), join(folder, "a.yaml"));
    await changed(before + 1);
  }
});

test("FileWatcher follows a link to the folder that takes the place of another", async (context) => {
  const { folder, changed, changes } = watched(context, ["now"], (root) => {
    for (const version of ["1", "2"]) {
      mkdirSync(join(root, version));
      writeFileSync(join(root, version, "a.yaml"), version);
    }
    symlinkSync("1", join(root, "now"));
  });
  symlinkSync("2", join(folder, "next"));
  renameSync(join(folder, "next"), join(folder, "now"));
  await changed(1);
  const before = changes();
  writeFileSync(join(folder, "2/a.yaml"), "changed");
  await changed(before + 1);
});

test("FileWatcher tells nothing of what an editor keeps beside a file", async (context) => {
  const { folder, changed, changes } = watched(context, ["docs"], (root) => {
    mkdirSync(join(root, "docs"));
    writeFileSync(join(root, "docs/a.yaml"), "a");
  });
  for (const name of [".a.yaml.swp", "4913", "a.yaml~"])
    writeFileSync(join(folder, "docs", name), "");
  // Longer than it waits for a file to be written.
  await sleep(300);
  assert.equal(changes(), 0);
  writeFileSync(join(folder, "docs/a.yaml"), "changed");
  await changed(1);
});

test("FileWatcher waits for a file that was emptied to be written", async (context) => {
  const { folder, changed } = watched(context, ["docs"], (root) => {
    mkdirSync(join(root, "docs"));
    writeFileSync(join(root, "docs/a.yaml"), "a");
  });
  const before = performance.now();
  truncateSync(join(folder, "docs/a.yaml"));
  await changed(1);
  assert.ok(performance.now() - before >= 45, "it is believed after fifty milliseconds");
});
