// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { MeridianError } from "@meridian/core";
import { StateDir } from "./state-dir.ts";

const ROUNDS = 25;
const RIVALS = 4;
/** An id that no process has: Linux stops at 2^22. */
const DEAD = 4_999_999;

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "meridian-state-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function refusal(lock: () => void): string {
  try {
    lock();
    return "";
  } catch (error) {
    assert.ok(error instanceof MeridianError);
    return `${error.code}: ${error.message}`;
  }
}

test("one of several processes gets a folder whose holder died", async (context) => {
  const folder = folderOf(context);
  const rival = fileURLToPath(new URL("lock-rival-worker.ts", import.meta.url));
  const rivals = Array.from({ length: RIVALS }, () => fork(rival));
  context.after(() => rivals.forEach((child) => child.kill("SIGKILL")));
  await Promise.all(rivals.map((child) => once(child, "message")));
  for (let round = 0; round < ROUNDS; round++) {
    const path = join(folder, String(round));
    mkdirSync(path);
    writeFileSync(join(path, "lock.7"), `${DEAD} 1\n`);
    const at = Date.now() + 10;
    const taken = await Promise.all(rivals.map((child) => race(child, path, at)));
    assert.equal(taken.filter(Boolean).length, 1, `round ${round}`);
  }
});

async function race(child: ChildProcess, path: string, at: number): Promise<boolean> {
  const answer = once(child, "message");
  child.send({ path, at });
  const [isTaken] = await answer;
  return isTaken === true;
}

test("lock() refuses a folder that a living process holds, and takes one that was given back", (context) => {
  const folder = folderOf(context);
  const first = new StateDir(folder);
  first.lock();
  assert.equal(first.holder(), process.pid);
  const second = new StateDir(folder);
  assert.match(
    refusal(() => second.lock()),
    new RegExp(`^STATE_LOCKED: Cannot use the state folder ".*": process ${process.pid} holds it;`),
  );
  first.unlock();
  assert.equal(first.holder(), undefined);
  second.lock();
  assert.equal(second.holder(), process.pid);
});

test("a process whose id was given to another one holds nothing", (context) => {
  const folder = folderOf(context);
  writeFileSync(join(folder, "lock.1"), `${process.pid} 1\n`);
  new StateDir(folder).lock();
});

test("takeLock() takes the folder from the process that hands over, which then gives nothing back", (context) => {
  const folder = folderOf(context);
  const old = new StateDir(folder);
  const next = new StateDir(folder);
  old.lock();
  next.takeLock();
  old.unlock();
  assert.equal(next.holder(), process.pid);
  assert.match(
    refusal(() => new StateDir(folder).lock()),
    /^STATE_LOCKED/,
  );
});

test("unlock() does not mind that the folder is gone", (context) => {
  const folder = folderOf(context);
  const directory = new StateDir(join(folder, "state"));
  directory.lock();
  rmSync(directory.path, { recursive: true });
  directory.unlock();
});

test("old locks are swept", (context) => {
  const folder = folderOf(context);
  for (let round = 0; round < 5; round++) {
    const directory = new StateDir(folder);
    directory.lock();
    directory.unlock();
  }
  const locks = readdirSync(folder).filter((name) => name.startsWith("lock"));
  assert.deepEqual(locks.toSorted(), ["lock.4", "lock.5"]);
});

test("a folder that cannot be made says why", (context) => {
  const file = join(folderOf(context), "file");
  writeFileSync(file, "");
  assert.match(
    refusal(() => new StateDir(join(file, "state")).lock()),
    /^STATE_UNUSABLE: Cannot use the state folder ".*": ENOTDIR: not a directory/,
  );
});
